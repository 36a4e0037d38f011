use jiff::civil::{Date, date};

use super::*;
use crate::model::Status;
use crate::policy::{Policy, evaluate};
use crate::process::Exit;
use crate::scan::{Judgement, judge};

const TODAY: Date = date(2026, 11, 21);
const BAD: &str = include_str!("../../tests/data/zizmor/bad.yml");
const GOOD: &str = include_str!("../../tests/data/zizmor/good.yml");
const FINDINGS: &str = include_str!("../../tests/data/zizmor/findings.json");
const FINDINGS_LOG: &str = include_str!("../../tests/data/zizmor/findings.stderr.txt");
const CLEAN: &str = include_str!("../../tests/data/zizmor/clean.json");
const CLEAN_LOG: &str = include_str!("../../tests/data/zizmor/clean.stderr.txt");
const BROKEN_LOG: &str = include_str!("../../tests/data/zizmor/broken.stderr.txt");

fn look(code: i32, json: &str, log: &str, bad: &str) -> Result<Judgement, StepError> {
    let all = [(".github/workflows/bad.yml", bad), (".github/workflows/good.yml", GOOD)];
    let files = if bad.is_empty() { &all[1..] } else { &all[..] };
    let sources = Sources::recorded("zizmor", semver::Version::new(1, 32, 0), files);
    let scanner = WorkflowScanner(());
    let report = scanner.read(&sources, &(), &[Captured::recorded(Exit::Code(code), json, log)])?;
    judge(&scanner, &sources, &report)
}

fn open(bad: &str) -> Vec<String> {
    let Judgement { findings, exceptions } = look(14, FINDINGS, FINDINGS_LOG, bad).expect("looked");
    let verdict = evaluate(findings, &exceptions, &Policy::default(), TODAY);
    assert_eq!(verdict.status, Status::Failed);
    let open = verdict.findings.iter().filter(|one| one.exception.is_none());
    open.map(|one| format!("{} {}", one.code, one.location.as_ref().and_then(|at| at.line).unwrap_or(0))).collect()
}

const OTHERS: [&str; 8] = [
    "artipacked 7",
    "excessive-permissions 1",
    "excessive-permissions 4",
    "dangerous-triggers 2",
    "template-injection 12",
    "unpinned-uses 7",
    "anonymous-definition 4",
    "concurrency-limits 2",
];

#[test]
fn a_justified_comment_exempts_its_line_and_a_bare_one_nothing() {
    let mut expected: Vec<_> = OTHERS.map(str::to_owned).to_vec();
    expected.push("IGN-016 12".to_owned());
    assert_eq!(open(BAD), expected, "unpinned-uses on line 11 is the only one that is exempted");
    expected.insert(6, "unpinned-uses 11".to_owned());
    for (from, to, defect) in [
        ("2027-02-01", "2020-02-01", "EXC-001 11"),
        ("ignore[unpinned-uses]", "ignore[artipacked]", "EXC-002 11"),
        ("# owner: @example/platform", "# owner: nobody", "IGN-016 11"),
        ("ignore[unpinned-uses]", "ignore[]", "IGN-016 11"),
        ("ignore[unpinned-uses]", "ignore", "IGN-016 11"),
    ] {
        let mut seen = open(&BAD.replacen(from, to, 1));
        let at = seen.iter().position(|one| one == defect).unwrap_or_else(|| panic!("{defect}: {seen:?}"));
        seen.remove(at);
        assert_eq!(seen, expected, "{to}");
    }
    let late = open(&BAD.replace("2027-02-01", "2029-02-01"));
    assert!(late.contains(&"EXC-004 11".to_owned()), "{late:?}");
}

#[test]
fn what_was_not_looked_at_is_an_error() {
    assert!(look(0, CLEAN, CLEAN_LOG, "").expect("looked").findings.is_empty());
    let missed = look(14, FINDINGS, CLEAN_LOG, BAD).expect_err("one file").to_string();
    assert!(missed.contains("did not look at 1 of 2 files, among them .github/workflows/bad.yml"), "{missed}");
    let foreign = FINDINGS.replace("bad.yml", "other.yml");
    let severity = FINDINGS.replace("\"Medium\"", "\"Awful\"");
    let placeless = FINDINGS.replace("\"Primary\"", "\"Related\"");
    let remote = FINDINGS.replace("\"Local\"", "\"Remote\"");
    for (code, json, log) in [
        (1, "", BROKEN_LOG),
        (0, CLEAN, ""),
        (3, CLEAN, CLEAN_LOG),
        (0, FINDINGS, FINDINGS_LOG),
        (14, CLEAN, FINDINGS_LOG),
        (14, &FINDINGS[..FINDINGS.len() / 2], FINDINGS_LOG),
        (14, "{}", FINDINGS_LOG),
        (14, "null", FINDINGS_LOG),
        (14, &foreign, FINDINGS_LOG),
        (14, &severity, FINDINGS_LOG),
        (14, &placeless, FINDINGS_LOG),
        (14, &remote, FINDINGS_LOG),
    ] {
        assert!(look(code, json, log, BAD).is_err(), "{code} {:?}", &json[..json.len().min(40)]);
    }
}

#[test]
fn a_hostile_text_stays_one_line() {
    let hostile = FINDINGS.replace("overly broad permissions", "x\\n::error::y\\u001b[2J");
    let findings = look(14, &hostile, FINDINGS_LOG, BAD).expect("looked").findings;
    assert!(findings.iter().all(|one| !one.message.contains(char::is_control)));
}
