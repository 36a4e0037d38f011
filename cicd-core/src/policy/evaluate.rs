use jiff::civil::Date;

use super::{Exception, FindingsByName, Origin};
use crate::model::{Code, Finding, Level, Severity, Status, finding_codes};

finding_codes! {
    /// What can be wrong with an exception itself.
    pub enum ExceptionCode {
        Expired = "EXC-001" {
            summary: "an exception has expired",
            help: "fix the finding it allowed, or have the exception reviewed again with a new expiry",
            example: ".allow_root(Justification::new(…, \"2020-01-01\")?)",
        },
        Unused = "EXC-002" {
            summary: "an exception allows nothing that was found",
            help: "delete it; a relaxation nobody needs is a hole nobody watches",
            example: ".allow_root(…) on an image that runs as a numeric non-root user",
        },
        IgnoreExpired = "IGN-004" {
            summary: "an ignore entry has expired",
            help: "upgrade the package, or have the entry reviewed again with a new expiry",
            example: "CVE-2023-32681 exp:2020-01-01",
        },
        IgnoreStale = "IGN-006" {
            summary: "an ignore entry matches nothing that was found",
            help: "delete the entry; it would hide the flaw should it come back",
            example: "an entry for a CVE that no installed package has",
        },
    }
}

/// What the policy says of one step's findings.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// `Passed`, `Exempted` or `Failed`.
    pub status: Status,
    /// The step's findings, marked with the exceptions that allow them, then what is wrong with the exceptions.
    pub findings: Vec<Finding>,
    /// How many findings each exception covers, in the order the exceptions were given.
    pub covered: Vec<usize>,
}

/// Judges findings against exceptions on a day (UTC).
///
/// A finding is allowed by the first exception that covers it and has not expired. An exception that has expired or covers
/// nothing is a finding of its own, so a list of exceptions cannot rot unseen.
#[must_use]
pub fn evaluate(findings: Vec<Finding>, exceptions: &[Exception], today: Date) -> Verdict {
    let mut covered = vec![0; exceptions.len()];
    let mut allowed_by: Vec<Option<&Exception>> = vec![None; findings.len()];
    let by_name = FindingsByName::new(&findings);
    for (exception, count) in exceptions.iter().zip(&mut covered) {
        for (index, _) in by_name.covered_by(exception) {
            *count += 1;
            if !exception.justification.is_expired(today) {
                allowed_by[index].get_or_insert(exception);
            }
        }
    }
    let mut judged = findings;
    for (finding, exception) in judged.iter_mut().zip(allowed_by) {
        finding.exception = exception.map(Exception::to_ref);
    }
    judged.extend(exceptions.iter().zip(&covered).filter_map(|(exception, &count)| defect(exception, count, today)));
    let denied = judged.iter().any(|finding| finding.level == Level::Deny && finding.exception.is_none());
    let exempted = judged.iter().any(|finding| finding.exception.is_some());
    let status = match (denied, exempted) {
        (true, _) => Status::Failed,
        (false, true) => Status::Exempted,
        (false, false) => Status::Passed,
    };
    Verdict { status, findings: judged, covered }
}

/// The finding that an exception has expired, if it has.
#[must_use]
pub fn expired(exception: &Exception, today: Date) -> Option<Finding> {
    let Exception { id, justification, origin, .. } = exception;
    justification.is_expired(today).then(|| {
        let code = match origin {
            Origin::IgnoreFile => ExceptionCode::IgnoreExpired,
            Origin::ExceptionsFile | Origin::Pipeline => ExceptionCode::Expired,
        };
        let ago = days_ago((today - justification.expires).get_days());
        let message =
            format!("the exception for {id} expired on {}, {ago} ({})", justification.expires, justification.owner);
        about(exception, code, message)
    })
}

fn defect(exception: &Exception, count: usize, today: Date) -> Option<Finding> {
    let Exception { id, justification, origin, .. } = exception;
    let unused = || {
        let code = match origin {
            Origin::IgnoreFile => ExceptionCode::IgnoreStale,
            Origin::ExceptionsFile | Origin::Pipeline => ExceptionCode::Unused,
        };
        let message = format!("the exception for {id} covers nothing that was found ({})", justification.owner);
        about(exception, code, message)
    };
    expired(exception, today).or_else(|| (count == 0).then(unused))
}

fn about(exception: &Exception, code: ExceptionCode, message: String) -> Finding {
    Finding::new(code, message)
        .severity(Severity::Medium)
        .at(exception.location.clone())
        .target(Code::new(exception.id.as_str()).to_string())
}

fn days_ago(days: i32) -> String {
    match days {
        0 => "today".to_owned(),
        1 => "yesterday".to_owned(),
        days => format!("{days} days ago"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::model::Location;
    use crate::policy::{Justification, Scope};

    const TODAY: Date = date(2026, 11, 21);

    fn vulnerable(id: &'static str) -> Finding {
        let mut finding = Finding::with_code(Code::from_static(id), "vulnerable").target("pkg:pypi/requests@2.30.0");
        finding.aliases = vec!["GHSA-j8r2-6x86-q33q".to_owned()];
        finding
    }

    fn exception(id: &str, expires: &str) -> Exception {
        Exception {
            id: id.to_owned(),
            scope: Scope::Any,
            justification: Justification::new("no proxy is ever configured for this service", "@org/security", expires)
                .expect("valid"),
            origin: Origin::IgnoreFile,
            location: Location::line("ci/.trivyignore", 4),
        }
    }

    #[test]
    fn a_covered_finding_is_exempted_and_stays_visible() {
        let verdict = evaluate(vec![vulnerable("CVE-2023-32681")], &[exception("CVE-2023-32681", "2027-01-01")], TODAY);
        assert_eq!(verdict.status, Status::Exempted);
        assert_eq!(verdict.findings.len(), 1);
        assert_eq!(verdict.findings[0].exception.as_ref().expect("marked").owner, "@org/security");
        assert_eq!(verdict.covered, [1]);
    }

    #[test]
    fn an_alias_is_as_good_as_the_code() {
        let verdict =
            evaluate(vec![vulnerable("CVE-2023-32681")], &[exception("GHSA-j8r2-6x86-q33q", "2027-01-01")], TODAY);
        assert_eq!(verdict.status, Status::Exempted);
    }

    #[test]
    fn an_expired_exception_allows_nothing_and_is_a_finding() {
        let verdict = evaluate(vec![vulnerable("CVE-2023-32681")], &[exception("CVE-2023-32681", "2026-11-21")], TODAY);
        assert_eq!(verdict.status, Status::Failed);
        let codes: Vec<_> = verdict.findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, ["CVE-2023-32681", "IGN-004"]);
        assert!(verdict.findings[0].exception.is_none());
    }

    #[test]
    fn an_exception_for_nothing_fails_the_step() {
        let verdict = evaluate(Vec::new(), &[exception("CVE-2099-0001", "2027-01-01")], TODAY);
        assert_eq!(verdict.status, Status::Failed);
        assert_eq!(verdict.findings[0].code.as_str(), "IGN-006");
        assert_eq!(verdict.findings[0].location.as_ref().expect("a place").to_string(), "ci/.trivyignore:4");
    }

    #[test]
    fn a_scope_reaches_its_package_and_no_other() {
        let scope = Scope::Targets(vec!["pkg:pypi/requests".to_owned()]);
        assert!(scope.reaches(Some("pkg:pypi/requests@2.30.0")));
        assert!(!scope.reaches(Some("pkg:pypi/requests-mock@1.0")));
        assert!(!scope.reaches(None));
    }

    #[test]
    fn warnings_do_not_fail() {
        let verdict = evaluate(
            vec![vulnerable("X-1").level(Level::Warn), vulnerable("X-2").level(Level::BlockClearance)],
            &[],
            TODAY,
        );
        assert_eq!(verdict.status, Status::Passed);
    }
}
