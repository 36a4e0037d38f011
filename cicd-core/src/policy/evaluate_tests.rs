use jiff::civil::date;

use super::*;
use crate::model::{Code, Location};
use crate::policy::{Justification, Origin, Scope};

const TODAY: Date = date(2026, 11, 21);

fn vulnerable(id: &'static str) -> Finding {
    let mut finding =
        Finding::with_code(Code::from_static(id), "vulnerable").target(Target::package("pkg:pypi/requests@2.30.0"));
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
        applies: Applies::Here,
    }
}

#[test]
fn a_covered_finding_is_exempted_and_stays_visible() {
    let verdict = evaluate(
        vec![vulnerable("CVE-2023-32681")],
        &[exception("CVE-2023-32681", "2027-01-01")],
        &Policy::default(),
        TODAY,
    );
    assert_eq!(verdict.status, Status::Exempted);
    assert_eq!(verdict.findings.len(), 1);
    assert_eq!(verdict.findings[0].exception.as_ref().expect("marked").owner, "@org/security");
    assert_eq!(verdict.covered, [1]);
}

#[test]
fn an_alias_is_as_good_as_the_code() {
    let verdict = evaluate(
        vec![vulnerable("CVE-2023-32681")],
        &[exception("GHSA-j8r2-6x86-q33q", "2027-01-01")],
        &Policy::default(),
        TODAY,
    );
    assert_eq!(verdict.status, Status::Exempted);
}

#[test]
fn an_expired_exception_allows_nothing_and_is_a_finding() {
    let verdict = evaluate(
        vec![vulnerable("CVE-2023-32681")],
        &[exception("CVE-2023-32681", "2026-11-21")],
        &Policy::default(),
        TODAY,
    );
    assert_eq!(verdict.status, Status::Failed);
    let codes: Vec<_> = verdict.findings.iter().map(|finding| finding.code.as_str()).collect();
    assert_eq!(codes, ["CVE-2023-32681", "IGN-004"]);
    assert!(verdict.findings[0].exception.is_none());
}

#[test]
fn an_exception_for_nothing_fails_the_step() {
    let verdict = evaluate(Vec::new(), &[exception("CVE-2099-0001", "2027-01-01")], &Policy::default(), TODAY);
    assert_eq!(verdict.status, Status::Failed);
    assert_eq!(verdict.findings[0].code.as_str(), "IGN-006");
    assert_eq!(verdict.findings[0].location.as_ref().expect("a place").to_string(), "ci/.trivyignore:4");
}

#[test]
fn warnings_do_not_fail() {
    let verdict = evaluate(
        vec![vulnerable("X-1").level(Level::Warn), vulnerable("X-2").level(Level::BlockClearance)],
        &[],
        &Policy::default(),
        TODAY,
    );
    assert_eq!(verdict.status, Status::Passed);
}

#[test]
fn no_verdict_grows_faster_than_its_findings_and_exceptions() {
    use crate::model::by_key::counting::is_linear;

    let many = |count: usize, target: &dyn Fn(usize) -> Target| -> Vec<Finding> {
        (0..count).map(|number| vulnerable("CVE-2023-32681").target(target(number))).collect()
    };
    let scoped = |scope: Scope| Exception { scope, ..exception("CVE-2023-32681", "2027-01-01") };
    let package = |number: usize| Target::package(format!("pkg:pypi/p{number}@1.0"));
    let lines = |number: usize| Target::from(Location::line("a.py", u32::try_from(number + 1).expect("small")));
    let judged = |findings: Vec<Finding>, exceptions: Vec<Exception>| {
        let (found, given) = (findings.len(), exceptions.len());
        let verdict = evaluate(findings, &exceptions, &Policy::default(), TODAY);
        assert!(verdict.findings.len() >= found && verdict.covered.len() == given);
        verdict
    };
    is_linear("one package each, one exception each", 30, |count| {
        let exceptions = (0..count).map(|number| scoped(Scope::target(package(number)))).collect();
        assert_eq!(judged(many(count, &package), exceptions).status, Status::Exempted);
    });
    is_linear("one exception with all packages", 30, |count| {
        let scope = Scope::Targets((0..count).map(package).collect());
        assert_eq!(judged(many(count, &package), vec![scoped(scope)]).covered, [count]);
    });
    is_linear("as many exceptions for everything as findings", 30, |count| {
        let verdict = judged(many(count, &package), vec![scoped(Scope::Any); count]);
        assert_eq!(verdict.findings.len(), 2 * count - 1, "every exception but the first is one too many");
    });
    is_linear("as many exceptions for one file as lines in it", 30, |count| {
        let exceptions = (0..count).map(|_| scoped(Scope::target(Target::file("a.py")))).collect();
        assert_eq!(judged(many(count, &lines), exceptions).covered, vec![count; count]);
    });
    is_linear("a file, and each of its lines", 30, |count| {
        let scope = Scope::Targets((0..count).map(lines).chain([Target::file("a.py")]).collect());
        assert_eq!(judged(many(count, &lines), vec![scoped(scope)]).covered, [count]);
    });
}

fn only_in(environments: &[&str], id: &str) -> Exception {
    let mut limited = exception(id, "2027-01-01");
    limited.justification = limited.justification.only_in(environments).expect("names");
    limited
}

#[test]
fn what_is_accepted_for_one_environment_clears_nothing_for_another() {
    let block = |code| vulnerable(code).level(Level::BlockClearance);
    let open = |findings: &[Finding], exceptions: &[Exception], environment: &str| -> Vec<String> {
        let all: Vec<_> = exceptions.iter().collect();
        blocking(findings, &all, environment, TODAY).iter().map(|finding| finding.code.to_string()).collect()
    };
    let found = [vulnerable("CVE-2023-0001"), block("CVE-2023-0002"), block("CVE-2023-0003").level(Level::Warn)];
    let local = [only_in(&["local"], "CVE-2023-0001"), only_in(&["local", "staging"], "CVE-2023-0002")];
    let verdict = evaluate(found.to_vec(), &local, &Policy::default(), TODAY);
    assert_eq!(verdict.status, Status::Exempted, "the step's own verdict is not limited");
    assert_eq!(open(&found, &local, "local"), [""; 0]);
    assert_eq!(open(&found, &local, "staging"), ["CVE-2023-0001"]);
    assert_eq!(open(&found, &local, "production"), ["CVE-2023-0001", "CVE-2023-0002"]);
    // Another exception for production is no duplicate, and one for everywhere is.
    let both = [only_in(&["local"], "CVE-2023-0001"), only_in(&["production"], "CVE-2023-0001")];
    assert_eq!(evaluate(found[..1].to_vec(), &both, &Policy::default(), TODAY).status, Status::Exempted);
    assert_eq!(open(&found[..1], &both, "production"), [""; 0]);
    let twice = [only_in(&["local"], "CVE-2023-0001"), exception("CVE-2023-0001", "2027-01-01")];
    assert_eq!(evaluate(found[..1].to_vec(), &twice, &Policy::default(), TODAY).status, Status::Failed);
    // Neither an expired exception nor one that another step uses clears anything.
    for void in
        [exception("CVE-2023-0001", "2026-11-21"), exception("CVE-2023-0001", "2027-01-01").applies(Applies::Elsewhere)]
    {
        assert_eq!(open(&found[..1], &[void], "production"), ["CVE-2023-0001"]);
    }
}

#[test]
fn every_exception_is_held_to_the_policy_whatever_its_origin() {
    let policy = Policy::default().owners(["@org/security"]);
    for origin in [Origin::IgnoreFile, Origin::ExceptionsFile, Origin::Comment, Origin::Pipeline] {
        for applies in [Applies::Here, Applies::AtTimes, Applies::Elsewhere] {
            let sound = Exception { origin, applies, ..exception("CVE-2023-32681", "2027-01-01") };
            let found = || vec![vulnerable("CVE-2023-32681")];
            let codes = |exception: Exception| -> Vec<String> {
                let verdict = evaluate(found(), &[exception], &policy, TODAY);
                verdict.findings.iter().skip(1).map(|finding| finding.code.to_string()).collect()
            };
            assert_eq!(codes(sound.clone()), [""; 0], "{origin:?} {applies:?}");
            let wrong = |change: &dyn Fn(&mut Justification)| {
                let mut wrong = sound.clone();
                change(&mut wrong.justification);
                codes(wrong)
            };
            let of_file = |code: &'static str, other: &'static str| match origin {
                Origin::IgnoreFile => [code],
                _ => [other],
            };
            assert_eq!(wrong(&|it| it.expires = date(2099, 1, 1)), of_file("IGN-005", "EXC-004"));
            assert_eq!(wrong(&|it| it.expires = date(9999, 12, 31)), of_file("IGN-005", "EXC-004"));
            assert_eq!(wrong(&|it| it.expires = date(2026, 11, 21)), of_file("IGN-004", "EXC-001"));
            assert_eq!(wrong(&|it| it.owner = "@org/secruity".to_owned()), of_file("IGN-010", "EXC-005"));
            assert_eq!(wrong(&|it| it.reason = "todo".to_owned()), ["EXC-006"]);
            assert_eq!(wrong(&|it| it.reason = "CVE-2023-32681 CVE-2023-32681".to_owned()), ["EXC-006"]);
        }
    }
    let comment = Exception { origin: Origin::Comment, ..exception("B301", "2020-01-01") };
    let help = evaluate(Vec::new(), &[comment], &policy, TODAY).findings[0].help.clone().expect("advice");
    assert!(help.contains("comment") && !help.contains("package"), "{help}");
}

#[test]
fn what_is_wrong_with_an_exception_cannot_be_allowed() {
    for code in ["IGN-016", "EXC-002", "IGN-001"] {
        let found = vec![Finding::with_code(Code::new(code), "wrong")];
        let verdict = evaluate(found, &[exception(code, "2027-01-01")], &Policy::default(), TODAY);
        assert_eq!((verdict.status, verdict.covered[0]), (Status::Failed, 0), "{code}");
    }
}

#[test]
fn an_exception_ends_on_the_day_it_says_and_lasts_as_long_as_its_severity_allows() {
    // The severity, today, how many days ahead it expires, and what is said of the exception.
    let cases: &[(Severity, Date, i64, &[&str])] = &[
        (Severity::Low, TODAY, -1, &["IGN-004"]),
        (Severity::Low, TODAY, 0, &["IGN-004"]),
        (Severity::Low, TODAY, 1, &["IGN-014"]),
        (Severity::Low, TODAY, 14, &["IGN-014"]),
        (Severity::Low, TODAY, 15, &[]),
        (Severity::Critical, TODAY, 30, &[]),
        (Severity::Critical, TODAY, 31, &["IGN-005"]),
        (Severity::Unknown, TODAY, 30, &[]),
        (Severity::Unknown, TODAY, 31, &["IGN-005"]),
        (Severity::High, TODAY, 90, &[]),
        (Severity::High, TODAY, 91, &["IGN-005"]),
        (Severity::Medium, TODAY, 180, &[]),
        (Severity::Medium, TODAY, 181, &["IGN-005"]),
        (Severity::Low, TODAY, 180, &[]),
        (Severity::Low, TODAY, 181, &["IGN-005"]),
        // Over the end of a year, and over a leap day and a February without one.
        (Severity::Critical, date(2027, 12, 31), 30, &[]),
        (Severity::Critical, date(2028, 2, 1), 30, &[]),
        (Severity::Critical, date(2028, 2, 1), 31, &["IGN-005"]),
        (Severity::Critical, date(2027, 2, 1), 31, &["IGN-005"]),
        (Severity::Low, date(2028, 2, 29), 0, &["IGN-004"]),
        (Severity::Low, date(2028, 2, 28), 1, &["IGN-014"]),
    ];
    for &(severity, today, days, expected) in cases {
        let expires = today.checked_add(days.days()).expect("a day");
        let found = vec![vulnerable("CVE-2023-32681").severity(severity)];
        let verdict = evaluate(found, &[exception("CVE-2023-32681", &expires.to_string())], &Policy::default(), today);
        let codes: Vec<_> = verdict.findings.iter().skip(1).map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, expected, "{severity} on {today} until {expires}");
        let holds = !expected.iter().any(|code| ["IGN-004", "IGN-005"].contains(code));
        assert_eq!(verdict.findings[0].exception.is_some(), holds, "{severity} on {today} until {expires}");
        let status = if holds { Status::Exempted } else { Status::Failed };
        assert_eq!(verdict.status, status, "{severity} on {today} until {expires}");
    }
    // Where what it covers is rated differently, the strictest counts.
    let both = vec![
        vulnerable("CVE-2023-32681").severity(Severity::Low),
        vulnerable("CVE-2023-32681").severity(Severity::High),
    ];
    let until = TODAY.checked_add(91.days()).expect("a day").to_string();
    let verdict = evaluate(both, &[exception("CVE-2023-32681", &until)], &Policy::default(), TODAY);
    assert!(verdict.findings[..2].iter().all(|finding| finding.exception.is_none()));
}

#[test]
fn a_reason_that_only_repeats_the_finding_allows_nothing() {
    let mut finding = vulnerable("CVE-2023-32681");
    finding.message = "Unintended leak of Proxy-Authorization header in requests".to_owned();
    for (reason, allows) in [
        ("unintended leak of Proxy-Authorization header in requests", false),
        ("CVE-2023-32681: Unintended leak! requests, proxy authorization", false),
        ("no proxy is configured, so no Proxy-Authorization header can leak", true),
    ] {
        let mut exception = exception("CVE-2023-32681", "2027-01-01");
        exception.justification.reason = reason.to_owned();
        let verdict = evaluate(vec![finding.clone()], &[exception], &Policy::default(), TODAY);
        let said: Vec<_> = verdict.findings.iter().skip(1).map(|finding| finding.code.as_str()).collect();
        assert_eq!(said, if allows { vec![] } else { vec!["EXC-006"] }, "{reason}");
    }
}
