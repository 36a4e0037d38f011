use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};

use super::SetupError;
use crate::formats::Harmless;
use crate::process::{Cancel, Captured, Invocation, OutputSink, Stream, ToolError, ToolProblem, Toolbox, execute};

/// Where system programs are that an ordinary user's `PATH` may lack.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The way setup runs processes: shown first, their output passed on, harmless as everything that it says.
pub(super) struct Shell<'a> {
    pub(super) out: Harmless<&'a mut dyn Write>,
    pub(super) cancel: &'a Cancel,
    search_path: OsString,
    dir: Utf8PathBuf,
}

impl<'a> Shell<'a> {
    pub(super) fn new(
        variables: &BTreeMap<OsString, OsString>,
        dir: &Utf8Path,
        cancel: &'a Cancel,
        out: &'a mut dyn Write,
    ) -> Self {
        Self { out: Harmless::new(out), cancel, search_path: search_path(variables), dir: dir.to_owned() }
    }

    /// A toolbox that remembers nothing: what was missing a moment ago may be installed now.
    pub(super) fn toolbox(&self) -> Toolbox {
        Toolbox::new(&[], &self.search_path, &self.dir)
    }

    /// A toolbox that looks in one folder and nowhere else.
    pub(super) fn toolbox_of(&self, folder: &Utf8Path) -> Toolbox {
        Toolbox::new(&[folder.to_owned()], OsStr::new(""), &self.dir)
    }

    /// Writes a line for the reader.
    pub(super) fn say(&mut self, line: &str) -> Result<(), SetupError> {
        writeln!(self.out, "{line}").map_err(SetupError::io("writing to", "standard output"))
    }

    /// Shows and runs a process; any exit code is `Ok`.
    pub(super) fn run(&mut self, invocation: &Invocation) -> Result<Captured, SetupError> {
        let program = self.resolve(invocation)?;
        self.say(&format!("$ {invocation}"))?;
        let invocation = self.prepared(invocation);
        Ok(execute(&invocation, &program, &mut Shown(&mut self.out), self.cancel)?)
    }

    /// Shows and runs a process that must end with code 0.
    pub(super) fn run_ok(&mut self, invocation: &Invocation) -> Result<Captured, SetupError> {
        Ok(self.run(invocation)?.require_success()?)
    }

    fn prepared(&self, invocation: &Invocation) -> Invocation {
        let mut invocation = invocation.clone().dir(&self.dir);
        invocation.search_path = Some(self.search_path.clone());
        invocation
    }

    fn resolve(&self, invocation: &Invocation) -> Result<Utf8PathBuf, SetupError> {
        let Some(name) = invocation.tool_name() else {
            return Ok(invocation.program_name().into());
        };
        self.toolbox().locate(name).ok_or_else(|| {
            let fix = format!("install the package that has `{name}`");
            SetupError::Tool(ToolError { name: name.to_owned(), problem: ToolProblem::Missing, fix })
        })
    }
}

fn search_path(variables: &BTreeMap<OsString, OsString>) -> OsString {
    let given = variables.get(OsStr::new("PATH")).cloned().unwrap_or_else(OsString::new);
    let mut all: Vec<_> = std::env::split_paths(&given).collect();
    for folder in SYSTEM_FOLDERS.map(Into::into) {
        if !all.contains(&folder) {
            all.push(folder);
        }
    }
    // Joining fails only for entries with a colon inside, which `split_paths` cannot give.
    std::env::join_paths(all).unwrap_or(given)
}

struct Shown<'a>(&'a mut dyn Write);

impl OutputSink for Shown<'_> {
    fn write(&mut self, _: Stream, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_prints_steers_nobody_who_shows_it() {
        let mut out = Vec::new();
        let cancel = Cancel::new().expect("descriptors");
        let mut shell = Shell::new(&BTreeMap::new(), "/".into(), &cancel, &mut out);
        let line = "printf 'x ##vso[a]\\n#'; printf '#teamcity[b]\\r::error::c\\n ::d\\033[2J\\n'; printf ':' >&2; printf ':e::f'";
        shell.run_ok(&Invocation::program("/bin/sh").args(["-c", line])).expect("it ran");
        let shown = String::from_utf8(out).expect("text");
        assert!(!shown.contains("##") && !shown.contains('\u{1b}') && !shown.contains('\r'), "{shown}");
        assert!(!shown.lines().any(|line| line.trim_start().starts_with("::")), "{shown}");
    }
}
