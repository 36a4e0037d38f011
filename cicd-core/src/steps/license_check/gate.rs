use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::LicenseCode;
use super::found::{Found, packages_of};
use super::judge::{Approved, judge, judge_other, judge_stray};
use crate::docker::Distribution;
use crate::docker::{ExportedImage, ImageUnderTest, docker_tool};
use crate::formats::printable::counted;
use crate::formats::requirements::LockedPackage;
use crate::formats::{ApprovedPackage, read_approved};
use crate::model::{Judged, Level, Subject, Target};
use crate::policy::{Exception, Justification, Scope, check_owner, check_reason};
use crate::process::{Invocation, ToolRequirement};
use crate::python::LockFile;
use crate::step::{Author, Context, Outcome, ReadError, Seal, Step, StepError, proof};

/// Compares every Python package in an image with the list of approved packages: exact version, what it says of its licence
/// word for word, and the text of its licence files.
#[derive(Debug, Clone)]
pub struct LicenseCheck {
    approved: Utf8PathBuf,
    locked: Option<LockFile>,
    accepted: Vec<Exception>,
}

impl LicenseCheck {
    /// With this list, relative to the workspace; [`APPROVED_COLUMNS`](crate::formats::APPROVED_COLUMNS) are its columns.
    #[must_use]
    pub fn approved(list: impl Into<Utf8PathBuf>) -> Self {
        Self { approved: list.into(), locked: None, accepted: Vec::new() }
    }

    /// Requires that the image holds the packages of this lock file and no others.
    #[must_use]
    pub fn locked_requirements(mut self, lock: impl Into<LockFile>) -> Self {
        self.locked = Some(lock.into());
        self
    }

    /// Accepts a finding about a file or folder of the image: `path` is its place, from `/`, as the finding names it.
    #[must_use]
    #[track_caller]
    pub fn accept(mut self, code: LicenseCode, path: impl Into<String>, justification: Justification) -> Self {
        let scope = Scope::target(Target::Name(path.into()));
        self.accepted.push(Exception::in_pipeline(code, scope, justification));
        self
    }

    /// Accepts that nothing judges the licences of packages of a kind (`LIC-015`): `kind` is the word that package URLs use for
    /// it, such as `deb` or `npm`.
    #[must_use]
    #[track_caller]
    pub fn accept_unjudged(self, kind: impl Into<String>, justification: Justification) -> Self {
        self.accept(LicenseCode::OtherKind, kind, justification)
    }
}

proof! {
    /// What a licence check saw.
    pub struct LicenseReport("check of the licences") {
        /// The image's id.
        image: String => &str,
        /// Its Python packages.
        packages: Vec<JudgedPackage> => &[JudgedPackage],
        /// How many packages of other kinds it has, by the word that package URLs use for the kind.
        not_judged: BTreeMap<String, usize> => &BTreeMap<String, usize>,
    }
}

/// A package of an image, and what it was approved as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedPackage {
    /// The normalised name.
    pub name: String,
    /// The version.
    pub version: String,
    /// What its metadata says of its licence, as `classifier (metadata)`.
    pub license: String,
    /// The SPDX expression that it is approved as; nothing if it is not approved.
    pub spdx: Option<String>,
}

impl Judged for LicenseReport {
    fn subject(&self) -> Subject {
        Subject::Image(self.image.clone())
    }
}

impl Step for LicenseCheck {
    type Input = ImageUnderTest;
    type Output = LicenseReport;

    fn run(&self, cx: &Context, image: ImageUnderTest) -> Result<Outcome<LicenseReport>, StepError> {
        let rows = load_approved(cx, &self.approved)?;
        let mut locked = None;
        if let Some(lock) = &self.locked {
            locked = Some((lock, lock.read(cx)?));
        }
        let found = packages_of(cx, &image.id)?;
        let approved = Approved::new(&self.approved, &rows, cx.today());
        let packages = locked.as_ref().map(|(lock, locked)| (lock.path(), locked.packages.as_slice()));
        let options = locked.iter().flat_map(|(lock, locked)| lock.findings(locked));
        Ok(report(&image.id, &found, &approved, packages).findings(options).exceptions(self.relaxations()))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![docker_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        ExportedImage::explain()
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.accepted.iter().cloned().chain(self.locked.iter().flat_map(LockFile::exceptions)).collect()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

pub(super) fn report(
    image: &str,
    found: &Found,
    approved: &Approved<'_>,
    locked: Option<(&Utf8Path, &[LockedPackage])>,
) -> Outcome<LicenseReport> {
    let Found { distributions: found, strays, others } = found;
    let mut findings = judge(found, approved, locked);
    findings.extend(strays.iter().map(judge_stray));
    findings.extend(others.iter().map(|(kind, count)| judge_other(kind, *count)));
    let judged = |one: &Distribution| {
        let content = one.content.as_ref().ok()?;
        Some(JudgedPackage {
            name: content.normalized_name(),
            version: content.version.clone(),
            license: content.license.to_string(),
            spdx: approved.exact(content).map(|row| row.spdx.clone()),
        })
    };
    let packages: Vec<_> = found.iter().filter_map(judged).collect();
    let open = found.len() - packages.iter().filter(|package| package.spdx.is_some()).count();
    let denied = findings.iter().filter(|finding| finding.level == Level::Deny).count();
    let all = found.len() + others.values().sum::<usize>();
    let packages_found = match all == found.len() {
        true => counted(all, "package"),
        false => format!("{} of {}", found.len(), counted(all, "package")),
    };
    let headline = match (open, denied) {
        (0, 0) => format!("{packages_found}, all approved"),
        (0, denied) => format!("{packages_found}, {}", counted(denied, "finding")),
        (open, _) => format!("{packages_found}, {open} not approved"),
    };
    let not_judged = others.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
    Outcome::of(LicenseReport { image: image.to_owned(), packages, not_judged })
        .findings(findings)
        .fact("packages", all)
        .fact("packages_judged", found.len())
        .fact("packages_not_approved", open)
        .fact("rows", approved.rows.len())
        .headline(headline)
}

pub(super) fn load_approved(cx: &Context, path: &Utf8Path) -> Result<Vec<ApprovedPackage>, StepError> {
    let bytes = cx.read_file(path)?;
    let rule = |column: &str, cell: &str| match column {
        "approved_by" => check_owner(cell).map_err(|error| error.to_string()),
        _ => check_reason(cell).map_err(|error| error.to_string()),
    };
    Ok(read_approved(path, &bytes, rule)
        .map_err(|error| ReadError::new("the list of approved packages", error.problem).at(error.location))?)
}
