use jiff::civil::{Date, date};

use super::*;
use crate::model::Status;
use crate::policy::{Policy, evaluate};
use crate::process::Exit;
use crate::scan::{Judgement, judge};

const TODAY: Date = date(2026, 11, 21);
const BAD: &str = include_str!("../../../tests/data/semgrep/bad.py.txt");
const FINDINGS: &str = include_str!("../../../tests/data/semgrep/findings.json");
const CLEAN: &str = include_str!("../../../tests/data/semgrep/clean.json");
const PARTIAL: &str = include_str!("../../../tests/data/semgrep/partial.json");
const MISSING: &str = include_str!("../../../tests/data/semgrep/missing.json");
const BAD_RULE: &str = include_str!("../../../tests/data/semgrep/bad-rule.json");

fn examples() -> Examples {
    let (copy, rule) = (Utf8PathBuf::from("examples/shell-command.py"), "shell-command".to_owned());
    let expected = (8..=12).map(|line| (copy.clone(), line, rule.clone()));
    Examples {
        rules: BTreeSet::from([rule.clone()]),
        expected: expected.collect(),
        files: vec![copy.clone()],
        bench: None,
    }
}

fn look(code: i32, json: &str, sources: &[(&str, &str)]) -> Result<Judgement, StepError> {
    look_with(code, json, sources, &examples())
}

fn look_with(code: i32, json: &str, files: &[(&str, &str)], examples: &Examples) -> Result<Judgement, StepError> {
    let sources = Sources::recorded("semgrep", semver::Version::new(1, 182, 0), files);
    let scanner = SemgrepScanner { rules: "ci/semgrep".into() };
    let report = scanner.read(&sources, examples, &[Captured::recorded(Exit::Code(code), json, "")])?;
    judge(&scanner, &sources, &report)
}

const OK: (&str, &str) = ("shop/ok.py", "x = 1\n");

/// What is not exempted in the recorded file when its text is this.
fn open(bad: &str) -> Vec<String> {
    let Judgement { findings, exceptions } = look(0, FINDINGS, &[("shop/bad.py", bad), OK]).expect("looked");
    let verdict = evaluate(findings, &exceptions, &Policy::default(), TODAY);
    assert_eq!(verdict.status, Status::Failed);
    let open = verdict.findings.iter().filter(|one| one.exception.is_none());
    open.map(|one| format!("{} {}", one.code, one.location.as_ref().and_then(|at| at.line).unwrap_or(0))).collect()
}

#[test]
fn a_justified_comment_exempts_its_line_and_a_bare_one_nothing() {
    assert_eq!(open(BAD), ["shell-command 5", "shell-command 11", "IGN-016 10"], "line 9 is exempted");
    for (from, to, defect) in [
        ("2027-01-15", "2020-03-01", "EXC-001 9"),
        ("nosemgrep: shell-command", "nosemgrep: flask-debug", "EXC-002 9"),
        ("nosemgrep: shell-command", "nosemgrep", "IGN-016 9"),
        ("nosemgrep: shell-command", "nosem", "IGN-016 9"),
        ("    # reason: ", "    # why: ", "IGN-016 9"),
    ] {
        let seen = open(&BAD.replacen(from, to, 1));
        assert!(seen.contains(&"shell-command 9".to_owned()) && seen.contains(&defect.to_owned()), "{to}: {seen:?}");
    }
    assert_eq!(open(&BAD.replacen("nosemgrep: shell", "nosem:ci.semgrep.shell", 1)).len(), 3, "another spelling");
}

#[test]
fn what_was_not_looked_at_is_an_error() {
    let looked = look(0, CLEAN, &[OK]).expect("looked");
    assert!(looked.findings.is_empty() && looked.exceptions.is_empty());
    let error = |code, json: &str, sources: &[(&str, &str)]| look(code, json, sources).expect_err(json).to_string();
    let partial = error(0, PARTIAL, &[("shop/latin.py", ""), OK]);
    assert!(partial.starts_with("shop/latin.py: semgrep could not look: Syntax error"), "{partial}");
    assert!(error(2, MISSING, &[("shop/gone.py", ""), OK]).contains("Invalid scanning root: shop/gone.py"));
    assert!(error(2, BAD_RULE, &[OK]).contains("semgrep could not look: Rule parse error in rule rules.x"));
    assert!(error(0, CLEAN, &[OK, ("shop/b.py", "")]).contains("did not look at 1 of 2 files, among them shop/b.py"));
    assert!(error(0, FINDINGS, &[OK]).contains("it names shop/bad.py, which semgrep was not given"));
}

#[test]
fn a_rule_that_does_not_find_its_example_proves_nothing() {
    let results = |json: &str, line: u32, to: u32| {
        let from = format!("\"line\": {line},\n                \"col\": 5");
        json.replacen(&from, &from.replace(&line.to_string(), &to.to_string()), 1)
    };
    let blind = look(0, &results(CLEAN, 12, 3), &[OK]).expect_err("moved").to_string();
    assert!(blind.contains("did not find shell-command in line 12 of the example shell-command"), "{blind}");
    let mut examples = examples();
    examples.expected.pop_first();
    let wide = look_with(0, CLEAN, &[OK], &examples).expect_err("unmarked");
    assert!(wide.to_string().contains("line 8 of the example shell-command, which is not marked"), "{wide}");
}

#[test]
fn what_proves_nothing_is_an_error() {
    let severity = FINDINGS.replace("\"ERROR\"", "\"AWFUL\"");
    let skipped = CLEAN.replace("\"skipped_rules\": []", "\"skipped_rules\": [{}]");
    let bad = [("shop/bad.py", BAD), OK];
    for (code, json, sources) in [
        (0, "", &bad[..]),
        (0, "{}", &bad),
        (0, "null", &bad),
        (1, FINDINGS, &bad),
        (2, CLEAN, &bad[1..]),
        (0, &FINDINGS[..FINDINGS.len() / 2], &bad),
        (0, &severity, &bad),
        (0, &skipped, &bad[1..]),
    ] {
        assert!(look(code, json, sources).is_err(), "{code} {:?}", &json[..json.len().min(40)]);
    }
}
