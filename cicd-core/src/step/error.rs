use std::fmt;
use std::io;

use camino::Utf8PathBuf;

use crate::formats::network_failure::NetworkFailure;
use crate::model::{Finding, Level, Location};
use crate::process::{ProcessError, SecretError, ToolError};

/// Why a step could not decide.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// A process failed it.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A tool cannot be used.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// Something could not be read as what it should be.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A secret is not to be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A file could not be read or written.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was being done, such as `reading`.
        action: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It did not see what it should have looked at.
    #[error("{what}; {help}")]
    NotLooked {
        /// What is not as it must be for a verdict.
        what: String,
        /// What to do.
        help: String,
    },
    /// A network or a server failed it: the same may pass a moment later.
    #[error("{cause}: {error}")]
    Transient {
        /// What the network did.
        cause: NetworkFailure,
        /// The error as it came.
        error: Box<StepError>,
    },
    /// The run was cancelled while the step waited for another attempt.
    #[error("cancelled before attempt {attempt}; the one before it ended so: {error}")]
    Cancelled {
        /// The attempt that did not begin, from 2.
        attempt: u32,
        /// How the one before it ended.
        error: Box<StepError>,
    },
    /// It looked, and what it found leaves nothing to hand on: the step has failed, which is no error.
    #[error("{} {}", .0.code, .0.message)]
    Found(Box<Finding>),
    /// It panicked.
    #[error("panicked: {0}")]
    Panicked(String),
}

impl StepError {
    /// It did not see what it should have looked at.
    #[must_use]
    pub fn not_looked(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self::NotLooked { what: what.into(), help: help.into() }
    }

    /// It looked, and what it found leaves no value to hand on. Nothing can allow this.
    #[must_use]
    pub fn found(finding: Finding) -> Self {
        Self::Found(Box::new(finding.level(Level::Deny)))
    }

    /// A file could not be read or written: `.map_err(StepError::io("reading", path))`.
    pub fn io(action: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

/// Something that could not be read as what it should be: a report, a configuration file, a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadError {
    /// What was read, such as `the coverage report`.
    pub what: String,
    /// Where in it, as far as is known.
    pub location: Option<Location>,
    /// What is wrong with it.
    pub problem: String,
    /// What to do.
    pub help: Option<String>,
}

impl ReadError {
    /// `what` could not be read because of `problem`.
    #[must_use]
    pub fn new(what: impl Into<String>, problem: impl fmt::Display) -> Self {
        Self { what: what.into(), location: None, problem: problem.to_string(), help: None }
    }

    /// The same error at a place.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.location = Some(location);
        self
    }

    /// The same error with what to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(location) = &self.location {
            write!(f, "{location}: ")?;
        }
        write!(f, "{} cannot be read: {}", self.what, self.problem)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ReadError {}
