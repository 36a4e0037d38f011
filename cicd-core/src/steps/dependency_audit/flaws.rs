use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use camino::Utf8Path;
use pep440_rs::Version;

use super::pip_audit::{Audited, IndexFlaw};
use crate::formats::printable::printable;
use crate::formats::requirements::LockedRequirements;
use crate::model::by_key::{ByKey, counting};
use crate::model::{Code, Finding, Level, Location, Severity, Target};
use crate::step::StepError;
use crate::trivy::{KnownFlaw, ScannedPackage};

/// What the sources are called in a message.
const TRIVY: &str = "Trivy";
const PIP_AUDIT: &str = "pip-audit";

/// A flaw of a package, under all names that any source has for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    package: String,
    version: String,
    ids: BTreeSet<String>,
    severity: Option<Severity>,
    title: String,
    fixed: BTreeSet<String>,
    sources: BTreeSet<&'static str>,
}

/// Checks that every locked package was audited by everybody who was asked.
///
/// # Errors
/// The packages that were not.
pub(super) fn every_locked(
    path: &Utf8Path,
    locked: &LockedRequirements,
    scanned: &[ScannedPackage],
    opinion: Option<&[Audited]>,
) -> Result<(), StepError> {
    let version = |one: &ScannedPackage| Version::from_str(&one.version).ok();
    let scanned: BTreeSet<_> = scanned.iter().filter_map(|one| Some((one.name.as_str(), version(one)?))).collect();
    let opinion: Option<ByKey<_, _>> =
        opinion.map(|audited| audited.iter().map(|one| (one.name.as_str(), &one.answer)).collect());
    for package in &locked.packages {
        let place = Location::line(path, package.line);
        let (name, version) = (&package.name, &package.version);
        let missed = |source: &str, why: &str| {
            StepError::not_looked(
                format!("{place}: {name} {version} was not audited by {source}: {why}"),
                "what nobody looked at may have any flaw; see the step's log",
            )
        };
        let is_it = |other: &str| Version::from_str(other).as_ref() == Ok(version);
        counting::one();
        if !scanned.contains(&(name.as_str(), version.clone())) {
            return Err(missed(TRIVY, "it is not in the image that was scanned"));
        }
        let Some(audited) = &opinion else { continue };
        match audited.of(name.as_str()).next().copied() {
            Some(Ok((audited, _))) if is_it(audited) => {}
            Some(Ok((audited, _))) => return Err(missed(PIP_AUDIT, &format!("version {} was", printable(audited)))),
            Some(Err(skipped)) => return Err(missed(PIP_AUDIT, &printable(skipped))),
            None => return Err(missed(PIP_AUDIT, "it is not in the report")),
        }
    }
    Ok(())
}

/// All flaws, those with a name in common put together.
pub(super) fn merge(scanned: &[ScannedPackage], opinion: &[Audited]) -> Vec<Flaw> {
    let mut all: Vec<Flaw> = Vec::new();
    for package in scanned {
        all.extend(package.flaws.iter().map(|flaw| Flaw::of_trivy(package, flaw)));
    }
    for audited in opinion {
        let Ok((version, flaws)) = &audited.answer else { continue };
        all.extend(flaws.iter().map(|flaw| Flaw::of_index(&audited.name, version, flaw)));
    }
    // A later name may connect two that had nothing in common so far.
    let mut same = SameAs((0..all.len()).collect());
    let mut first_of: BTreeMap<_, usize> = BTreeMap::new();
    for (index, flaw) in all.iter().enumerate() {
        let package = (flaw.package.as_str(), flaw.version());
        for id in &flaw.ids {
            let first = *first_of.entry((package.clone(), id.as_str())).or_insert(index);
            same.join(first, index);
        }
    }
    let mut merged: BTreeMap<usize, Flaw> = BTreeMap::new();
    for (index, flaw) in all.into_iter().enumerate() {
        let flaw = match merged.remove(&same.first(index)) {
            Some(known) => known.and(flaw),
            None => flaw,
        };
        merged.insert(same.first(index), flaw);
    }
    let mut merged: Vec<Flaw> = merged.into_values().collect();
    merged.sort_by(|one, other| {
        (&one.package, &one.version, one.name()).cmp(&(&other.package, &other.version, other.name()))
    });
    merged
}

/// Which entries of a list are the same, each by the first of them.
struct SameAs(Vec<usize>);

impl SameAs {
    fn first(&mut self, mut index: usize) -> usize {
        while self.0[index] != index {
            counting::one();
            // Halving the way keeps all later ways short.
            self.0[index] = self.0[self.0[index]];
            index = self.0[index];
        }
        index
    }

    fn join(&mut self, one: usize, other: usize) {
        counting::one();
        let (one, other) = (self.first(one), self.first(other));
        self.0[one.max(other)] = one.min(other);
    }
}

impl Flaw {
    fn of_trivy(package: &ScannedPackage, flaw: &KnownFlaw) -> Self {
        let fixed = flaw.fixed_version.split(',').map(|version| version.trim().to_owned());
        Self {
            package: package.name.clone(),
            version: package.version.clone(),
            ids: flaw.ids.iter().cloned().collect(),
            severity: Some(flaw.severity),
            title: flaw.title.clone(),
            fixed: fixed.filter(|version| !version.is_empty()).collect(),
            sources: BTreeSet::from([TRIVY]),
        }
    }

    fn of_index(package: &str, version: &str, flaw: &IndexFlaw) -> Self {
        Self {
            package: package.to_owned(),
            version: version.to_owned(),
            ids: flaw.ids().cloned().collect(),
            severity: None,
            title: flaw.description.lines().next().unwrap_or("").to_owned(),
            fixed: flaw.fix_versions.iter().cloned().collect(),
            sources: BTreeSet::from([PIP_AUDIT]),
        }
    }

    /// What its version is compared as: 1.0 is 1.0.0, and what is no version is itself.
    fn version(&self) -> Result<Version, &str> {
        Version::from_str(&self.version).map_err(|_| self.version.as_str())
    }

    fn and(mut self, other: Self) -> Self {
        self.ids.extend(other.ids);
        self.severity = self.severity.max(other.severity);
        if self.title.trim().is_empty() {
            self.title = other.title;
        }
        self.fixed.extend(other.fixed);
        self.sources.extend(other.sources);
        self
    }

    /// The name that most people know it by.
    fn name(&self) -> &str {
        let rank =
            |id: &&String| ["CVE-", "GHSA-", "PYSEC-"].iter().position(|start| id.starts_with(start)).unwrap_or(3);
        self.ids.iter().min_by_key(rank).map_or("unnamed", String::as_str)
    }

    /// The one finding for it.
    pub(super) fn finding(&self, threshold: Severity, locked: (&Utf8Path, &LockedRequirements)) -> Finding {
        let (package, version) = (printable(&self.package), printable(&self.version));
        let title = if self.title.trim().is_empty() { "known flaw".to_owned() } else { printable(&self.title) };
        let sources: Vec<_> = self.sources.iter().copied().collect();
        let name = self.name();
        let others: Vec<_> = self.ids.iter().filter(|id| *id != name).map(|id| printable(id)).collect();
        let also = if others.is_empty() { String::new() } else { format!(", also {}", others.join(", ")) };
        let message = format!("{package} {version}: {title} (known to {}{also})", sources.join(" and "));
        let fixed: Vec<_> = self.fixed.iter().map(|version| printable(version)).collect();
        let help = match fixed.as_slice() {
            [] => format!("no version of {package} without this flaw is known: replace it, or write down an exception"),
            fixed => format!("upgrade {package} to {}", fixed.join(" or ")),
        };
        // What nobody has rated counts as the worst.
        let severity = self.severity.unwrap_or(Severity::Unknown);
        let (path, locked) = locked;
        let mut finding = Finding::with_code(Code::new(printable(name)), message)
            .severity(severity)
            .level(if severity.reaches(threshold) { Level::Deny } else { Level::Warn })
            .target(Target::package(format!("pkg:pypi/{package}@{version}")))
            .help(help);
        finding.aliases = others;
        finding.location = locked.line_of(&self.package).map(|line| Location::line(path, line));
        finding
    }
}
