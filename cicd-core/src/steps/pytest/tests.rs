use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use jiff::civil::date;
use sha2::{Digest as _, Sha256};

use super::judge::{Judged, Source, Sources};
use super::record::{RecordError, read_record};
use super::step::recorded;
use super::*;
use crate::formats::python_syntax::{PythonSyntax, TestFunction};
use crate::formats::{Suppressions, hex, read_junit};
use crate::model::{Finding, Status};
use crate::policy::{Justification, Policy, evaluate};
use crate::process::{Captured, Exit};
use crate::step::Step as _;

const MIXED: &[u8] = include_bytes!("../../../tests/data/python/junit-mixed.xml");
const KEY: &[u8] = b"a key";

/// A record as the recorder writes it.
fn record(lines: &[String], key: &[u8]) -> Vec<u8> {
    let mut before = String::new();
    let mut all = Vec::new();
    for line in lines {
        let inner = Sha256::new().chain_update(key).chain_update(&before).chain_update(line).finalize();
        before = hex(&Sha256::new().chain_update(key).chain_update(inner).finalize());
        all.extend(format!("{line}\t{before}\n").into_bytes());
    }
    all
}

fn item(name: &str, line: u32) -> String {
    let file = "/src/app/tests/test_cart.py";
    let (function, _) = name.split_once('[').unwrap_or((name, ""));
    format!(
        r#"{{"kind":"item","id":"tests/test_cart.py::{name}","path":"{file}","names":["{function}"],"code":["{file}",{line}]}}"#
    )
}

fn phases(name: &str, how: [&str; 3]) -> Vec<String> {
    let phase = |(when, how): (&str, &str)| {
        let (raw, outcome) = how.split_once(' ').unwrap_or((how, how));
        let id = format!("tests/test_cart.py::{name}");
        [
            format!(
                r#"{{"kind":"phase","id":"{id}","when":"{when}","raw":"{raw}","outcome":"{outcome}","wasxfail":false}}"#
            ),
            format!(
                r#"{{"kind":"report","id":"{id}","when":"{when}","outcome":"{outcome}","wasxfail":false,"place":null,"why":"w","sub":false}}"#
            ),
        ]
    };
    ["setup", "call", "teardown"].into_iter().zip(how).filter(|(_, how)| !how.is_empty()).flat_map(phase).collect()
}

fn ended(code: i32) -> String {
    format!(r#"{{"kind":"end","code":{code}}}"#)
}

fn sources(tests: &[&str]) -> Sources {
    let tests: Vec<_> = tests
        .iter()
        .zip(1..)
        .map(|(name, line)| TestFunction { names: vec![(*name).to_owned()], first: line, keyword: line })
        .collect();
    let text = "def x(): pass\n".repeat(30);
    let syntax = PythonSyntax { tests, ..PythonSyntax::default() };
    let source = Source { text, sha256: String::new(), syntax };
    let files = BTreeMap::from([(Utf8PathBuf::from("app/tests/test_cart.py"), source)]);
    Sources { files, dir: "app".into(), ..Sources::default() }
}

/// The findings of a run of these tests, all of which the source holds in this order.
fn judge(tests: &[(&'static str, [&str; 3])], junit: &[u8]) -> Result<Vec<Finding>, String> {
    judge_with(tests, junit, Suppressions::default())
}

fn judge_with(
    tests: &[(&'static str, [&str; 3])],
    junit: &[u8],
    comments: Suppressions,
) -> Result<Vec<Finding>, String> {
    let function = |name: &'static str| name.split('[').next().unwrap_or(name);
    let mut functions: Vec<&str> = tests.iter().map(|(name, _)| function(name)).collect();
    functions.dedup();
    let sources = sources(&functions);
    let line = |name| functions.iter().zip(1..).find(|(one, _)| **one == function(name)).map_or(0, |(_, line)| line);
    let mut lines: Vec<_> = tests.iter().map(|(name, _)| item(name, line(name))).collect();
    lines.extend(tests.iter().flat_map(|(name, how)| phases(name, *how)));
    lines.push(ended(1));
    let record = read_record(&record(&lines, KEY), KEY).map_err(|error| error.to_string())?;
    let junit = read_junit(junit, record.subtests()).map_err(|error| error.to_string())?;
    let mut judged = Judged::new(&sources, vec!["/src".into()], comments);
    judged.judge_tests(&record, &record, &junit).map_err(|error| error.to_string())?;
    let Judged { mut findings, comments, .. } = judged;
    let _ = comments.settle(&mut findings);
    Ok(findings)
}

const OK: [&str; 3] = ["passed"; 3];
const SKIPPED: [&str; 3] = ["skipped", "", "passed"];
const FAILED: [&str; 3] = ["passed", "failed", "passed"];

fn passed(tests: usize) -> Vec<u8> {
    let case = |n| format!("<testcase classname='tests.test_cart' name='t{n}' file='tests/test_cart.py' line='{n}'/>");
    let cases: String = (0..tests).map(case).collect();
    format!(
        "<testsuites><testsuite tests='{tests}' failures='0' errors='0' skipped='0'>{cases}</testsuite></testsuites>"
    )
    .into()
}

#[test]
fn failures_are_named_with_their_place() {
    let tests = [
        ("test_total", OK),
        ("test_fails[prices0]", FAILED),
        ("test_fails[prices1]", FAILED),
        ("test_skipped", SKIPPED),
        ("test_expected_failure", SKIPPED),
        ("test_error", ["failed", "", "passed"]),
        ("test_in_class", OK),
    ];
    let findings = judge(&tests, MIXED).expect("judged");
    let line = |finding: &Finding| {
        let place = finding.location.as_ref().map_or_else(String::new, ToString::to_string);
        format!("{} {:?} {} @ {place}", finding.code, finding.level, finding.message)
    };
    let lines: Vec<_> = findings.iter().map(line).collect();
    expect_test::expect![[r#"
        PYT-001 Deny tests/test_cart.py::test_error: failed on setup with "RuntimeError: set-up broke" @ app/tests/test_cart.py:25
        PYT-001 Deny tests/test_cart.py::test_fails[prices0]: AssertionError: one is <not> two & #x1B[31mred#x1B[0m @ app/tests/test_cart.py:11
        PYT-001 Deny tests/test_cart.py::test_fails[prices1]: TypeError: unsupported operand type(s) for +: 'int' and 'str' @ app/shop/cart.py:13
        PYT-002 Deny tests/test_cart.py::test_expected_failure was skipped: w (it has no reason, owner and expiry) @ app/tests/test_cart.py:4
        PYT-002 Deny tests/test_cart.py::test_skipped was skipped: w (it has no reason, owner and expiry) @ app/tests/test_cart.py:3"#]]
    .assert_eq(&lines.join("\n"));
}

#[test]
fn what_a_comment_could_justify_is_accepted_in_the_pipeline_too() {
    let because = || Justification::new("the shop is closed on sundays", "@example/shop", "2027-01-01").expect("valid");
    let step = |code, file: &str| Pytest::in_dir("app").accept(code, file, because());
    let tests = [("test_skipped", SKIPPED), ("test_fails", FAILED)];
    let junit = b"<testsuites><testsuite tests='2' failures='1' errors='0' skipped='1'>\
        <testcase classname='tests.test_cart' name='test_skipped' file='tests/test_cart.py' line='1'><skipped message='w'/></testcase>\
        <testcase classname='tests.test_cart' name='test_fails' file='tests/test_cart.py' line='2'><failure message='f'/></testcase>\
        </testsuite></testsuites>";
    for (code, file, allowed) in [
        (PytestCode::Skipped, "app/tests/test_cart.py", &["PYT-002"][..]),
        (PytestCode::Skipped, "app/tests/test_other.py", &[]),
        (PytestCode::Skipped, "app/tests", &[]),
        (PytestCode::NotRun, "app/tests/test_cart.py", &[]),
        (PytestCode::Failed, "app/tests/test_cart.py", &[]),
    ] {
        let step = step(code, file);
        let exceptions = step.relaxations();
        let findings = judge_with(&tests, junit, Suppressions::accepting(&exceptions)).expect("judged");
        let said =
            findings.iter().any(|one| one.code.as_str() == "PYT-002" && one.message.contains("it has no reason"));
        assert_eq!(said, allowed.is_empty(), "{code:?} {file}");
        let verdict = evaluate(findings, &exceptions, &Policy::default(), date(2026, 11, 21));
        let exempted = verdict.findings.iter().filter(|one| one.exception.is_some());
        assert_eq!(exempted.map(|one| one.code.as_str()).collect::<Vec<_>>(), allowed, "{code:?} {file}");
        assert_eq!(verdict.status, Status::Failed, "a test failed");
    }
}

#[test]
fn a_record_that_was_changed_anywhere_is_an_error() {
    let lines = [vec![item("a", 1)], phases("a", FAILED), vec![ended(1)]].concat();
    let whole = record(&lines, KEY);
    assert_eq!(read_record(&whole, KEY).expect("whole").code, 1);
    let text = String::from_utf8(whole.clone()).expect("text");
    let cut: Vec<_> = text.lines().collect();
    for changed in [
        text.replacen("\"raw\":\"failed\"", "\"raw\":\"passed\"", 1),
        [&cut[..2], &cut[3..]].concat().join("\n"),
        cut[1..].join("\n"),
        format!("{text}{}\n", cut[1]),
        text.replace('\t', " "),
        String::from_utf8(record(&lines, b"another key")).expect("text"),
    ] {
        assert!(matches!(read_record(changed.as_bytes(), KEY), Err(RecordError::Changed(_))), "{changed}");
    }
    for end in (0..whole.len() - 1).step_by(7) {
        assert!(read_record(&whole[..end], KEY).is_err(), "cut at {end} was accepted");
    }
    assert_eq!(read_record(b"", KEY), Err(RecordError::Unfinished));
    assert_eq!(read_record(&record(&lines[..lines.len() - 1], KEY), KEY), Err(RecordError::Unfinished));
    assert!(matches!(read_record(&record(&["{}".to_owned()], KEY), KEY), Err(RecordError::Malformed(1, _))));
}

#[test]
fn what_a_hook_makes_of_a_failure_is_a_failure_still() {
    for how in [
        ["passed", "failed passed", "passed"],
        ["passed", "passed failed", "passed"],
        ["failed passed", "", "passed"],
        ["passed", "passed", "failed passed"],
        ["passed", "failed skipped", "passed"],
    ] {
        let findings = judge(&[("t0", how)], &passed(1)).expect("judged");
        assert_eq!(findings[0].code.as_str(), "PYT-001", "{how:?}");
    }
    for how in [
        ["passed", "", "passed"],
        ["passed", "passed", ""],
        ["", "passed", "passed"],
        ["passed", "passed rerun", "passed"],
        ["", "", ""],
    ] {
        let findings = judge(&[("t0", how)], &passed(1)).expect("judged");
        assert_eq!(findings[0].code.as_str(), "PYT-004", "{how:?}");
    }
    for how in [SKIPPED, ["passed", "skipped passed", "passed"], ["passed", "xfailed passed", "passed"]] {
        let findings = judge(&[("t0", how), ("t1", OK)], &passed(1)).expect("judged");
        assert_eq!(findings[0].code.as_str(), "PYT-002", "{how:?}");
    }
}

#[test]
fn a_report_of_other_tests_is_an_error() {
    assert!(judge(&[("t0", OK)], &passed(1)).expect("judged").is_empty());
    for junit in [&passed(2), &passed(0), MIXED] {
        let error = judge(&[("t0", OK)], junit).expect_err("another report");
        assert!(error.contains("the JUnit report tells of"), "{error}");
    }
}

#[test]
fn tests_that_did_not_run_are_an_error_and_never_a_pass() {
    let whole = record(&[item("a", 1), ended(0)], KEY);
    for (exit, bytes, problem) in [
        (Exit::Code(2), &whole[..], "could not be collected"),
        (Exit::Code(3), &whole, "pytest broke (exit code 3)"),
        (Exit::Code(4), &whole, "command line"),
        (Exit::Code(5), &whole, "collected no test"),
        (Exit::Code(1), &whole, "pytest ended with 0, but its process with exit code 1"),
        (Exit::Code(0), b"", "the record of the tests has no end"),
        (Exit::Code(139), &whole, "did not come to an end"),
        (Exit::Signal(9), &whole, "SIGKILL"),
    ] {
        let captured = Captured::recorded(exit, "E   ModuleNotFoundError: nothing_there\n", "");
        let error = recorded(&captured, bytes, KEY).expect_err(problem).to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn nothing_from_outside_chooses_the_tests() {
    let line = Pytest::in_dir("app").with_coverage("shop").explain()[0].to_string().replace('\'', "");
    for part in
        ["-I -B -X pycache_prefix=", "-o junit_family=xunit1", "-p no:cacheprovider", "-c <step folder>/settings.ini"]
    {
        assert!(line.contains(part), "{line}");
    }
    // What is covered is told in the record, and lies in no file.
    assert!(!line.contains("COVERAGE_FILE=") && !line.contains("--cov"), "{line}");
}
