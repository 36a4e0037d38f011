use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::process::Command;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::Secret;

/// The deadline of a process that asks for no other: long enough for a slow image build on a small machine, short enough
/// that a hang is noticed the same hour.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(600);

/// How much of standard output is kept in memory. A tool's report goes to a file; what is printed is for people.
const STDOUT_BYTES_MAX_DEFAULT: usize = 8 << 20;

/// The variable that names the run, and the process within it, that something was started for: everything that a process
/// starts inherits it.
pub(crate) const MARK: &str = "CICD_CORE_PROCESS";

/// The variables by which git hands its repository to what it starts, a hook for one (`git rev-parse --local-env-vars`). No
/// process inherits them: git would answer it for that repository and index, wherever it asks.
pub(crate) const GIT_REPOSITORY_VARIABLES: [&str; 16] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_CONFIG",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_PARAMETERS",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_INTERNAL_SUPER_PREFIX",
    "GIT_NO_REPLACE_OBJECTS",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// What to execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A tool by name, found and checked by the [`Toolbox`](super::Toolbox).
    Tool(String),
    /// A file.
    Path(Utf8PathBuf),
}

/// One process to run: a value that can be shown without being run.
#[derive(Debug, Clone)]
pub struct Invocation {
    pub(super) program: Program,
    pub(super) args: Vec<OsString>,
    pub(crate) dir: Option<Utf8PathBuf>,
    pub(super) env: Vec<(OsString, EnvChange)>,
    pub(super) env_removed_prefixes: Vec<String>,
    pub(super) stdin: Option<Vec<u8>>,
    pub(super) deadline: Duration,
    pub(super) report: Option<Utf8PathBuf>,
    pub(super) stdout_bytes_max: usize,
    pub(super) stderr_bytes_max: usize,
    /// The `PATH` it gets; every process of a run gets the same, so it is not shown.
    pub(crate) search_path: Option<OsString>,
    /// What tells the processes it starts from all others; not shown either.
    pub(crate) mark: Option<OsString>,
    /// Where it and what it starts keep temporary files.
    pub(crate) temporary: Option<OsString>,
    /// Variables that it does not inherit, because they hold secrets of others.
    pub(crate) withheld: Vec<OsString>,
    /// As much at the cut end of what is kept of its output may be a part of a secret, and is left out.
    pub(crate) cut_bytes: usize,
}

#[derive(Debug, Clone)]
pub(super) enum EnvChange {
    Set(OsString),
    SetSecret(Secret),
    Remove,
}

impl Invocation {
    /// A tool by name. The step names it in its `tools()`, so that it is found and its version is checked first.
    #[must_use]
    pub fn tool(name: impl Into<String>) -> Self {
        Self::of(Program::Tool(name.into()))
    }

    /// A program file.
    #[must_use]
    pub fn program(path: impl Into<Utf8PathBuf>) -> Self {
        Self::of(Program::Path(path.into()))
    }

    fn of(program: Program) -> Self {
        Self {
            program,
            args: Vec::new(),
            dir: None,
            env: Vec::new(),
            env_removed_prefixes: Vec::new(),
            stdin: None,
            deadline: DEADLINE_DEFAULT,
            report: None,
            stdout_bytes_max: STDOUT_BYTES_MAX_DEFAULT,
            stderr_bytes_max: 0,
            search_path: None,
            mark: None,
            temporary: None,
            withheld: Vec::new(),
            cut_bytes: 0,
        }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets the working directory; without it, the workspace root.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<Utf8PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), EnvChange::Set(value.as_ref().to_owned())));
        self
    }

    /// Sets a variable to a secret, which is never shown.
    #[must_use]
    pub fn env_secret(mut self, name: impl AsRef<OsStr>, value: &Secret) -> Self {
        self.env.push((name.as_ref().to_owned(), EnvChange::SetSecret(value.clone())));
        self
    }

    /// Removes a variable.
    #[must_use]
    pub fn env_remove(mut self, name: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), EnvChange::Remove));
        self
    }

    /// Removes every inherited variable whose name starts so, such as `TRIVY_`: a tool's own variables can switch its checks off.
    #[must_use]
    pub fn env_remove_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.env_removed_prefixes.push(prefix.into());
        self
    }

    /// Gives it this standard input; without it, the input is empty.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Sets how long it may run.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Names the file it writes its report to. A file left there earlier is removed first, and what is written is read into
    /// [`Captured::report`](super::Captured::report).
    #[must_use]
    pub fn report(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.report = Some(path.into());
        self
    }

    /// Sets how much of standard output is kept in memory.
    #[must_use]
    pub fn stdout_bytes_max(mut self, bytes: usize) -> Self {
        self.stdout_bytes_max = bytes;
        self
    }

    /// Sets how much of standard error is kept in memory beside its tail; without it, nothing.
    #[must_use]
    pub fn stderr_bytes_max(mut self, bytes: usize) -> Self {
        self.stderr_bytes_max = bytes;
        self
    }

    /// The program.
    #[must_use]
    pub fn program_name(&self) -> &str {
        match &self.program {
            Program::Tool(name) => name,
            Program::Path(path) => path.as_str(),
        }
    }

    /// The tool it names, unless it names a file.
    #[must_use]
    pub fn tool_name(&self) -> Option<&str> {
        match &self.program {
            Program::Tool(name) => Some(name),
            Program::Path(_) => None,
        }
    }

    /// The arguments.
    #[must_use]
    pub fn arguments(&self) -> &[OsString] {
        &self.args
    }

    /// The standard input it is given, if any.
    #[must_use]
    pub fn input(&self) -> Option<&[u8]> {
        self.stdin.as_deref()
    }

    /// The variables that it is given with a value that may be shown.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.env.iter().filter_map(|(name, change)| match change {
            EnvChange::Set(value) => Some((name.as_os_str(), value.as_os_str())),
            EnvChange::SetSecret(_) | EnvChange::Remove => None,
        })
    }

    /// The working directory, if one was set.
    #[must_use]
    pub fn working_dir(&self) -> Option<&Utf8Path> {
        self.dir.as_deref()
    }
}

/// The command line as a shell would take it, with secrets as `***`.
impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, change) in &self.env {
            let name = name.to_string_lossy();
            match change {
                EnvChange::Set(value) => write!(f, "{name}={} ", quoted(&value.to_string_lossy()))?,
                EnvChange::SetSecret(_) => write!(f, "{name}={} ", super::REDACTED)?,
                EnvChange::Remove => write!(f, "{name}= ")?,
            }
        }
        f.write_str(&quoted(self.program_name()))?;
        for arg in &self.args {
            write!(f, " {}", quoted(&arg.to_string_lossy()))?;
        }
        Ok(())
    }
}

fn quoted(word: &str) -> Cow<'_, str> {
    // Fails on NUL bytes only, which no operating system lets into an argument either.
    shlex::try_quote(word).unwrap_or(Cow::Borrowed("<argument with a NUL byte>"))
}

/// Takes the program, arguments, directory and variables of a command; this is how `xshell::Cmd` values come in.
impl From<&Command> for Invocation {
    fn from(command: &Command) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut invocation =
            Self::of(if program.contains('/') { Program::Path(program.into()) } else { Program::Tool(program) });
        invocation.args = command.get_args().map(OsStr::to_owned).collect();
        invocation.dir = command.get_current_dir().and_then(Utf8Path::from_path).map(Utf8Path::to_owned);
        invocation.env = command
            .get_envs()
            .map(|(name, value)| {
                (name.to_owned(), value.map_or(EnvChange::Remove, |value| EnvChange::Set(value.to_owned())))
            })
            .collect();
        invocation
    }
}

impl From<Command> for Invocation {
    fn from(command: Command) -> Self {
        Self::from(&command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shown_line_can_be_pasted_and_hides_secrets() {
        let secret = Secret::new("token", "s3cr3t-value").expect("long enough");
        let line =
            Invocation::tool("docker").arg("build").arg("a b").env("X", "1").env_secret("TOKEN", &secret).to_string();
        assert_eq!(line, "X=1 TOKEN=*** docker build 'a b'");
    }
}
