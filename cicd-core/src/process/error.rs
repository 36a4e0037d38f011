use std::io;
use std::time::Duration;

use camino::Utf8PathBuf;

use super::{CancelReason, Exit};

/// A process that could not be started, did not end as it should, or left nothing readable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The program's file is not there.
    #[error("`{command}`: there is no program {program}")]
    ProgramMissing {
        /// The command line as it may be shown.
        command: String,
        /// The program that was looked for.
        program: String,
    },
    /// The working directory is not there.
    #[error("`{command}`: the working directory {dir} does not exist")]
    DirectoryMissing {
        /// The command line as it may be shown.
        command: String,
        /// The directory.
        dir: Utf8PathBuf,
    },
    /// The program's file may not be executed.
    #[error("`{command}`: {program} is not executable; `chmod +x` it or install it again")]
    NotExecutable {
        /// The command line as it may be shown.
        command: String,
        /// The program.
        program: String,
    },
    /// The program's file is not for this machine.
    #[error("`{command}`: {program} is not a program for this machine (wrong architecture, or no `#!` line)")]
    WrongFormat {
        /// The command line as it may be shown.
        command: String,
        /// The program.
        program: String,
    },
    /// The program's file is a folder.
    #[error("`{command}`: {program} is a folder, not a program; correct the path")]
    IsFolder {
        /// The command line as it may be shown.
        command: String,
        /// The folder.
        program: String,
    },
    /// The program's file is there, and what it names to run it is not: the shell of a script, the loader of a binary.
    #[error(
        "`{command}`: {program} is there, but what runs it is not; install the interpreter that its first line names, or the loader of its system (`file {program}` tells)"
    )]
    InterpreterMissing {
        /// The command line as it may be shown.
        command: String,
        /// The program.
        program: String,
    },
    /// The program's file stays open for writing.
    #[error("`{command}`: {program} is still being written; wait until that has ended, or look for what holds it open")]
    BeingWritten {
        /// The command line as it may be shown.
        command: String,
        /// The program.
        program: String,
    },
    /// The arguments and variables are longer than the system takes.
    #[error(
        "`{program}` was given {bytes} bytes of arguments, more than this system takes together with the environment; hand them on in a file or on standard input"
    )]
    ArgumentsTooLong {
        /// The program.
        program: String,
        /// The length of the arguments alone.
        bytes: usize,
    },
    /// The system refused in another way.
    #[error("`{command}`: {action}: {source}")]
    Io {
        /// The command line as it may be shown.
        command: String,
        /// What was being done.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// It ended with a code or signal that is not a result.
    #[error("`{command}` ended with {exit}{}", tail(stderr))]
    Exited {
        /// The command line as it may be shown.
        command: String,
        /// How it ended.
        exit: Exit,
        /// The last lines of standard error.
        stderr: String,
    },
    /// It was still running at its deadline and was killed with everything it had started.
    #[error("`{command}` timed out after {} s{}", deadline.as_secs_f32(), tail(stderr))]
    TimedOut {
        /// The command line as it may be shown.
        command: String,
        /// The deadline.
        deadline: Duration,
        /// The last lines of standard error.
        stderr: String,
    },
    /// It was stopped and nobody let it go on, so that it was killed: a process that asks the terminal for something is.
    #[error(
        "`{command}` was stopped, as a process is that asks the terminal for something; give it what it asks for beforehand{}",
        tail(stderr)
    )]
    Stopped {
        /// The command line as it may be shown.
        command: String,
        /// The last lines of standard error.
        stderr: String,
    },
    /// It ended, but something it started kept its output open; that was killed.
    #[error("`{command}` ended with {exit} but left processes running that held its output open; they were killed")]
    LeftRunning {
        /// The command line as it may be shown.
        command: String,
        /// How it ended.
        exit: Exit,
    },
    /// The run was cancelled; the process was stopped with everything it had started.
    #[error("`{command}` was cancelled")]
    Cancelled {
        /// The command line as it may be shown.
        command: String,
        /// Why.
        reason: CancelReason,
    },
    /// It wrote more than the invocation allows to be kept.
    #[error("`{command}` wrote {bytes} bytes, more than the {bytes_max} that are kept: its output cannot be judged")]
    OutputTooLong {
        /// The command line as it may be shown.
        command: String,
        /// How much it wrote.
        bytes: u64,
        /// How much was kept.
        bytes_max: u64,
    },
    /// Its output is not UTF-8.
    #[error("`{command}` wrote something that is not UTF-8 text")]
    OutputNotText {
        /// The command line as it may be shown.
        command: String,
    },
    /// It ended without writing the report it was asked for.
    #[error("`{command}` ended with {exit} and wrote no report{}", tail(stderr))]
    NoReport {
        /// The command line as it may be shown.
        command: String,
        /// How it ended.
        exit: Exit,
        /// The last lines of standard error.
        stderr: String,
    },
}

fn tail(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(":\n{stderr}") }
}
