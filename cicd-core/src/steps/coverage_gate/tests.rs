use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::civil::date;

use super::judge::{Judgement, Measurement, judge};
use super::*;
use crate::formats::coverage::{CoverageReport, read_coverage};
use crate::formats::python_syntax::{Claim, PythonSyntax, read_python_syntax};
use crate::model::Status;
use crate::policy::{Justification, Policy, evaluate};
use crate::step::{Step as _, StepError};

const JSON: &[u8] = include_bytes!("../../../tests/data/coverage/shop.json");

const CART: &str = r#""""A cart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def total(prices: Iterable[int], discount: int = 0) -> int:
    """Add up."""
    result = sum(prices)
    if discount:
        result -= discount
        if result < 0:
            result = 0
    return result

# reason: only ever called by hand, in a debugger
# owner: @example/shop
# expires: 2027-03-01
def debug() -> str:  # pragma: no cover
    return "debug"
"#;

fn sources() -> BTreeMap<Utf8PathBuf, Vec<u8>> {
    let texts = [
        ("__init__.py", "\"\"\"A shop.\"\"\"\n"),
        ("cart.py", CART),
        ("forgotten.py", "\n\nA = 1\n\n\ndef f():\n    return A\n"),
    ];
    texts.map(|(name, text)| (Utf8Path::new("app/shop").join(name), text.as_bytes().to_vec())).into()
}

/// What these sources hold, as Python says it.
#[expect(clippy::disallowed_methods, reason = "a test asks Python itself")]
fn syntax_of(sources: &BTreeMap<Utf8PathBuf, Vec<u8>>) -> BTreeMap<Utf8PathBuf, PythonSyntax> {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
    let mut wanted = Vec::new();
    for (number, (path, bytes)) in sources.iter().enumerate() {
        let file = folder.join(number.to_string());
        std::fs::write(&file, bytes).expect("written");
        wanted.push((path.clone(), file));
    }
    let program = folder.join("syntax.py");
    std::fs::write(&program, include_str!("../../python/syntax.py")).expect("written");
    let answer = folder.join("answer");
    let mut python = Command::new("python3");
    python.args(["-I", "-S", program.as_str(), answer.as_str()]).stdin(Stdio::piped());
    let mut child = python.spawn().expect("python3");
    let wanted_json = serde_json::to_vec(&wanted).expect("JSON");
    child.stdin.take().expect("piped").write_all(&wanted_json).expect("heard");
    assert!(child.wait().expect("ended").success());
    let paths = sources.keys().map(|path| (path.clone(), Claim::Said)).collect();
    read_python_syntax(&std::fs::read(answer).expect("an answer"), &paths).expect("Python")
}

fn look(gate: &CoverageGate, bytes: &[u8], sources: &BTreeMap<Utf8PathBuf, Vec<u8>>) -> Result<Judgement, StepError> {
    let report = read_coverage(bytes).expect("a report");
    let syntax = syntax_of(sources);
    judge(gate, &measurement(&report, sources, &syntax, None), |_| false)
}

fn measurement<'a>(
    report: &'a CoverageReport,
    sources: &'a BTreeMap<Utf8PathBuf, Vec<u8>>,
    syntax: &'a BTreeMap<Utf8PathBuf, PythonSyntax>,
    entered: Option<&'a BTreeMap<Utf8PathBuf, BTreeSet<(u32, u32)>>>,
) -> Measurement<'a> {
    Measurement { report, dir: "app".into(), root: "/src".into(), sources, syntax, entered }
}

fn full() -> CoverageGate {
    CoverageGate::lines(100.0).and_then(|gate| gate.branches(100.0)).expect("full")
}

fn because() -> Justification {
    Justification::new("the shop is being replaced this winter", "@example/shop", "2027-03-01").expect("valid")
}

fn shown(judged: &Judgement) -> Vec<String> {
    let line = |finding: &crate::model::Finding| {
        let place = finding.location.as_ref().map_or_else(String::new, |place| format!(" @ {place}"));
        format!("{} {}{place}", finding.code, finding.message)
    };
    judged.findings.iter().map(line).collect()
}

#[test]
fn what_is_missing_is_named_worst_first() {
    let judged = look(&full(), JSON, &sources()).expect("judged");
    assert_eq!(
        shown(&judged)[..5],
        [
            "COV-001 line coverage is 50.0 % (6 of 12), below 100 %",
            "COV-001 app/shop/cart.py: lines 15-17 are not covered @ app/shop/cart.py:15",
            "COV-001 app/shop/forgotten.py: lines 3, 6-7 are not covered @ app/shop/forgotten.py:3",
            "COV-002 branch coverage is 25.0 % (1 of 4), below 100 %",
            "COV-002 app/shop/cart.py: never taken: from line 14 to line 15; from line 16 to line 17 and line 18 @ app/shop/cart.py:14",
        ]
    );
    assert_eq!((judged.files, judged.excluded_lines), (3, 4));
    assert_eq!(
        evaluate(judged.findings, &judged.exceptions, &Policy::default(), date(2026, 11, 21)).status,
        Status::Failed
    );
}

#[test]
fn a_source_that_was_never_imported_does_not_vanish() {
    let mut more = sources();
    more.insert("app/shop/new.py".into(), b"# only a comment\nX = 1\n".to_vec());
    more.insert("app/shop/empty.py".into(), b"# only a comment\n".to_vec());
    let judged = look(&full(), JSON, &more).expect("judged");
    assert_eq!(shown(&judged)[0], "COV-003 app/shop/new.py is not in the coverage report @ app/shop/new.py");
    assert_eq!(judged.findings.iter().filter(|finding| finding.code.as_str() == "COV-003").count(), 1);
}

/// A gate judges lines; a sum of its tool that misses more than the lines name would be lost.
#[test]
fn a_report_whose_sum_misses_more_than_its_lines_is_not_judged() {
    let only: BTreeMap<_, _> = sources().into_iter().filter(|(path, _)| path.ends_with("cart.py")).collect();
    let lines = "SF:shop/cart.py\nDA:3,1\nDA:5,1\nDA:11,1\nDA:13,1\nDA:14,1\nDA:15,1\nDA:16,1\nDA:17,1\nDA:18,1\n";
    let xml = "<coverage lines-valid='10' lines-covered='8'><class filename='shop/cart.py'><line number='3' hits='0'/>\
               <line number='3' hits='0'/><line number='5' hits='1'/><line number='5' hits='2'/><line number='5' hits='2'/>\
               <line number='5' hits='2'/><line number='5' hits='2'/><line number='5' hits='2'/><line number='5' hits='2'/>\
               <line number='5' hits='2'/></class></coverage>";
    for report in
        [format!("{lines}LF:9\nLH:8\nend_of_record\n"), format!("{lines}LF:10\nLH:8\nend_of_record\n"), xml.into()]
    {
        let error = look(&full(), report.as_bytes(), &only).expect_err(&report).to_string();
        assert!(error.contains("missing lines of app/shop/cart.py"), "{error}");
    }
}

#[test]
fn a_lowered_threshold_is_an_exception_that_shows_and_ends() {
    let lines = b"SF:shop/cart.py\nDA:3,1\nDA:5,1\nDA:11,1\nDA:13,1\nDA:14,1\nDA:15,0\nDA:16,0\nDA:17,0\nDA:18,1\nend_of_record\n";
    let only: BTreeMap<_, _> = sources().into_iter().filter(|(path, _)| path.ends_with("cart.py")).collect();
    let today = date(2026, 11, 21);
    let gate = |percent: f64| {
        CoverageGate::lines(100.0).and_then(|gate| gate.lines_lowered(percent, because())).expect("lowered")
    };
    let verdict = |gate: &CoverageGate, lines: &[u8], today| {
        let judged = look(gate, lines, &only).expect("judged");
        let exceptions = [judged.exceptions, gate.relaxed.clone()].concat();
        evaluate(judged.findings, &exceptions, &Policy::default(), today)
    };
    assert_eq!(verdict(&gate(60.0), lines, today).status, Status::Exempted);
    assert_eq!(verdict(&gate(60.0), lines, date(2027, 3, 1)).status, Status::Failed, "expired");
    let failed = verdict(&gate(70.0), lines, today);
    assert_eq!(failed.status, Status::Failed);
    assert!(failed.findings.iter().any(|finding| finding.message == "line coverage is 66.6 % (6 of 9), below 70 %"));
    let hit = String::from_utf8_lossy(lines).replace(",0", ",1");
    let complete = verdict(&gate(60.0), hit.as_bytes(), today);
    assert_eq!(complete.status, Status::Failed, "a threshold that is lower than need be");
    assert!(complete.findings.iter().any(|finding| finding.code.as_str() == "EXC-002"));
}

#[test]
fn a_pragma_needs_somebody_who_answers_for_it() {
    let judged = look(&full(), JSON, &sources()).expect("judged");
    assert_eq!(judged.exceptions.len(), 1);
    assert!(shown(&judged).iter().any(|line| line.starts_with("COV-006") && line.ends_with("@ app/shop/cart.py:23")));
    let mut bare = sources();
    bare.insert("app/shop/cart.py".into(), CART.replace("# owner: ", "# ").into_bytes());
    let judged = look(&full(), JSON, &bare).expect("judged");
    assert!(judged.exceptions.is_empty());
    assert!(
        shown(&judged)
            .iter()
            .any(|line| line.starts_with("IGN-016 `def debug() -> str:  # pragma: no cover`: it has no"))
    );
}

/// The class: what only a comment could justify, which stands where a pipeline's source is not reviewed.
#[test]
fn what_a_comment_could_justify_is_accepted_in_the_pipeline_too() {
    let cart = Utf8Path::new("app/shop/cart.py");
    let line = line!() + 1;
    let accepting = |code, file: &str| full().accept(code, file, because());
    let judged = |gate: &CoverageGate, json: &str, cart_text: &str| {
        let mut sources = sources();
        sources.insert(cart.into(), cart_text.as_bytes().to_vec());
        let judged = look(gate, json.as_bytes(), &sources).expect("judged");
        let exceptions = [judged.exceptions, gate.relaxations()].concat();
        let verdict = evaluate(judged.findings, &exceptions, &Policy::default(), date(2026, 11, 21));
        let about = verdict.findings.into_iter().filter(|one| !one.code.as_str().starts_with("COV-003"));
        about.map(|one| format!("{} {}", one.code, one.exception.is_some())).collect::<Vec<_>>()
    };
    let json = std::str::from_utf8(JSON).expect("text");
    let bare = CART
        .replace("# reason: only ever called by hand, in a debugger\n", "#\n")
        .replace("# owner: @example/shop\n", "#\n");
    let bare = bare.replace("# expires: 2027-03-01\n", "#\n");
    let half = CART.replace("# owner: ", "# ");
    let pragma = |gate: &CoverageGate, text: &str| judged(gate, json, text).contains(&"COV-006 true".to_owned());
    assert!(pragma(&full(), CART) && !pragma(&full(), &bare));
    let accepted = accepting(CoverageCode::Excluded, "app/shop/cart.py");
    assert!(pragma(&accepted, &bare));
    assert_eq!(accepted.relaxations()[0].location.line, Some(line), "where the pipeline says so");
    // Not what is wrong there, and neither another file, nor another code, nor all of a folder.
    assert!(!pragma(&accepted, &half));
    for other in [
        accepting(CoverageCode::Excluded, "app/shop/__init__.py"),
        accepting(CoverageCode::Unmeasurable, "app/shop/cart.py"),
        accepting(CoverageCode::Excluded, "app/shop"),
    ] {
        assert!(!pragma(&other, &bare), "{other:?}");
    }
    // It counts as a comment does: the lines are no part of the total.
    let left_out = json.replace("[6, 7, 8, 21, 22]", "[6, 7, 8, 11, 12, 21, 22]");
    let accepted = accepting(CoverageCode::ExcludedByConfiguration, "app/shop/cart.py");
    assert!(judged(&full(), &left_out, CART).contains(&"COV-007 false".to_owned()));
    assert!(judged(&accepted, &left_out, CART).contains(&"COV-007 true".to_owned()));
    // A threshold has a method of its own.
    let found = judged(&accepting(CoverageCode::LinesBelow, "app/shop/cart.py"), json, CART);
    assert!(!found.iter().any(|one| one == "COV-001 true"), "{found:?}");
}

#[test]
fn what_the_configuration_leaves_out_is_told() {
    let text = std::str::from_utf8(JSON)
        .expect("text")
        .replace("\"excluded_lines\": [6, 7, 8, 21, 22]", "\"excluded_lines\": [6, 7, 8, 11, 12, 21, 22]");
    let judged = look(&full(), text.as_bytes(), &sources()).expect("judged");
    assert!(
        shown(&judged).contains(
            &"COV-007 app/shop/cart.py: line 11 is left out, among them total (it has no reason, owner and expiry) \
              @ app/shop/cart.py:11"
                .to_owned()
        ),
        "{:?}",
        shown(&judged)
    );
}

#[test]
fn a_report_of_other_sources_is_an_error() {
    let mut shorter = sources();
    shorter.insert("app/shop/cart.py".into(), b"x = 1\n".to_vec());
    let error = look(&full(), JSON, &shorter).expect_err("stale").to_string();
    assert!(error.contains("knows line 18 of app/shop/cart.py, which has 1"), "{error}");
    let mut deleted = sources();
    deleted.remove(Utf8Path::new("app/shop/forgotten.py"));
    let error = look(&full(), JSON, &deleted).expect_err("stale").to_string();
    assert!(error.contains("covers shop/forgotten.py, which does not exist"), "{error}");
    let report = read_coverage(JSON).expect("a report");
    let elsewhere = BTreeMap::from([("other/x.py".into(), b"x = 1\n".to_vec())]);
    let syntax = syntax_of(&elsewhere);
    let error =
        judge(&full(), &measurement(&report, &elsewhere, &syntax, None), |_| true).expect_err("nothing").to_string();
    assert!(error.contains("holds no statement of the sources"), "{error}");
}

#[test]
fn branches_that_were_not_measured_are_an_error() {
    let lines = b"SF:shop/cart.py\nDA:3,1\nend_of_record\n";
    let only: BTreeMap<_, _> = sources().into_iter().filter(|(path, _)| path.ends_with("cart.py")).collect();
    let error = look(&full(), lines, &only).expect_err("no branches").to_string();
    assert!(error.contains("has no branches"), "{error}");
    assert!(look(&CoverageGate::lines(100.0).expect("full"), lines, &only).is_ok());
}

#[test]
fn thresholds_are_percentages_and_lowering_needs_a_justification() {
    for bad in [f64::NAN, -1.0, 100.5, f64::INFINITY] {
        assert!(matches!(CoverageGate::lines(bad), Err(InvalidThreshold::NotAPercentage(_))), "{bad}");
    }
    assert!(matches!(CoverageGate::lines(99.9), Err(InvalidThreshold::Lowered(_))));
    assert!(matches!(full().branches(0.0), Err(InvalidThreshold::Lowered(_))));
    assert!(matches!(full().lines_lowered(100.0, because()), Err(InvalidThreshold::NotLowered)));
    assert!(matches!(full().branches_lowered(f64::NAN, because()), Err(InvalidThreshold::NotAPercentage(_))));
}

/// A report of coverage.py on one file.
fn report(covered: &[u32], missing: &[u32], excluded: &[u32], taken: &[(i64, i64)], untaken: &[(i64, i64)]) -> Vec<u8> {
    let summary = serde_json::json!({
        "covered_lines": covered.len(), "num_statements": covered.len() + missing.len(), "missing_lines": missing.len(),
        "num_branches": taken.len() + untaken.len(), "covered_branches": taken.len(),
    });
    let file = serde_json::json!({
        "executed_lines": covered, "missing_lines": missing, "excluded_lines": excluded, "summary": summary,
        "executed_branches": taken, "missing_branches": untaken,
    });
    let meta = serde_json::json!({"format": 3, "version": "7.13.5", "branch_coverage": true});
    serde_json::to_vec(&serde_json::json!({"meta": meta, "files": {"shop/a.py": file}, "totals": summary}))
        .expect("JSON")
}

fn shown_of(text: &str, report: &[u8]) -> (Status, String) {
    let sources = BTreeMap::from([(Utf8PathBuf::from("app/shop/a.py"), text.as_bytes().to_vec())]);
    let judged = look(&full(), report, &sources).expect("judged");
    let text = shown(&judged).join("\n");
    (evaluate(judged.findings, &judged.exceptions, &Policy::default(), date(2026, 11, 21)).status, text)
}

#[test]
fn what_the_report_leaves_out_is_known_from_the_source() {
    let function = "A = 1\n\n\ndef secret():\n    return A\n";
    for (name, text, report) in [
        ("exclude_also", function, report(&[1], &[], &[4, 5], &[], &[])),
        ("a plugin that says nothing", function, report(&[1], &[], &[], &[], &[])),
        (
            "a comment with dots",
            "A = 1\n\n\ndef secret():  # ...\n    return A\n",
            report(&[1], &[], &[4, 5], &[], &[]),
        ),
        ("code that is never compiled", "A = 1\nif 0:\n    A = 2\n\n", report(&[1], &[], &[], &[], &[])),
        ("a debugging constant", "A = 1\nif not __debug__:\n    A = 2\n", report(&[1], &[], &[], &[], &[])),
        ("a statement behind a return", "def f():\n    return 1\n    f()\n", report(&[1, 2], &[], &[], &[], &[])),
        (
            "types with code",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    def f():\n        return 1\n",
            report(&[1], &[], &[2, 3, 4], &[], &[]),
        ),
        ("partial_branches", "A = 1\nif A:\n    A = 2\nA = 3\n", report(&[1, 2, 3, 4], &[], &[], &[], &[])),
    ] {
        let (status, found) = shown_of(text, &report);
        assert!(status == Status::Failed && found.contains("COV-007"), "{name}: {found}");
    }
    let why = "# reason: the shop is being replaced this winter\n# owner: @example/shop\n# expires: 2027-03-01\n";
    let justified = format!("A = 1\n{why}def secret():\n    return A\n");
    let (status, found) = shown_of(&justified, &report(&[1], &[], &[5, 6], &[], &[]));
    assert_eq!(status, Status::Exempted, "{found}");
}

#[test]
fn code_that_no_line_shows_is_found() {
    for (name, text, report) in [
        ("a body on the line of its head", "def f(): return 1\n", report(&[1], &[], &[], &[], &[])),
        ("a condition on one line", "A = 1\nif A: A = 2\n", report(&[1, 2], &[], &[], &[], &[])),
        ("a lambda", "f = lambda: 1\n", report(&[1], &[], &[], &[], &[])),
        ("a lambda in a table", "f = {1: lambda: 1}\n", report(&[1], &[], &[], &[], &[])),
        ("text", "exec('x = 1')\n", report(&[1], &[], &[], &[], &[])),
        (
            "code for type checkers",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    def f():\n        return 1\n",
            report(&[1, 2, 3, 4], &[], &[], &[(2, 3)], &[]),
        ),
        ("a value for type checkers", "TYPE_CHECKING = True\n", report(&[1], &[], &[], &[], &[])),
    ] {
        let (status, found) = shown_of(text, &report);
        assert!(status == Status::Failed && found.contains("COV-008"), "{name}: {found}");
    }
}

/// What was entered is the line on which code begins, with the one that ran first: a function that begins there is other code.
#[test]
fn code_that_was_not_entered_is_found_whatever_became_of_its_line() {
    let function = "def f(n):\n    g = (x for x in n)\n    return g\n";
    let decorated = "def d(k):\n    return k\n\n\n@d(lambda: 1)\ndef f():\n    return 1\n";
    let never = "the body of this lambda never ran";
    let generator = "the body of this generator expression never ran";
    for (name, text, covered, entered, told) in [
        ("a lambda that ran", "A = 1\nf = lambda: 1\n", &[1, 2][..], &[(1, 1), (2, 2)][..], ""),
        ("a lambda where the module begins", "f = lambda: 1\n", &[1], &[(1, 1)], "is not alone on its line"),
        ("a lambda", "f = lambda: 1\n", &[1], &[], never),
        ("a generator", function, &[1, 2, 3], &[(1, 2)], generator),
        ("a generator that ran", function, &[1, 2, 3], &[(1, 2), (2, 2)], ""),
        ("a lambda on the line of a function that ran", decorated, &[1, 2, 5, 6, 7], &[(1, 2), (5, 7)], never),
        ("a body on lines of its own", "A = 1\nf = lambda: (\n    1)\n", &[1, 2], &[(1, 1), (2, 3)], ""),
        ("a lambda below the module's docstring", "\"\"\"A.\"\"\"\nf = lambda: 1\n", &[1, 2], &[(1, 1), (2, 2)], ""),
        (
            "each of two on a line of its own",
            "A = 1\nf = [\n    lambda: 1,\n    lambda: 2,\n]\n",
            &[1, 2],
            &[(1, 1), (3, 3), (4, 4)],
            "",
        ),
        ("one of two", "f = [lambda: 1, lambda: 2]\n", &[1], &[(1, 1)], "is not alone on its line"),
        ("none of two", "f = [lambda: 1, lambda: 2]\n", &[1], &[], never),
        ("in a class on one line", "class A: f = lambda: 1\n", &[1], &[(1, 1)], "is not alone on its line"),
    ] {
        let sources = BTreeMap::from([(Utf8PathBuf::from("app/shop/a.py"), text.as_bytes().to_vec())]);
        let entered = BTreeMap::from([(Utf8PathBuf::from("app/shop/a.py"), entered.iter().copied().collect())]);
        let report = read_coverage(&report(covered, &[], &[], &[], &[])).expect("a report");
        let syntax = syntax_of(&sources);
        let judged = judge(&full(), &measurement(&report, &sources, &syntax, Some(&entered)), |_| false);
        let found = shown(&judged.expect("judged")).join("\n");
        let is_told =
            if told.is_empty() { found.is_empty() } else { found.contains("COV-008") && found.contains(told) };
        assert!(is_told && found.lines().count() <= 1, "{name}: {found}");
    }
    // A line that did not run is said once, and a pragma that somebody answers for speaks of what is in its lines too.
    let (text, entered) =
        ("A = 1\nif A:\n    f = lambda: 1\nA = 2\n", BTreeMap::from([("app/shop/a.py".into(), BTreeSet::new())]));
    let sources = BTreeMap::from([(Utf8PathBuf::from("app/shop/a.py"), text.as_bytes().to_vec())]);
    let report = read_coverage(&report(&[1, 2, 4], &[3], &[], &[(2, 4)], &[(2, 3)])).expect("a report");
    let syntax = syntax_of(&sources);
    let judged = judge(&full(), &measurement(&report, &sources, &syntax, Some(&entered)), |_| false).expect("judged");
    assert!(!shown(&judged).join("\n").contains("COV-008"), "{:?}", shown(&judged));
}

#[test]
fn what_needs_no_measurement_is_left_out_by_the_gate_itself() {
    let stub = "A = 1\n\n\ndef f() -> int:\n    ...\n";
    assert_eq!(shown_of(stub, &report(&[1, 4], &[5], &[], &[], &[])), (Status::Passed, String::new()));
    let types = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import os\nA = 1\n";
    let report_of = report(&[1, 2, 4], &[3], &[], &[(2, 4)], &[(2, 3)]);
    assert_eq!(shown_of(types, &report_of), (Status::Passed, String::new()));
    // A pragma that somebody answers for: the line, and the way to it.
    let why =
        "    # reason: the shop is being replaced this winter\n    # owner: @example/shop\n    # expires: 2027-03-01\n";
    let pragma = format!("A = 1\nif A:\n{why}    A = 2  # pragma: no cover\nA = 3\n");
    let (status, found) = shown_of(&pragma, &report(&[1, 2, 7], &[6], &[], &[(2, 7)], &[(2, 6)]));
    assert_eq!(status, Status::Exempted, "{found}");
    let (status, found) = shown_of(&pragma.replace(why, ""), &report(&[1, 2, 4], &[3], &[], &[(2, 4)], &[(2, 3)]));
    assert!(status == Status::Failed && found.contains("IGN-016") && found.contains("COV-001"), "{found}");
}
