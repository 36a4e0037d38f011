use std::collections::BTreeSet;

use jiff::civil::Date;

use super::findings::{Judgement, PackageCounts, not_judged};
use super::misconfigurations::Checked;
use crate::docker::ImageUnderTest;
use crate::formats::ignore_file::{IgnoreFile, review_file};
use crate::formats::printable::printable;
use crate::formats::requirements::normalized_name;
use crate::formats::trivy_report::{TrivyReport, Vulnerability};
use crate::model::Severity;
use crate::model::by_key::ByKey;
use crate::policy::FindingsByName;
use crate::step::Outcome;
use crate::trivy::{KnownFlaw, ScanReport, ScannedPackage, VulnerabilityDatabase};

/// What Trivy calls installed Python packages.
const PYTHON: &str = "python-pkg";

/// A scan that is proven to have looked.
#[derive(Debug)]
pub(super) struct Scanned<'a> {
    pub(super) image: &'a ImageUnderTest,
    pub(super) trivy: &'a semver::Version,
    pub(super) database: &'a VulnerabilityDatabase,
    pub(super) report: &'a TrivyReport,
    pub(super) dockerfiles: Checked,
}

impl Scanned<'_> {
    /// What it means: findings, the exceptions and what is wrong with them, and the facts.
    pub(super) fn outcome(self, judgement: &Judgement<'_>, ignored: IgnoreFile, today: Date) -> Outcome<ScanReport> {
        let Self { image, trivy, database, report, dockerfiles } = self;
        let counts = PackageCounts::of(report, database);
        let files = dockerfiles.files;
        let mut findings = judgement.findings(report);
        findings.extend(dockerfiles.findings);
        let review = review_file(&ignored, &findings);
        let mut exceptions = ignored.exceptions;
        exceptions.extend(dockerfiles.exceptions);
        let by_name = FindingsByName::new(&findings, &exceptions);
        let valid = exceptions.iter().filter(|exception| !exception.justification.is_expired(today));
        let covered: BTreeSet<_> = valid.flat_map(|exception| by_name.covered_by(exception)).map(|it| it.0).collect();
        let ignored_count = covered.len();
        findings.extend(not_judged(report, database));
        findings.extend(ignored.findings);
        findings.extend(review);
        let os = report.os.as_ref().map_or_else(String::new, |os| printable(&format!("{} {}", os.family, os.name)));
        let value = ScanReport {
            image: image.id.clone(),
            trivy: trivy.to_string(),
            database: database.to_string(),
            database_updated_at: database.updated_at,
            os: os.clone(),
            packages: counts.all(),
            packages_judged: counts.judged,
            vulnerabilities: report.vulnerabilities().count(),
            python_judged: database.covers(PYTHON),
            python: python_packages(report),
        };
        let vulnerable = vulnerable_packages(report);
        let of_all = if counts.judged == counts.all() { String::new() } else { format!(" of {}", counts.all()) };
        let ignored_too = if ignored_count == 0 { String::new() } else { format!(", {ignored_count} ignored") };
        let mut outcome = Outcome::of(value)
            .headline(format!("{}{of_all} packages, {vulnerable} vulnerable{ignored_too}", counts.judged))
            .fact("os", os)
            .fact("os_packages", counts.os)
            .fact("python_packages", counts.python)
            .fact("other_packages", counts.other)
            .fact("judged_packages", counts.judged)
            .fact("vulnerable_packages", vulnerable)
            .fact("vulnerabilities", report.vulnerabilities().count());
        for severity in [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Unknown] {
            let count = report.vulnerabilities().filter(|flaw| flaw.severity == severity).count();
            outcome = outcome.fact(&format!("vulnerabilities_{severity}"), count);
        }
        outcome
            .fact("secrets", report.results.iter().map(|result| result.secrets.len()).sum::<usize>())
            .fact("dockerfiles", files)
            .fact("ignored", ignored_count)
            .fact("database", database.to_string())
            .fact("database_updated_at", database.updated_at.to_string())
            .fact("trivy_version", trivy.to_string())
            .findings(findings)
            .exceptions(exceptions)
    }
}

/// The Python packages with their flaws, for a step that asks somebody else about them too.
fn python_packages(report: &TrivyReport) -> Vec<ScannedPackage> {
    let results = report.results.iter().filter(|result| result.kind == PYTHON);
    let packages = results.flat_map(|result| {
        let flaws = result.vulnerabilities.iter();
        let flaws: ByKey<_, _> =
            flaws.map(|flaw| ((flaw.pkg_name.as_str(), flaw.installed_version.as_str()), flaw)).collect();
        result.packages.iter().map(move |package| ScannedPackage {
            name: normalized_name(&package.name),
            version: package.version.clone(),
            flaws: flaws.of(&(package.name.as_str(), package.version.as_str())).copied().map(known_flaw).collect(),
        })
    });
    packages.collect()
}

fn known_flaw(flaw: &Vulnerability) -> KnownFlaw {
    KnownFlaw {
        ids: [&flaw.id].into_iter().chain(&flaw.other_ids).cloned().collect(),
        severity: flaw.severity,
        title: flaw.title.clone(),
        fixed_version: flaw.fixed_version.clone(),
    }
}

/// How many packages have at least one flaw, by name and version.
fn vulnerable_packages(report: &TrivyReport) -> usize {
    let packages: BTreeSet<_> =
        report.vulnerabilities().map(|flaw| (&flaw.pkg_name, &flaw.installed_version)).collect();
    packages.len()
}

#[cfg(test)]
mod tests {
    use super::super::sources::Sources;
    use super::*;
    use crate::formats::ignore_file::read_plain;
    use crate::formats::trivy_db::Ecosystem;
    use crate::formats::trivy_report::Package;
    use crate::model::by_key::counting;
    use crate::model::{Judged as _, Level, Status, Subject};
    use crate::policy::{Policy, evaluate};
    use crate::trivy::DatabaseOrigin;

    /// A report on so many packages with so many flaws each, and all of them in one package more.
    fn many(packages: usize, flaws: usize) -> TrivyReport {
        let mut report = TrivyReport::from_json(REPORT.as_bytes()).expect("a report");
        let python = report.results.iter_mut().find(|result| result.kind == PYTHON).expect("packages");
        let flaw = python.vulnerabilities[0].clone();
        let named = |number: usize| format!("p{number}");
        python.packages =
            (0..packages).map(|number| Package { name: named(number), version: "1.0".to_owned() }).collect();
        python.vulnerabilities = (0..packages)
            .flat_map(|number| vec![number; flaws])
            .map(|number| Vulnerability {
                pkg_name: named(number),
                installed_version: "1.0".to_owned(),
                ..flaw.clone()
            })
            .collect();
        report
    }

    #[test]
    fn no_scan_grows_faster_than_its_packages_and_findings() {
        for (flaws, one) in [(1, false), (3, false), (1, true)] {
            counting::is_linear("packages and their flaws", 8, |count| {
                let report = if one { many(1, count) } else { many(count, flaws) };
                let packages = python_packages(&report);
                let all: usize = packages.iter().map(|package| package.flaws.len()).sum();
                assert_eq!(all, report.vulnerabilities().filter(|flaw| flaw.pkg_name.starts_with('p')).count());
            });
        }
    }

    const REPORT: &str = include_str!("../../../tests/data/trivy/debian-python-0.70.0.json");
    const IMAGE: &str = "sha256:dcf6c8e3cee370de832f7cf66708007c59d5e780bdef7a539ad4b91f9cf9dcfd";
    const FLAWS: [&str; 5] = ["CVE-2023-30861", "CVE-2023-46136", "CVE-2023-23934", "CVE-2023-25577", "CVE-2023-32681"];

    fn database(origin: DatabaseOrigin) -> VulnerabilityDatabase {
        VulnerabilityDatabase {
            cache_dir: "cache".into(),
            origin,
            updated_at: "2024-10-10T00:00:00Z".parse().expect("a time"),
            sha256: String::new(),
            age_hours_max: 48,
        }
    }

    fn official() -> VulnerabilityDatabase {
        database(DatabaseOrigin::Official { repository: "example.org/trivy-db:2".to_owned() })
    }

    fn outcome(database: &VulnerabilityDatabase, threshold: Severity, ignore: &str) -> Outcome<ScanReport> {
        let report = TrivyReport::from_json(REPORT.as_bytes()).expect("a report");
        let image = ImageUnderTest { id: IMAGE.to_owned(), name: "app:1".to_owned(), commit: "c0ffee".to_owned() };
        let trivy = semver::Version::new(0, 70, 0);
        let ignored = read_plain("ci/.trivyignore".into(), ignore.as_bytes());
        let sources = Sources::default();
        let judgement = Judgement { threshold, locked: None, sources: &sources };
        let dockerfiles = Checked::default();
        Scanned { image: &image, trivy: &trivy, database, report: &report, dockerfiles }.outcome(
            &judgement,
            ignored,
            today(),
        )
    }

    fn today() -> Date {
        "2026-11-21".parse().expect("a date")
    }

    fn entry(id: &str, expires: &str) -> String {
        format!(
            "# reason: only reached by requests that we never make\n# owner: @org/security\n\
             # fix-blocked-by: the next release of our plugin, which pins it\n{id} exp:{expires}\n\n"
        )
    }

    /// The verdict, and the findings that no exception allows.
    fn verdict(ignore: &str) -> (Status, Vec<String>) {
        let outcome = outcome(&official(), Severity::Low, ignore);
        let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), today());
        let denied =
            verdict.findings.iter().filter(|it| it.exception.is_none()).map(|it| it.code.to_string()).collect();
        (verdict.status, denied)
    }

    #[test]
    fn flaws_fail_the_step() {
        assert_eq!(verdict(""), (Status::Failed, FLAWS.map(str::to_owned).to_vec()));
        let outcome = outcome(&official(), Severity::Low, "");
        assert_eq!(outcome.facts.headline(), Some("5 packages, 3 vulnerable"));
        assert_eq!(outcome.value.subject(), Subject::Image(IMAGE.to_owned()));
    }

    #[test]
    fn python_packages_and_their_flaws_are_given_on() {
        let value = outcome(&official(), Severity::Low, "").value;
        let seen: Vec<_> =
            value.python.iter().map(|one| (one.name.as_str(), one.version.as_str(), one.flaws.len())).collect();
        assert_eq!(
            seen,
            [("flask", "2.2.2", 1), ("werkzeug", "2.2.2", 3), ("click", "8.1.7", 0), ("requests", "2.30.0", 1)]
        );
        assert_eq!(value.python[3].flaws[0].ids, ["CVE-2023-32681", "PYSEC-2023-74", "GHSA-j8r2-6x86-q33q"]);
        assert!(value.python_judged);
    }

    #[test]
    fn complete_entries_exempt_what_they_name() {
        let all: String = FLAWS.iter().map(|id| entry(id, "2026-12-15")).collect();
        assert_eq!(verdict(&all), (Status::Exempted, Vec::new()));
        let outcome = outcome(&official(), Severity::Low, &all);
        assert_eq!(outcome.facts.headline(), Some("5 packages, 3 vulnerable, 5 ignored"));
        let (status, denied) = verdict(&FLAWS[..4].iter().map(|id| entry(id, "2026-12-15")).collect::<String>());
        assert_eq!((status, denied), (Status::Failed, vec!["CVE-2023-32681".to_owned()]));
    }

    #[test]
    fn entries_that_lack_something_leave_the_flaw_denied() {
        let others: String = FLAWS[..4].iter().map(|id| entry(id, "2026-12-15")).collect();
        for (last, codes) in [
            ("CVE-2023-32681\n".to_owned(), vec!["CVE-2023-32681", "IGN-001", "IGN-002", "IGN-003"]),
            ("# owner: @org/security\nCVE-2023-32681 exp:2026-12-15\n".to_owned(), vec!["CVE-2023-32681", "IGN-001"]),
            (entry("CVE-2023-32681", "2026-12-15").replace("# fix-blocked-by", "# see"), vec!["IGN-012"]),
            (entry("CVE-2023-32681", "2020-01-01"), vec!["CVE-2023-32681", "IGN-004"]),
            (entry("CVE-2023-32681", "2026-11-21"), vec!["CVE-2023-32681", "IGN-004"]),
            (entry("CVE-2099-12345", "2026-12-15"), vec!["CVE-2023-32681", "IGN-006"]),
            (entry("CVE-2023-32681", "2028-01-01"), vec!["CVE-2023-32681", "IGN-005"]),
            (entry("PYSEC-2023-74", "2026-12-15") + &entry("CVE-2023-32681", "2026-12-15"), vec!["IGN-013"]),
        ] {
            let (status, denied) = verdict(&(others.clone() + &last));
            assert_eq!((status, denied), (Status::Failed, codes.into_iter().map(str::to_owned).collect()), "{last}");
        }
    }

    #[test]
    fn what_an_offline_database_cannot_judge_is_said() {
        let as_of = "2024-10-10".parse().expect("a date");
        let offline = database(DatabaseOrigin::Offline { as_of, ecosystems: vec![Ecosystem::PyPi], advisories: 2650 });
        let outcome = outcome(&offline, Severity::Low, "");
        assert_eq!(outcome.facts.headline(), Some("4 of 5 packages, 3 vulnerable"));
        let warning = outcome.findings.last().expect("a warning");
        assert_eq!((warning.code.as_str(), warning.level), ("TRV-001", Level::BlockClearance));
        assert_eq!(warning.message, "not judged by the offline database of 2024-10-10, PyPI only: 1 debian package");
    }
}
