//! What a step relied on beside the files of the repository: a later run that would load what it came to compares it first.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::RunContext;
use crate::files::{self, Stamp};
use crate::formats::hex;
use crate::process::{Tool, ToolRequirement, Toolbox};

/// Variables that differ in every shell and say nothing. They are not compared, and so no process of a step inherits them.
pub(super) const NEVER_INHERITED: [&str; 3] = ["_", "OLDPWD", "SHLVL"];

/// A step that starts more different programs, or reads more files that git does not list, is run again.
const THINGS_MAX: usize = 200;

/// The first line of a script is not longer.
const FIRST_LINE_BYTES_MAX: u64 = 256;

/// What stands for a file that is not there or cannot be looked at.
const ABSENT: &str = "absent";

/// What a step relied on that is not in the repository. Nothing of it says what anything held: a value of the environment may be a secret,
/// so that there is one hash of all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReliedOn {
    /// The sha256 of the whole environment, where the step asked for a variable, started a process or is not of this library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    environment: Option<String>,
    /// The programs that were started, as they were called, and what was found under that name: each file, in the order of the search
    /// path, up to the one that was started.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    programs: BTreeMap<String, String>,
    /// The tools that were asked for, and which were found.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    tools: BTreeMap<String, String>,
    /// The files that were read and that git does not list.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    files: BTreeMap<String, String>,
    /// What the step relied on that no record can hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

impl ReliedOn {
    pub(super) fn environment(&mut self, run: &RunContext) {
        self.environment.get_or_insert_with(|| environment(&run.environment.variables));
    }

    /// A program that is about to be started under this name.
    pub(super) fn program(&mut self, name: &str, path: &Utf8Path, run: &RunContext) {
        self.environment(run);
        let name = if is_path(name) { path.as_str() } else { name };
        let now = match self.programs.get(name) {
            // The search path is looked through once a step; what was found is looked at each time.
            Some(then) if then.lines().last() == Some(&stamped(path, &run.toolbox)) => return,
            Some(_) => return self.unknown(format!("{name} was replaced while the step ran")),
            None => found(name, path, &run.toolbox),
        };
        self.keep(|all| &mut all.programs, name, now);
    }

    pub(super) fn tool(&mut self, requirement: &ToolRequirement, tool: &Tool, run: &RunContext) {
        self.environment(run);
        self.keep(|all| &mut all.tools, &requirement.name, told(tool));
    }

    /// A file that git does not list.
    pub(super) fn file(&mut self, path: &Utf8Path) {
        let now = stamp(path);
        match self.files.get(path.as_str()) {
            Some(then) if *then == now => {}
            Some(_) => self.unknown(format!("{path} was written to while the step ran")),
            None => self.keep(|all| &mut all.files, path.as_str(), now),
        }
    }

    pub(super) fn unknown(&mut self, what: String) {
        self.unknown.get_or_insert(what);
    }

    fn keep(&mut self, among: impl Fn(&mut Self) -> &mut BTreeMap<String, String>, name: &str, value: String) {
        if among(self).len() < THINGS_MAX {
            among(self).insert(name.to_owned(), value);
        } else {
            self.unknown("more programs or files than are kept in the record".to_owned());
        }
    }

    /// What is not as it was: nothing where the step, which asks for these tools, would meet the same again.
    pub(crate) fn changed(&self, tools: &[ToolRequirement], run: &RunContext) -> Option<String> {
        let Self { environment: then, programs, tools: found_then, files, unknown } = self;
        if let Some(what) = unknown {
            return Some(format!("it relied on what no record holds: {what}"));
        }
        if then.as_ref().is_some_and(|then| *then != environment(&run.environment.variables)) {
            return Some("the environment of its processes is another one now".to_owned());
        }
        let other = |requirement: &&ToolRequirement| {
            let now = run.toolbox.find(requirement, &run.cancel).ok();
            now.as_ref().map(told) != found_then.get(&requirement.name).cloned()
        };
        if let Some(ToolRequirement { name, .. }) = tools.iter().find(other) {
            return Some(format!("{name} is not the tool that it was then"));
        }
        let replaced = |(name, then): &(&String, &String)| {
            let used =
                then.lines().last().and_then(|line| line.split_once('\t')).map(|(path, _)| Utf8PathBuf::from(path));
            used.is_none_or(|used| {
                // A tool that was asked for has been checked by now.
                let is_altered =
                    || !found_then.contains_key(*name) && run.toolbox.check_unaltered(name, &used).is_err();
                found(name, &used, &run.toolbox) != **then || is_altered()
            })
        };
        if let Some((name, _)) = programs.iter().find(replaced) {
            return Some(format!("the program {name} was replaced, or another one is found before it"));
        }
        let mut files = files.iter();
        files
            .find(|(path, then)| stamp(Utf8Path::new(path)) != **then)
            .map(|(path, _)| format!("{path}, which git does not list, was written to"))
    }

    /// The same with every text through this.
    pub(crate) fn map(self, text: impl Fn(&str) -> String) -> Self {
        let texts = |all: BTreeMap<String, String>| -> BTreeMap<String, String> {
            all.into_iter().map(|(name, value)| (text(&name), text(&value))).collect()
        };
        Self {
            environment: self.environment,
            programs: texts(self.programs),
            tools: texts(self.tools),
            files: texts(self.files),
            unknown: self.unknown.map(|what| text(&what)),
        }
    }
}

/// The environment in one word.
fn environment(variables: &BTreeMap<OsString, OsString>) -> String {
    let mut hash = Sha256::new();
    for (name, value) in variables.iter().filter(|(name, _)| NEVER_INHERITED.iter().all(|never| name != never)) {
        // No byte of either is 0.
        for part in [name, value] {
            hash.update(part.as_encoded_bytes());
            hash.update([0]);
        }
    }
    hex(&hash.finalize())
}

fn told(tool: &Tool) -> String {
    format!("{} {}", tool.version, tool.path)
}

/// Whether it names a file, and not a tool that is looked for.
fn is_path(name: &str) -> bool {
    name.contains('/')
}

/// What is found under a name on the way to this program, and the program: a line each.
fn found(name: &str, used: &Utf8Path, toolbox: &Toolbox) -> String {
    let before = if is_path(name) { Vec::new() } else { toolbox.found_before(name, used) };
    let all = before.iter().map(Utf8PathBuf::as_path).chain([used]);
    all.map(|path| stamped(path, toolbox)).collect::<Vec<_>>().join("\n")
}

/// A program and, where it is a script, what it is read by.
fn stamped(path: &Utf8Path, toolbox: &Toolbox) -> String {
    let reader = interpreter(path, toolbox).map_or_else(String::new, |reader| format!(" {reader} {}", stamp(&reader)));
    format!("{path}\t{}{reader}", stamp(path))
}

/// What lies there now, and where it really is.
fn stamp(path: &Utf8Path) -> String {
    let place = path.canonicalize_utf8();
    let read = place.and_then(|place| Ok(format!("{place} {}", Stamp::read(&place)?)));
    read.unwrap_or_else(|_| ABSENT.to_owned())
}

/// The program that the first line of a script names.
fn interpreter(path: &Utf8Path, toolbox: &Toolbox) -> Option<Utf8PathBuf> {
    let mut line = Vec::new();
    let file = files::open(path).ok()?;
    BufReader::new(file.take(FIRST_LINE_BYTES_MAX)).read_until(b'\n', &mut line).ok()?;
    let line = String::from_utf8_lossy(&line);
    let mut words = line.strip_prefix("#!")?.split_whitespace();
    let first = Utf8PathBuf::from(words.next()?);
    if first.file_name() != Some("env") {
        return Some(first);
    }
    toolbox.locate(words.find(|word| !word.starts_with('-') && !word.contains('='))?)
}
