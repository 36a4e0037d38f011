use std::fmt;
use std::time::Duration;

use super::ProcessError;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal, with this number.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => match signal_name(signal) {
                Some(name) => write!(f, "{name}"),
                None => write!(f, "signal {signal}"),
            },
        }
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// What a process left behind.
#[derive(Debug, Clone)]
pub struct Captured {
    /// The command line as it may be shown.
    pub command: String,
    /// How it ended.
    pub exit: Exit,
    /// The start of its standard output, up to the invocation's limit.
    pub stdout: Vec<u8>,
    /// How many bytes it wrote to standard output in all.
    pub stdout_bytes: u64,
    /// The last part of its standard error.
    pub stderr_tail: Vec<u8>,
    /// The start of its standard error, up to the invocation's limit; empty unless one was set.
    pub stderr: Vec<u8>,
    /// How many bytes it wrote to standard error in all.
    pub stderr_bytes: u64,
    /// The file named by [`Invocation::report`](super::Invocation::report), if it was written.
    pub report: Option<Vec<u8>>,
    /// How long it ran.
    pub duration: Duration,
}

impl Captured {
    /// A capture for tests of `read` functions on recorded output.
    #[must_use]
    pub fn recorded(exit: Exit, stdout: impl Into<Vec<u8>>, stderr: impl Into<Vec<u8>>) -> Self {
        let (stdout, stderr) = (stdout.into(), stderr.into());
        Self {
            command: "(recorded)".to_owned(),
            exit,
            stdout_bytes: stdout.len() as u64,
            stdout,
            stderr_tail: stderr.clone(),
            stderr_bytes: stderr.len() as u64,
            stderr,
            report: None,
            duration: Duration::ZERO,
        }
    }

    /// The same capture with a report file.
    #[must_use]
    pub fn with_report(mut self, report: impl Into<Vec<u8>>) -> Self {
        self.report = Some(report.into());
        self
    }

    /// Whether the process ended by itself with code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// The capture if the process ended with one of `codes`.
    ///
    /// # Errors
    /// [`ProcessError::Exited`] with the last lines of standard error.
    pub fn require_exit(self, codes: &[i32]) -> Result<Self, ProcessError> {
        match self.exit {
            Exit::Code(code) if codes.contains(&code) => Ok(self),
            exit => Err(ProcessError::Exited { exit, stderr: self.stderr_text(), command: self.command }),
        }
    }

    /// The capture if the process ended with code 0.
    ///
    /// # Errors
    /// [`ProcessError::Exited`] with the last lines of standard error.
    pub fn require_success(self) -> Result<Self, ProcessError> {
        self.require_exit(&[0])
    }

    /// Whether it wrote more to standard output than is kept.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.stdout_bytes > self.stdout.len() as u64
    }

    /// The whole of standard output as text.
    ///
    /// # Errors
    /// When it was longer than the invocation's limit or is not UTF-8: a part of a report is not a report.
    pub fn stdout_text(&self) -> Result<&str, ProcessError> {
        let bytes = self.whole(&self.stdout, self.stdout_bytes)?;
        std::str::from_utf8(bytes).map_err(|_| ProcessError::OutputNotText { command: self.command.clone() })
    }

    /// The whole of standard error, for tools that write there what is to be read. It is kept only if
    /// [`Invocation::stderr_bytes_max`](super::Invocation::stderr_bytes_max) says so.
    ///
    /// # Errors
    /// When it was longer than the invocation's limit: a part of a log is not a log.
    pub fn stderr_whole(&self) -> Result<&[u8], ProcessError> {
        self.whole(&self.stderr, self.stderr_bytes)
    }

    fn whole<'a>(&self, kept: &'a [u8], bytes: u64) -> Result<&'a [u8], ProcessError> {
        let bytes_max = kept.len() as u64;
        if bytes > bytes_max {
            return Err(ProcessError::OutputTooLong { command: self.command.clone(), bytes, bytes_max });
        }
        Ok(kept)
    }

    /// The report file's bytes.
    ///
    /// # Errors
    /// When the process did not write it, or left it empty.
    pub fn report_bytes(&self) -> Result<&[u8], ProcessError> {
        match self.report.as_deref() {
            Some(bytes) if !bytes.is_empty() => Ok(bytes),
            _ => Err(ProcessError::NoReport {
                command: self.command.clone(),
                exit: self.exit,
                stderr: self.stderr_text(),
            }),
        }
    }

    /// The last lines of standard error, invalid bytes replaced.
    #[must_use]
    pub fn stderr_text(&self) -> String {
        const LINES: usize = 12;
        let text = String::from_utf8_lossy(&self.stderr_tail);
        let lines: Vec<_> = text.trim_end().lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}
