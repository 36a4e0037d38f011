use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use jiff::civil::Date;
use pep440_rs::Version;

use super::LicenseCode;
use super::diff::diff;
use crate::docker::{Distribution, PythonContent as Content, Stray, StrayKind};
use crate::formats::printable::counted;
use crate::formats::requirements::LockedPackage;
use crate::formats::{ApprovedPackage, check_spdx, contradicting_classifier, same_spdx};
use crate::model::by_key::{ByKey, counting};
use crate::model::{Finding, Level, Location, Severity, Target};

/// Approved versions of a package beyond these are not named in a message.
const VERSIONS_MAX: usize = 5;

/// The list of approved packages and where it is.
#[derive(Debug)]
pub(super) struct Approved<'a> {
    path: &'a Utf8Path,
    pub(super) rows: &'a [ApprovedPackage],
    today: Date,
    by_name: ByKey<String, &'a ApprovedPackage>,
    /// The approved rows alone, by name and then by version.
    approved: BTreeMap<String, BTreeMap<Comparable<'a>, &'a ApprovedPackage>>,
}

/// A version such that those are equal that [`same_version`](crate::formats::same_version) takes for the same, 1.0 and 1.0.0; what is
/// none is itself, and comes after all that are.
type Comparable<'a> = Result<Version, &'a str>;

fn comparable(version: &str) -> Comparable<'_> {
    version.parse().map_err(|_| version)
}

impl<'a> Approved<'a> {
    pub(super) fn new(path: &'a Utf8Path, rows: &'a [ApprovedPackage], today: Date) -> Self {
        let by_name = rows.iter().map(|row| (row.normalized_name(), row)).collect();
        let mut all = Self { path, rows, today, by_name, approved: BTreeMap::new() };
        for row in rows.iter().filter(|row| is_approved(row, today)) {
            let versions = all.approved.entry(row.normalized_name()).or_default();
            versions.entry(comparable(&row.version)).or_insert(row);
        }
        all
    }

    fn at(&self, row: &ApprovedPackage) -> Location {
        Location::line(self.path, row.line)
    }

    /// The approved versions of a package. A proposal is none.
    fn of_name(&self, name: &str) -> Option<&BTreeMap<Comparable<'a>, &'a ApprovedPackage>> {
        counting::one();
        self.approved.get(name)
    }

    pub(super) fn exact(&self, content: &Content) -> Option<&'a ApprovedPackage> {
        self.of_name(&content.normalized_name())?.get(&comparable(&content.version)).copied()
    }

    /// The approved version that is closest: the newest one before it, else the oldest one after it.
    fn nearest(&self, content: &Content) -> Option<&'a ApprovedPackage> {
        let versions = self.of_name(&content.normalized_name())?;
        let wanted = comparable(&content.version);
        let earlier = versions.range(..=wanted).next_back();
        earlier.or_else(|| versions.first_key_value()).map(|(_, row)| *row)
    }
}

fn is_approved(row: &ApprovedPackage, today: Date) -> bool {
    row.approval.as_ref().is_some_and(|(_, on)| *on <= today)
}

/// Everything there is to say about the packages of an image.
pub(super) fn judge(
    found: &[Distribution],
    approved: &Approved<'_>,
    locked: Option<(&Utf8Path, &[LockedPackage])>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for one in found {
        match &one.content {
            Ok(content) => findings
                .extend(judge_package(content, approved).into_iter().map(|finding| finding.target(purl(content)))),
            Err(problem) => {
                let message = format!("{}: {problem}", one.folder);
                findings.push(Finding::new(LicenseCode::Unreadable, message).target(Target::file(&one.folder)));
            }
        }
    }
    let contents: Vec<_> = found.iter().filter_map(|one| one.content.as_ref().ok()).collect();
    findings.extend(judge_list(&contents, approved));
    if let Some((path, locked)) = locked {
        findings.extend(judge_lock(&contents, path, locked));
    }
    findings
}

/// Code that is not what a package says, or that is of no package.
pub(super) fn judge_stray(stray: &Stray) -> Finding {
    let (code, severity, level) = match stray.kind {
        StrayKind::NoRecord => (LicenseCode::Unreadable, Severity::High, Level::Deny),
        StrayKind::Changed => (LicenseCode::Altered, Severity::Critical, Level::Deny),
        StrayKind::Foreign | StrayKind::Archive => (LicenseCode::Foreign, Severity::High, Level::Deny),
        StrayKind::Startup => (LicenseCode::Foreign, Severity::Critical, Level::Deny),
        StrayKind::Bytecode => (LicenseCode::Bytecode, Severity::High, Level::Deny),
        StrayKind::Bundle => (LicenseCode::Bundle, Severity::Medium, Level::BlockClearance),
    };
    let target = Target::Name(stray.path.clone());
    Finding::new(code, &stray.message).severity(severity).level(level).target(target)
}

/// Packages of a kind that nothing here judges.
pub(super) fn judge_other(kind: &str, count: usize) -> Finding {
    let message = format!("the licences of {} are not judged", counted(count, &format!("{kind} package")));
    Finding::new(LicenseCode::OtherKind, message)
        .severity(Severity::Medium)
        .level(Level::BlockClearance)
        .target(Target::Name(kind.to_owned()))
}

fn purl(content: &Content) -> Target {
    Target::package(format!("pkg:pypi/{}@{}", content.normalized_name(), content.version))
}

fn judge_package(content: &Content, approved: &Approved<'_>) -> Vec<Finding> {
    let Content { name, version, license, missing_files, .. } = content;
    let mut findings = Vec::new();
    let list = Location::file(approved.path);
    if license.is_unknown() {
        findings.push(
            Finding::new(LicenseCode::Unknown, format!("{name} {version} says nothing of its licence"))
                .at(list.clone()),
        );
    }
    if !license.expression.is_empty() {
        if let Err(problem) = check_spdx(&license.expression) {
            findings.push(
                Finding::new(LicenseCode::Spdx, format!("{name} {version}: {problem}")).severity(Severity::Medium),
            );
        } else if let Some(classifier) = contradicting_classifier(license, &license.expression) {
            let message = format!(
                "{name} {version}: License-Expression {} against the classifier {classifier}",
                license.expression
            );
            findings.push(Finding::new(LicenseCode::Contradiction, message));
        }
    }
    if !missing_files.is_empty() {
        let message =
            format!("{name} {version} names licence files that it does not ship: {}", missing_files.join(", "));
        findings.push(Finding::new(LicenseCode::Contradiction, message).severity(Severity::Medium));
    }
    match (approved.exact(content), approved.nearest(content)) {
        (Some(row), _) => findings.extend(judge_row(content, row, approved)),
        (None, Some(nearest)) => {
            let difference = diff(&nearest.license, license);
            let text = match nearest.license_sha256 == content.license_sha256 {
                true => "licence files unchanged",
                false => "licence files changed",
            };
            let message = format!("{name} {version} is not approved, {} is: {difference}; {text}", nearest.version);
            findings.push(Finding::new(LicenseCode::VersionNotApproved, message).at(approved.at(nearest)));
        }
        (None, None) => {
            let proposal = approved.by_name.of(&content.normalized_name()).next();
            let (place, why) = match proposal {
                Some(row) => (approved.at(row), "its row has not been approved"),
                None => (list, "it has no row"),
            };
            let message = format!("{name} {version} ({license}) is not approved: {why}");
            findings.push(Finding::new(LicenseCode::NotApproved, message).at(place));
        }
    }
    findings
}

/// A package against the row that approves exactly this version of it.
fn judge_row(content: &Content, row: &ApprovedPackage, approved: &Approved<'_>) -> Vec<Finding> {
    let Content { name, version, license, .. } = content;
    let mut findings = Vec::new();
    let at = approved.at(row);
    let difference = diff(&row.license, license);
    if !difference.is_empty() {
        let message = format!("{name} {version} was approved with another licence: {difference}");
        findings.push(Finding::new(LicenseCode::Changed, message).at(at.clone()));
    }
    if row.license_sha256 != content.license_sha256 {
        let shown = |digest: &str| digest.get(..12).unwrap_or("none").to_owned();
        let (old, new) = (shown(&row.license_sha256), shown(&content.license_sha256));
        let message = format!("{name} {version}: the licence files have the SHA-256 {new}…, approved was {old}…");
        findings.push(Finding::new(LicenseCode::Changed, message).at(at.clone()));
    }
    let expression = &license.expression;
    if !expression.is_empty() && check_spdx(expression).is_ok() && !same_spdx(expression, &row.spdx) {
        let message = format!("{name} {version}: License-Expression {expression}, approved as {}", row.spdx);
        findings.push(Finding::new(LicenseCode::Contradiction, message).at(at.clone()));
    } else if let Some(classifier) = contradicting_classifier(license, &row.spdx) {
        let message = format!("{name} {version}: approved as {} against the classifier {classifier}", row.spdx);
        findings.push(Finding::new(LicenseCode::Contradiction, message).at(at));
    }
    findings
}

/// The packages of a lock file against the list, before there is an image: those too that a marker locks for some platforms or versions
/// of Python alone, as it is true somewhere.
pub(super) fn judge_locked(path: &Utf8Path, locked: &[LockedPackage], approved: &Approved<'_>) -> Vec<Finding> {
    let mut findings = judge_rows(approved);
    for LockedPackage { name, version, line, .. } in locked {
        let finding = match approved.of_name(name) {
            Some(versions) if versions.contains_key(&Ok(version.clone())) => continue,
            Some(versions) => {
                let some: Vec<_> = versions.values().take(VERSIONS_MAX).map(|row| row.version.as_str()).collect();
                let message = format!("{name} {version} is locked, but approved is {}", some.join(" and "));
                Finding::new(LicenseCode::VersionNotApproved, message)
            }
            None => Finding::new(LicenseCode::NotApproved, format!("{name} {version} is locked, but not approved")),
        };
        findings.push(
            finding.target(Target::package(format!("pkg:pypi/{name}@{version}"))).at(Location::line(path, *line)),
        );
    }
    let names: ByKey<_, _> = locked.iter().map(|one| (one.name.as_str(), one)).collect();
    let needless = approved.rows.iter().filter(|row| !names.has(row.normalized_name().as_str()));
    findings.extend(needless.map(|row| {
        let message = format!("{} {} is approved, but not locked", row.name, row.version);
        Finding::new(LicenseCode::Stale, message).severity(Severity::Low).at(approved.at(row))
    }));
    findings
}

/// The list against the packages of an image: every row has to be needed.
fn judge_list(contents: &[&Content], approved: &Approved<'_>) -> Vec<Finding> {
    let mut findings = judge_rows(approved);
    let mut versions = BTreeSet::new();
    // Where the image has a version that is not approved, that finding already says what to do with the rows of this name.
    let mut not_approved = BTreeSet::new();
    for content in contents {
        versions.insert((content.normalized_name(), comparable(&content.version)));
        if approved.exact(content).is_none() {
            not_approved.insert(content.normalized_name());
        }
    }
    for row in approved.rows {
        let name = row.normalized_name();
        if !not_approved.contains(&name) && !versions.contains(&(name, comparable(&row.version))) {
            let message = format!("{} {} is approved, but not in the image", row.name, row.version);
            findings.push(Finding::new(LicenseCode::Stale, message).severity(Severity::Low).at(approved.at(row)));
        }
    }
    findings
}

/// The list itself: every row has to be good and unique.
fn judge_rows(approved: &Approved<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen: BTreeMap<(String, Version), u32> = BTreeMap::new();
    for row in approved.rows {
        let at = approved.at(row);
        let name = row.normalized_name();
        // As a version, not as text: 1.0 and 1.0.0 are the same.
        if let Ok(version) = row.version.parse::<Version>()
            && let Some(first) = seen.insert((name, version), row.line)
        {
            let message = format!("{} {} is on line {first} already", row.name, row.version);
            findings.push(Finding::new(LicenseCode::Duplicate, message).severity(Severity::Medium).at(at.clone()));
        }
        if is_approved(row, approved.today)
            && let Err(problem) = check_spdx(&row.spdx)
        {
            let message = format!("{} {}: {problem}", row.name, row.version);
            findings.push(Finding::new(LicenseCode::Spdx, message).severity(Severity::Medium).at(at));
        }
    }
    findings
}

fn judge_lock(contents: &[&Content], path: &Utf8Path, locked: &[LockedPackage]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let by_name: ByKey<_, _> = locked.iter().map(|one| (one.name.as_str(), one)).collect();
    let versions: BTreeSet<_> = locked.iter().map(|one| (one.name.as_str(), Ok(one.version.clone()))).collect();
    let (mut present, mut told) = (BTreeSet::new(), BTreeSet::new());
    for content in contents {
        let name = content.normalized_name();
        present.insert((name.clone(), comparable(&content.version)));
        if versions.contains(&(name.as_str(), comparable(&content.version))) {
            continue;
        }
        let (message, place) = match by_name.of(name.as_str()).next() {
            Some(row) => (format!("is locked as {}", row.version), Location::line(path, row.line)),
            None => ("is not locked".to_owned(), Location::file(path)),
        };
        let message = format!("{} {} is in the image, but {message}", content.name, content.version);
        findings.push(Finding::new(LicenseCode::NotAsLocked, message).target(purl(content)).at(place));
        told.insert(name);
    }
    // A condition excuses nothing: whether it holds in the image, nobody has shown. Of what is there in another version than is locked
    // the message above tells.
    for one in locked.iter().filter(|one| !told.contains(&one.name)) {
        if !present.contains(&(one.name.clone(), Ok(one.version.clone()))) {
            let message = format!("{} {} is locked, but not in the image", one.name, one.version);
            findings.push(Finding::new(LicenseCode::NotAsLocked, message).at(Location::line(path, one.line)));
        }
    }
    findings
}
