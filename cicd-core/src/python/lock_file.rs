use camino::{Utf8Path, Utf8PathBuf};

use crate::formats::requirements::LockedRequirements;
use crate::model::{Finding, Location, Severity, Target, finding_codes};
use crate::policy::{Exception, Justification, Scope};
use crate::step::{Context, ReadError, StepError};

finding_codes! {
    /// What can be wrong with a lock file that can be read.
    pub enum LockCode {
        Option = "LCK-001" {
            summary: "an option of a lock file leaves it to somebody else which files are installed, or what is done with them",
            help: "delete it, and lock against the one index that everybody uses; `LockFile::accept_option` takes a justification",
            example: "--extra-index-url http://packages.example.org/simple",
        },
    }
}

/// A file with locked Python packages, as `uv pip compile --generate-hashes` writes it, and what is accepted of it. Every step that reads
/// one takes it in this form; a path is one of which nothing is accepted.
///
/// It is for one Python on one platform: a condition behind `;` excuses no package from being there.
///
/// ```
/// use cicd_core::policy::Justification;
/// use cicd_core::python::LockFile;
/// use cicd_core::steps::{LockedLicenses, PythonEnv};
///
/// let mirror = Justification::new("our mirror of the index, the only one that builds reach", "@example/platform", "2027-03-01")?;
/// let lock = LockFile::at("requirements.txt").accept_option("--index-url", mirror);
/// let (env, licenses) = (PythonEnv::locked(&lock), LockedLicenses::approved("approved.csv", &lock));
/// # let _ = (env, licenses);
/// # Ok::<(), cicd_core::policy::InvalidJustification>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockFile {
    path: Utf8PathBuf,
    accepted: Vec<Exception>,
}

impl LockFile {
    /// The file at this path, relative to the workspace.
    #[must_use]
    pub fn at(path: impl Into<Utf8PathBuf>) -> Self {
        Self { path: path.into(), accepted: Vec::new() }
    }

    /// Accepts an option of it (`LCK-001`), by its long name such as `--index-url`, wherever it stands in the file.
    #[must_use]
    #[track_caller]
    pub fn accept_option(mut self, option: impl Into<String>, justification: Justification) -> Self {
        let scope = Scope::target(Target::name(option));
        self.accepted.push(Exception::in_pipeline(LockCode::Option, scope, justification));
        self
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// What it locks.
    ///
    /// # Errors
    /// When it is not there, or does not pin every package.
    pub(crate) fn read(&self, cx: &Context) -> Result<LockedRequirements, StepError> {
        let text = cx.read_text(&self.path)?;
        Ok(LockedRequirements::parse(&text).map_err(|error| {
            ReadError::new("the lock file", &error)
                .at(Location::line(&self.path, error.line))
                .help("write the file with `uv pip compile --generate-hashes`")
        })?)
    }

    /// What is wrong with it, by what was read.
    pub(crate) fn findings(&self, locked: &LockedRequirements) -> Vec<Finding> {
        let finding = |one: &crate::formats::requirements::LockedOption| {
            let message = format!("`{}` leaves open what is installed in place of the locked packages", one.name);
            Finding::new(LockCode::Option, message)
                .severity(Severity::High)
                .target(Target::name(one.name))
                .at(Location::line(&self.path, one.line))
        };
        locked.options.iter().map(finding).collect()
    }

    /// What is accepted of it.
    pub(crate) fn exceptions(&self) -> Vec<Exception> {
        self.accepted.clone()
    }
}

impl From<&Self> for LockFile {
    fn from(lock: &Self) -> Self {
        lock.clone()
    }
}

impl From<&str> for LockFile {
    fn from(path: &str) -> Self {
        Self::at(path)
    }
}

impl From<String> for LockFile {
    fn from(path: String) -> Self {
        Self::at(path)
    }
}

impl From<Utf8PathBuf> for LockFile {
    fn from(path: Utf8PathBuf) -> Self {
        Self::at(path)
    }
}
