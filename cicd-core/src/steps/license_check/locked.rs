use camino::Utf8PathBuf;

use super::gate::load_approved;
use super::judge::{Approved, judge_locked};
use crate::formats::printable::counted;
use crate::model::{Judged, Subject};
use crate::policy::Exception;
use crate::python::LockFile;
use crate::step::{Author, Context, Outcome, Seal, Step, StepError, proof};

/// Compares the packages of a lock file with the list of approved ones, by name and exact version: what can be said before there is
/// an image, in milliseconds. What the packages say of their licences, and whether the image holds others, is for
/// [`LicenseCheck`](super::LicenseCheck).
#[derive(Debug, Clone)]
pub struct LockedLicenses {
    approved: Utf8PathBuf,
    locked: LockFile,
}

impl LockedLicenses {
    /// With this list of approved packages, and this lock file.
    #[must_use]
    pub fn approved(list: impl Into<Utf8PathBuf>, lock: impl Into<LockFile>) -> Self {
        Self { approved: list.into(), locked: lock.into() }
    }
}

proof! {
    /// What was compared.
    pub struct LockedLicensesReport("check of the locked licences") {
        /// How many packages are locked.
        packages: usize,
        /// The commit whose files they are.
        commit: String => &str,
    }
}

impl Judged for LockedLicensesReport {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

impl Step for LockedLicenses {
    type Input = ();
    type Output = LockedLicensesReport;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<LockedLicensesReport>, StepError> {
        let rows = load_approved(cx, &self.approved)?;
        let locked = self.locked.read(cx)?;
        let approved = Approved::new(&self.approved, &rows, cx.today());
        let mut findings = judge_locked(self.locked.path(), &locked.packages, &approved);
        findings.extend(self.locked.findings(&locked));
        let packages = locked.packages.len();
        let headline = match findings.len() {
            0 => format!("{}, all approved", counted(packages, "locked package")),
            found => format!("{}, {}", counted(packages, "locked package"), counted(found, "finding")),
        };
        let commit = cx.revision()?.commit.clone();
        Ok(Outcome::of(LockedLicensesReport { packages, commit })
            .findings(findings)
            .exceptions(self.locked.exceptions())
            .fact("packages", packages)
            .fact("rows", rows.len())
            .headline(headline))
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.locked.exceptions()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}
