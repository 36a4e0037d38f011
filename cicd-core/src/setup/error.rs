use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::{MANIFEST_PATH, Sha256};
use crate::formats::{ConfigError, Paint};
use crate::model::ExitStatus;
use crate::process::{ProcessError, ToolError};

/// Setup could not do its work, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The manifest is not there.
    #[error(
        "{0} does not exist; write one that names every tool by version and sha256, beginning with `[python]` and `version = \"3.11\"`"
    )]
    ManifestMissing(Utf8PathBuf),
    /// The manifest cannot be used.
    #[error("{MANIFEST_PATH} cannot be used:\n{}", .0.render(Paint::Plain))]
    Config(#[from] ConfigError),
    /// A variable that names a folder is not UTF-8.
    #[error("the variable {0} is not UTF-8 text; set it to a path that is")]
    VariableNotText(&'static str),
    /// A process failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A program that setup itself needs is missing.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The system refused.
    #[error("{action} {path}: {source}{}", hint(source))]
    Io {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not the one that was pinned. It was removed, and nothing of it was run or unpacked.
    #[error(
        "{url} has the sha256 {found}, but {MANIFEST_PATH} pins {expected}: the file was replaced or damaged on its way; do not change the pin before you know which"
    )]
    Checksum {
        /// Where it came from.
        url: String,
        /// What was pinned.
        expected: Sha256,
        /// What came.
        found: Sha256,
    },
    /// An archive with the right sum does not hold what it should.
    #[error("{archive} {problem}; compare `program` and `url` in {MANIFEST_PATH}")]
    Archive {
        /// Where it came from.
        archive: String,
        /// What is wrong.
        problem: String,
    },
    /// What was installed does not work.
    #[error("{program} was installed but {problem}; compare `program` and `version` in {MANIFEST_PATH}")]
    Useless {
        /// The program.
        program: String,
        /// What is wrong.
        problem: String,
    },
    /// The record beside the tools cannot be read.
    #[error(
        "{path} is not a record of installed tools ({problem}); remove its folder and run `cargo xtask setup` again"
    )]
    Record {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Another setup holds the tools folder.
    #[error("another `cargo xtask setup` has been using {0} for too long; wait for it or end it")]
    Locked(Utf8PathBuf),
    /// The engine was started and does not answer.
    #[error(
        "the Docker engine was started but does not answer after {seconds} s: {why}; its log {log} ends with:\n{tail}"
    )]
    EngineSilent {
        /// How long was waited.
        seconds: u64,
        /// What `docker` said.
        why: String,
        /// The log.
        log: String,
        /// Its last lines.
        tail: String,
    },
    /// No interpreter of the right version.
    #[error(
        "no Python {major}.{minor} that can make virtual environments was found; install python{major}.{minor} and python{major}.{minor}-venv"
    )]
    NoPython {
        /// The major version.
        major: u32,
        /// The minor version.
        minor: u32,
    },
}

impl SetupError {
    /// Names what was being done to which file.
    pub(super) fn io(action: &'static str, path: impl AsRef<Utf8Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// How the process ends because of it: a wrong configuration is usage, everything else an error.
    #[must_use]
    pub fn exit_status(&self) -> ExitStatus {
        match self {
            Self::ManifestMissing(_) | Self::Config(_) | Self::VariableNotText(_) => ExitStatus::Usage,
            Self::Process(ProcessError::Cancelled { reason: crate::process::CancelReason::Signal(signal), .. }) => {
                ExitStatus::Interrupted(*signal)
            }
            _ => ExitStatus::Error,
        }
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::NotADirectory => {
            "; set CICD_TOOLS_DIR to a folder that you can write to"
        }
        io::ErrorKind::StorageFull => "; free some space",
        _ => "",
    }
}
