use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::model::{Code, Finding, Judged, Location, Severity, Subject};
use crate::process::{Captured, Exit, Invocation, ToolRequirement};
use crate::step::{Context, Outcome, ReadError, Step, StepError, git_tool};

/// Checks a folder's Python with the rules that its `pyproject.toml` selects.
///
/// The findings keep ruff's own codes. A Python file that ruff would not look at, because the configuration excludes it, is
/// an error, not a pass.
#[derive(Debug, Clone)]
pub struct RuffLint {
    dir: Utf8PathBuf,
}

/// Checks that a folder's Python is formatted as ruff formats it. Nothing is changed.
#[derive(Debug, Clone)]
pub struct RuffFormat {
    dir: Utf8PathBuf,
}

impl RuffLint {
    /// The Python below this folder, relative to the workspace.
    #[must_use]
    pub fn in_dir(dir: impl Into<Utf8PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn invocation(&self) -> Invocation {
        ruff("check").args(["--no-fix", "--output-format", "json"]).arg(&self.dir)
    }
}

impl RuffFormat {
    /// The Python below this folder, relative to the workspace.
    #[must_use]
    pub fn check(dir: impl Into<Utf8PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn invocation(&self) -> Invocation {
        ruff("format").args(["--check", "--output-format", "json"]).arg(&self.dir)
    }
}

/// What a linter looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonChecked {
    /// The files, relative to the workspace.
    pub files: Vec<Utf8PathBuf>,
    /// The commit whose files they are.
    pub commit: String,
}

impl Judged for PythonChecked {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

fn ruff_tool() -> ToolRequirement {
    ToolRequirement::new("ruff", ">=0.15, <1")
}

fn ruff(command: &str) -> Invocation {
    Invocation::tool("ruff").arg(command).arg("--no-cache").env_remove_prefix("RUFF_")
}

impl Step for RuffLint {
    type Input = ();
    type Output = PythonChecked;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<PythonChecked>, StepError> {
        let files = files_looked_at(cx, &self.dir)?;
        let findings = read_findings(&cx.run(&self.invocation())?, cx.root(), &[0, 1])?;
        checked(cx, files, findings)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![ruff_tool(), git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![show_files(&self.dir), self.invocation()]
    }
}

impl Step for RuffFormat {
    type Input = ();
    type Output = PythonChecked;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<PythonChecked>, StepError> {
        let files = files_looked_at(cx, &self.dir)?;
        // 2 stands for a file that cannot be parsed, which is in the report, as well as for a wrong command line, which is not.
        let findings = read_findings(&cx.run(&self.invocation())?, cx.root(), &[0, 1, 2])?;
        checked(cx, files, findings)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![ruff_tool(), git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![show_files(&self.dir), self.invocation()]
    }
}

fn checked(cx: &Context, files: Vec<Utf8PathBuf>, findings: Vec<Finding>) -> Result<Outcome<PythonChecked>, StepError> {
    let (count, problems) = (files.len(), findings.len());
    let headline = match problems {
        0 => format!("{count} files"),
        1 => format!("{count} files, 1 finding"),
        problems => format!("{count} files, {problems} findings"),
    };
    let commit = cx.revision()?.commit.clone();
    Ok(Outcome::of(PythonChecked { files, commit }).findings(findings).fact("files", count).headline(headline))
}

fn show_files(dir: &Utf8Path) -> Invocation {
    ruff("check").arg("--show-files").arg(dir)
}

/// The Python files of the folder, all of which ruff would look at.
fn files_looked_at(cx: &Context, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, StepError> {
    cx.require(&ruff_tool())?;
    let expected = cx.source_files(dir, "py")?;
    let shown = cx.run_ok(&show_files(dir))?;
    compare(cx.root(), dir, expected, shown.stdout_text()?)
}

fn compare(
    root: &Utf8Path,
    dir: &Utf8Path,
    expected: Vec<Utf8PathBuf>,
    shown: &str,
) -> Result<Vec<Utf8PathBuf>, StepError> {
    if expected.is_empty() {
        return Err(StepError::not_looked(format!("{dir} holds no Python file"), "correct the step's folder"));
    }
    let shown: BTreeSet<_> = shown.lines().map(|line| relative(root, line)).collect();
    let missed: Vec<_> =
        expected.iter().filter(|path| !shown.contains(path.as_path())).map(|path| path.as_str()).collect();
    match missed.as_slice() {
        [] => Ok(expected),
        [first, ..] => Err(StepError::not_looked(
            format!("ruff does not look at {} of {} Python files, among them {first}", missed.len(), expected.len()),
            "remove the `exclude` from ruff's configuration that leaves them out",
        )),
    }
}

fn relative(root: &Utf8Path, path: &str) -> Utf8PathBuf {
    let path = Utf8Path::new(path);
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

#[derive(Deserialize)]
struct Diagnostic {
    code: Option<String>,
    filename: String,
    message: String,
    location: Option<Position>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct Position {
    row: u32,
    column: u32,
}

fn read_findings(captured: &Captured, root: &Utf8Path, codes: &[i32]) -> Result<Vec<Finding>, StepError> {
    let captured = captured.clone().require_exit(codes)?;
    let diagnostics: Vec<Diagnostic> = serde_json::from_str(captured.stdout_text()?)
        .map_err(|error| ReadError::new("ruff's report", format!("{error} ({})", captured.stderr_text())))?;
    // `E902`: a file could not be read, so it was not looked at.
    if let Some(unread) = diagnostics.iter().find(|one| one.code.as_deref() == Some("E902")) {
        return Err(StepError::not_looked(format!("{}: {}", unread.filename, unread.message), "make it readable"));
    }
    if (captured.exit == Exit::Code(0)) != diagnostics.is_empty() {
        return Err(StepError::not_looked(
            format!("ruff ended with {}, but its report has {} findings", captured.exit, diagnostics.len()),
            "see the step's log",
        ));
    }
    Ok(diagnostics.into_iter().map(|one| finding(root, one)).collect())
}

fn finding(root: &Utf8Path, diagnostic: Diagnostic) -> Finding {
    let Diagnostic { code, filename, message, location, url } = diagnostic;
    let path = relative(root, &filename);
    let code = Code::new(code.unwrap_or_else(|| "invalid-syntax".to_owned()));
    let finding = Finding::with_code(code, message).severity(Severity::Medium).target(path.as_str());
    let finding = match location {
        Some(place) => finding.at(Location::column(path, place.row, place.column)),
        None => finding.at(Location::file(path)),
    };
    match url {
        Some(url) => finding.help(url),
        None => finding,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: &str = include_str!("../../tests/data/ruff/check.json");
    const FORMAT: &str = include_str!("../../tests/data/ruff/format.json");
    const FORMAT_SYNTAX: &str = include_str!("../../tests/data/ruff/format-syntax-error.json");
    const FILES: &str = include_str!("../../tests/data/ruff/files.txt");
    const MISSING: &str = include_str!("../../tests/data/ruff/missing.json");

    fn read(code: i32, stdout: &str) -> Result<Vec<String>, StepError> {
        let captured = Captured::recorded(Exit::Code(code), stdout, "");
        let findings = read_findings(&captured, "/src".into(), &[0, 1, 2])?;
        Ok(findings.iter().map(|one| format!("{} {}", one.code, one.location.as_ref().expect("a place"))).collect())
    }

    #[test]
    fn findings_keep_their_code_and_place() {
        assert_eq!(
            read(1, CHECK).expect("looked"),
            [
                "I001 shop/bad.py:1:1",
                "F401 shop/bad.py:1:8",
                "F401 shop/bad.py:2:8",
                "PLR1730 shop/cart.py:16:9",
                "invalid-syntax shop/syntax.py:1:12",
                "invalid-syntax shop/syntax.py:2:1",
                "I001 tests/test_cart.py:1:1",
            ]
        );
        assert_eq!(read(1, FORMAT).expect("looked"), ["unformatted shop/bad.py:3:1"]);
        assert_eq!(read(2, FORMAT_SYNTAX).expect("looked").len(), 2);
        assert!(read(0, "[]").expect("looked").is_empty());
    }

    #[test]
    fn what_proves_nothing_is_an_error() {
        for (code, stdout) in [
            (0, CHECK),
            (1, "[]"),
            (2, "[]"),
            (0, ""),
            (1, MISSING),
            (1, &CHECK[..CHECK.len() / 2]),
            (0, "null"),
            (101, "[]"),
        ] {
            assert!(read(code, stdout).is_err(), "exit code {code} with {:?}", &stdout[..stdout.len().min(30)]);
        }
    }

    #[test]
    fn a_file_that_is_excluded_is_an_error() {
        let paths = |names: &[&str]| names.iter().map(Utf8PathBuf::from).collect::<Vec<_>>();
        let all = paths(&["shop/__init__.py", "shop/cart.py"]);
        assert_eq!(compare("/src".into(), "shop".into(), all.clone(), FILES).expect("all"), all);
        let error = compare("/src".into(), "shop".into(), paths(&["shop/cart.py", "shop/hidden.py"]), FILES)
            .expect_err("hidden");
        assert!(error.to_string().contains("1 of 2 Python files, among them shop/hidden.py"), "{error}");
        assert!(compare("/src".into(), "shop".into(), Vec::new(), FILES).is_err());
    }
}
