use jiff::civil::{Date, date};

use super::*;
use crate::model::Status;
use crate::policy::{Policy, evaluate};
use crate::process::Exit;
use crate::scan::{Judgement, judge};

const TODAY: Date = date(2026, 11, 21);
const BAD: &str = include_str!("../../../tests/data/bandit/bad.py.txt");
const FINDINGS: &str = include_str!("../../../tests/data/bandit/findings.json");
const CLEAN: &str = include_str!("../../../tests/data/bandit/clean.json");
const BROKEN: &str = include_str!("../../../tests/data/bandit/broken.json");
const MISSING: &str = include_str!("../../../tests/data/bandit/missing.json");

fn look(code: i32, json: &str, sources: &[(&str, &str)]) -> Result<Judgement, StepError> {
    let sources = Sources::recorded("bandit", semver::Version::new(1, 9, 4), sources);
    let scanner = BanditScanner { dir: "shop".into() };
    let report = scanner.read(&sources, &(), &[Captured::recorded(Exit::Code(code), json, "")])?;
    judge(&scanner, &sources, &report)
}

const EMPTY: [(&str, &str); 2] = [("shop/__init__.py", ""), ("shop/empty.py", "")];

fn with_bad(bad: &str) -> [(&str, &str); 3] {
    [EMPTY[0], ("shop/bad.py", bad), EMPTY[1]]
}

fn open(bad: &str) -> Vec<String> {
    let Judgement { findings, exceptions } = look(1, FINDINGS, &with_bad(bad)).expect("looked");
    let verdict = evaluate(findings, &exceptions, &Policy::default(), TODAY);
    assert_eq!(verdict.status, Status::Failed);
    let open = verdict.findings.iter().filter(|one| one.exception.is_none());
    open.map(|one| format!("{} {}", one.code, one.location.as_ref().and_then(|at| at.line).unwrap_or(0))).collect()
}

#[test]
fn a_justified_comment_exempts_its_line_and_a_bare_one_nothing() {
    assert_eq!(open(BAD), ["B403 2", "B404 3", "B602 14", "B105 17", "IGN-016 14"], "B301 on line 10 is exempted");
    for (from, to, defect) in [
        ("2027-03-01", "2020-03-01", "EXC-001 10"),
        ("nosec B301", "nosec B302", "EXC-002 10"),
        ("nosec B301", "nosec: pickle", "IGN-016 10"),
        ("nosec B301", "nosec", "IGN-016 10"),
        ("    # reason: ", "    # why: ", "IGN-016 10"),
    ] {
        let seen = open(&BAD.replacen(from, to, 1));
        assert!(seen.contains(&"B301 10".to_owned()) && seen.contains(&defect.to_owned()), "{to}: {seen:?}");
    }
    assert!(open(&BAD.replace("2027-03-01", "2029-03-01")).contains(&"EXC-004 10".to_owned()));
    assert_eq!(open(&BAD.replace("nosec B301", "nosec: B301, B302 - why")).last().expect("one"), "EXC-002 10");
}

#[test]
fn what_was_not_looked_at_is_an_error() {
    let looked = look(0, CLEAN, &EMPTY).expect("looked");
    assert!(looked.findings.is_empty());
    let error = |code, json: &str, sources: &[(&str, &str)]| look(code, json, sources).expect_err(json).to_string();
    let broken = error(0, BROKEN, &[EMPTY[0], ("broken.py", "")]);
    assert!(broken.starts_with("broken.py: the Python file cannot be read: syntax error"), "{broken}");
    assert!(error(0, MISSING, &EMPTY).contains("No such file"));
    assert!(error(0, CLEAN, &with_bad("")).contains("did not look at 1 of 3 files, among them shop/bad.py"));
    assert!(error(1, FINDINGS, &EMPTY).contains("it names shop/bad.py, which bandit was not given"));
}

#[test]
fn what_proves_nothing_is_an_error() {
    let hidden = CLEAN.replace("\"nosec\": 0", "\"nosec\": 1");
    let severity = FINDINGS.replace("\"MEDIUM\"", "\"AWFUL\"");
    let uncounted = CLEAN.replace("\"SEVERITY.UNDEFINED\"", "\"SEVERITY.OTHER\"");
    let untold = CLEAN.replace("_totals", "totals");
    for (code, json, bad) in [
        (0, FINDINGS, true),
        (1, CLEAN, false),
        (2, CLEAN, false),
        (0, "", false),
        (0, "{}", false),
        (0, "null", false),
        (0, "{\"errors\": [], \"metrics\": {}, \"results\": []}", false),
        (1, &FINDINGS[..FINDINGS.len() / 2], true),
        (0, &hidden, false),
        (1, &severity, true),
        (0, &uncounted, false),
        (0, &untold, false),
    ] {
        let sources = with_bad(BAD);
        let result = if bad { look(code, json, &sources) } else { look(code, json, &EMPTY) };
        assert!(result.is_err(), "{code} {:?}", &json[..json.len().min(40)]);
    }
}
