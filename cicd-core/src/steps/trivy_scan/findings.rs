use std::collections::BTreeMap;

use camino::Utf8Path;

use super::ScanCode;
use super::sources::Sources;
use crate::formats::printable::{counted, printable};
use crate::formats::requirements::{LockedRequirements, normalized_name};
use crate::formats::trivy_report::{FoundSecret, Misconfiguration, ScanResult, TrivyReport, Vulnerability};
use crate::model::{Code, Finding, Level, Location, Severity, Target};
use crate::trivy::VulnerabilityDatabase;

/// How a report is turned into findings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Judgement<'a> {
    pub(super) threshold: Severity,
    pub(super) locked: Option<(&'a Utf8Path, &'a LockedRequirements)>,
    pub(super) sources: &'a Sources,
}

impl Judgement<'_> {
    /// Every flaw, secret and misconfiguration of a report on an image. What does not reach the threshold is a warning, not left out.
    pub(super) fn findings(&self, report: &TrivyReport) -> Vec<Finding> {
        let mut findings = Vec::new();
        for result in &report.results {
            findings.extend(result.vulnerabilities.iter().map(|flaw| self.flaw(report, result, flaw)));
            findings.extend(result.secrets.iter().map(|secret| self.secret(report, result, secret)));
            let failures = result.misconfigurations.iter().filter(|found| found.is_failure());
            findings.extend(failures.map(|found| self.misconfiguration(report, result, found)));
        }
        findings
    }

    fn flaw(&self, report: &TrivyReport, result: &ScanResult, flaw: &Vulnerability) -> Finding {
        let package = printable(&flaw.pkg_name);
        let installed = printable(&flaw.installed_version);
        let what = match (flaw.title.trim(), flaw.other_ids.first()) {
            ("", Some(other)) => format!("known flaw {}", printable(other)),
            ("", None) => "known flaw".to_owned(),
            (title, _) => printable(title),
        };
        let fixed_in = Some(flaw.fixed_version.trim()).filter(|versions| !versions.is_empty());
        let fixed_in = fixed_in.map(|versions| printable(&versions.replace(", ", " or ")));
        let help = match &fixed_in {
            None => {
                format!("no version of {package} without this flaw is known: replace it, or write down an exception")
            }
            Some(versions) => format!("upgrade {package} to {versions}"),
        };
        let purl = flaw.identifier.purl.clone().unwrap_or_else(|| format!("{package}@{installed}"));
        let mut finding = Finding::with_code(Code::new(printable(&flaw.id)), format!("{package} {installed}: {what}"))
            .severity(flaw.severity)
            .level(self.level(flaw.severity))
            .target(Target::package(printable(&purl)))
            .help(help);
        finding.aliases = flaw.other_ids.iter().map(|id| printable(id)).collect();
        finding.fixed_in = fixed_in;
        let layer = flaw.layer.diff_id.as_deref();
        finding.location = self.pinned_at(result, &flaw.pkg_name).or_else(|| self.sources.place_of(report, layer));
        finding
    }

    fn secret(&self, report: &TrivyReport, result: &ScanResult, secret: &FoundSecret) -> Finding {
        let (path, title) = (printable(&result.target), printable(&secret.title));
        let message = format!("{title} in the image's {path}, line {}", secret.start_line);
        let mut finding = Finding::with_code(Code::new(printable(&secret.rule)), message)
            .severity(secret.severity)
            .level(self.level(secret.severity))
            .target(Target::file(&path))
            .help("keep it out of the image, and revoke it: every copy of the image has it");
        finding.location = self.sources.place_of(report, secret.layer.diff_id.as_deref());
        finding
    }

    fn misconfiguration(&self, report: &TrivyReport, result: &ScanResult, found: &Misconfiguration) -> Finding {
        let path = printable(&result.target);
        let message = format!("{} (the image's {path}, line {})", printable(&found.message), found.cause.start_line);
        let mut finding = Finding::with_code(Code::new(printable(&found.id)), message)
            .severity(found.severity)
            .level(self.level(found.severity))
            .target(Target::file(&path));
        if !found.resolution.trim().is_empty() {
            finding = finding.help(printable(&found.resolution));
        }
        finding.aliases = misconfiguration_aliases(finding.code.as_str());
        finding.location = self.sources.place_of(report, found.layer.diff_id.as_deref());
        finding
    }

    pub(super) fn level(&self, severity: Severity) -> Level {
        if severity.reaches(self.threshold) { Level::Deny } else { Level::Warn }
    }

    /// The line that somebody has to change.
    fn pinned_at(&self, result: &ScanResult, package: &str) -> Option<Location> {
        let (path, locked) = self.locked.filter(|_| result.kind == "python-pkg")?;
        locked.line_of(&normalized_name(package)).map(|line| Location::line(path, line))
    }
}

/// The older names of a rule for configuration files, which Trivy takes too: `AVD-DS-0002` and `DS002` for `DS-0002`.
pub(super) fn misconfiguration_aliases(code: &str) -> Vec<String> {
    let oldest = code.split_once("-0").filter(|(_, digits)| digits.len() == 3);
    let oldest = oldest.map(|(family, digits)| format!("{family}{digits}"));
    [format!("AVD-{code}")].into_iter().chain(oldest).collect()
}

/// How many packages there are of which kind, and whether the database can judge them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct PackageCounts {
    pub(super) os: usize,
    pub(super) python: usize,
    pub(super) other: usize,
    pub(super) judged: usize,
}

impl PackageCounts {
    pub(super) fn of(report: &TrivyReport, database: &VulnerabilityDatabase) -> Self {
        let mut counts = Self::default();
        for result in &report.results {
            let packages = result.packages.len();
            match (result.class.as_str(), result.kind.as_str()) {
                ("os-pkgs", _) => counts.os += packages,
                (_, "python-pkg") => counts.python += packages,
                _ => counts.other += packages,
            }
            if database.covers(&result.kind) {
                counts.judged += packages;
            }
        }
        counts
    }

    pub(super) fn all(&self) -> usize {
        self.os + self.python + self.other
    }
}

/// The packages that the database knows nothing about, one finding for each kind. An image of which a part was not judged is not
/// cleared unless somebody answers for that.
pub(super) fn not_judged(report: &TrivyReport, database: &VulnerabilityDatabase) -> Vec<Finding> {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for result in report.results.iter().filter(|result| !database.covers(&result.kind) && !result.packages.is_empty()) {
        *kinds.entry(&result.kind).or_default() += result.packages.len();
    }
    let finding = |(kind, count): (&str, usize)| {
        let packages = counted(count, &format!("{} package", printable(kind)));
        Finding::new(ScanCode::NotJudged, format!("not judged by the {database}: {packages}"))
            .level(Level::BlockClearance)
            .severity(Severity::Medium)
            .target(Target::Name(printable(kind)))
    };
    kinds.into_iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = include_str!("../../../tests/data/trivy/debian-python-0.70.0.json");
    const LOCKED: &str = "click==8.1.7\nflask==2.2.2\nrequests==2.30.0\nwerkzeug==2.2.2\n";

    fn findings(text: &str, threshold: Severity) -> Vec<Finding> {
        let report = TrivyReport::from_json(text.as_bytes()).expect("a report");
        let locked = LockedRequirements::parse(LOCKED).expect("a locked file");
        let locked = Some((Utf8Path::new("app/requirements.txt"), &locked));
        Judgement { threshold, locked, sources: &Sources::default() }.findings(&report)
    }

    #[test]
    fn a_flaw_says_what_where_and_what_to_do() {
        let findings = findings(REPORT, Severity::Low);
        assert_eq!(findings.len(), 5);
        let Finding { code, message, target, aliases, location, help, level, .. } = &findings[4];
        assert_eq!(code.as_str(), "CVE-2023-32681");
        assert_eq!(message, "requests 2.30.0: known flaw PYSEC-2023-74");
        assert_eq!(*target, Some(Target::package("pkg:pypi/requests@2.30.0")));
        assert_eq!(aliases, &["PYSEC-2023-74", "GHSA-j8r2-6x86-q33q"]);
        assert_eq!(location.as_ref().expect("a place").to_string(), "app/requirements.txt:3");
        assert_eq!((help.as_deref(), *level), (Some("upgrade requests to 2.31.0"), Level::Deny));
        assert_eq!(findings[0].help.as_deref(), Some("upgrade Flask to 2.2.5 or 2.3.2"));
    }

    #[test]
    fn below_the_threshold_is_a_warning_and_unrated_is_never_below() {
        let medium = REPORT.replace("\"HIGH\"", "\"MEDIUM\"");
        let levels: Vec<_> = findings(&medium, Severity::High).iter().map(|it| (it.severity, it.level)).collect();
        assert_eq!(levels[1], (Severity::Medium, Level::Warn));
        assert_eq!(levels.iter().filter(|(severity, _)| *severity == Severity::Unknown).count(), 4);
        assert!(levels.iter().all(|(severity, level)| (*level == Level::Deny) == (*severity == Severity::Unknown)));
        assert_eq!(findings(REPORT, Severity::High)[1].level, Level::Deny);
    }

    #[test]
    fn a_hostile_title_does_no_harm() {
        let hostile = "\"Title\": \"a\\n::error::x\\u001b[2J\\u202e\", \"VulnerabilityID\": \"CVE-2023-32681\"";
        let text = REPORT.replace("\"VulnerabilityID\": \"CVE-2023-32681\"", hostile);
        let findings = findings(&text, Severity::Low);
        assert_eq!(findings[4].message, "requests 2.30.0: a ::error::x\u{FFFD}[2J\u{FFFD}");
    }

    #[test]
    fn a_secret_is_told_without_showing_it() {
        let findings = findings(include_str!("../../../tests/data/trivy/secret-0.70.0.json"), Severity::Low);
        let secret = findings.last().expect("a secret");
        assert_eq!(secret.code.as_str(), "aws-access-key-id");
        assert_eq!(secret.message, "AWS Access Key ID in the image's /app/settings.env, line 1");
        assert_eq!((secret.severity, secret.level), (Severity::Critical, Level::Deny));
        assert_eq!(secret.target, Some(Target::file("/app/settings.env")));
    }
}
