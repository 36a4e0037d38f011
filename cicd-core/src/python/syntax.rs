use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::files;
use crate::formats::file_kind::{FileKind, says_python};
use crate::formats::python_syntax::{Claim, PythonSyntax, PythonSyntaxError, read_python_syntax};
use crate::model::Location;
use crate::process::{Invocation, ToolRequirement};
use crate::step::{Context, ReadError, StepError};

/// The program that reads sources: Python's own parser decides what a statement is.
const PROGRAM: &str = include_str!("syntax.py");

/// A Python of the machine, for sources whose tests ran elsewhere.
pub(crate) fn python_tool() -> ToolRequirement {
    ToolRequirement::new("python3", ">=3.8").fix("install Python 3.8 or newer")
}

/// So much of a file is read for what its first lines start.
const FIRST_LINES_BYTES_MAX: u64 = 64 << 10;

/// The Python files of the repository below a folder, whatever they are called, but for stubs, which nothing runs; and why each is
/// taken for one.
///
/// # Errors
/// When git cannot tell, or one cannot be read.
pub(crate) fn python_sources(cx: &Context, folder: &Utf8Path) -> Result<BTreeMap<Utf8PathBuf, Claim>, StepError> {
    let folder = cx.relative(cx.path(folder));
    let mut found = BTreeMap::new();
    for path in cx.repository_files()? {
        let place = cx.path(&path);
        if !path.starts_with(&folder) || path.extension() == Some("pyi") || !place.is_file() {
            continue;
        }
        if is_python(cx, &path)? {
            let claim = claim(&path, &place).map_err(StepError::io("reading", &place))?;
            found.insert(path, claim);
        }
    }
    Ok(found)
}

fn claim(path: &Utf8Path, place: &Utf8Path) -> std::io::Result<Claim> {
    let mut start = Vec::new();
    files::open(place)?.take(FIRST_LINES_BYTES_MAX).read_to_end(&mut start)?;
    Ok(if says_python(path, &start) { Claim::Said } else { Claim::Guessed })
}

/// Whether a file of the repository is Python, by its name or by its text.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn is_python(cx: &Context, path: &Utf8Path) -> Result<bool, StepError> {
    Ok(cx.kinds_of(path)?.contains(&FileKind::Python))
}

/// Reads the syntax of these sources, paths relative to the workspace, with this interpreter. Nothing of them is run: neither the
/// folder, the environment nor packages of the interpreter add code (`-I -S`). What only looks like Python, and what this interpreter
/// could not run because its parser refuses it, is not in the answer.
///
/// # Errors
/// When one that says it is Python is none, or one was not read to its end.
pub(crate) fn read_syntax(
    cx: &Context,
    python: Option<&Utf8Path>,
    files: &BTreeMap<Utf8PathBuf, Claim>,
) -> Result<BTreeMap<Utf8PathBuf, PythonSyntax>, StepError> {
    let call = match python {
        Some(path) => Invocation::program(path),
        None => {
            cx.require(&python_tool())?;
            Invocation::tool("python3")
        }
    };
    let wanted: Vec<_> = files.keys().map(|path| (path, cx.path(path))).collect();
    let wanted = serde_json::to_vec(&wanted).map_err(|error| ReadError::new("the list of sources", error))?;
    let (program, answer) = (cx.dir().join("syntax.py"), cx.dir().join("syntax.json"));
    fs::write(&program, PROGRAM).map_err(StepError::io("writing", &program))?;
    let call = call.args(["-I", "-S", "-B"]).args([&program, &answer]).dir(cx.root()).stdin(wanted).report(&answer);
    let captured = cx.run_ok(&call)?;
    let read = read_python_syntax(captured.report_bytes()?, files);
    for file in [&program, &answer] {
        fs::remove_file(file).map_err(StepError::io("removing", file))?;
    }
    read.map_err(|error| match &error {
        PythonSyntaxError::NotPython { path, problem } => {
            let error = ReadError::new("the Python source", problem).at(Location::file(path));
            error.help("correct its syntax").into()
        }
        _ => ReadError::new("the syntax of the Python sources", error).into(),
    })
}
