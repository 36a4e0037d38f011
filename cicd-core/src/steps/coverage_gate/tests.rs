use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::civil::date;

use super::judge::{Judgement, Measurement, judge};
use super::*;
use crate::formats::coverage::read_coverage;
use crate::model::Status;
use crate::policy::{Justification, Policy, evaluate};
use crate::step::StepError;

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

fn look(gate: &CoverageGate, bytes: &[u8], sources: &BTreeMap<Utf8PathBuf, Vec<u8>>) -> Result<Judgement, StepError> {
    let report = read_coverage(bytes).expect("a report");
    let measurement = Measurement { report: &report, dir: "app".into(), root: "/src".into(), sources };
    judge(gate, &measurement, |_| false)
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
    assert_eq!((judged.files, judged.excluded_lines), (3, 5));
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

#[test]
fn a_lowered_threshold_is_an_exception_that_shows_and_ends() {
    let lines = br#"SF:shop/cart.py
DA:3,1
DA:5,1
DA:13,0
end_of_record
"#;
    let only: BTreeMap<_, _> = sources().into_iter().filter(|(path, _)| path.ends_with("cart.py")).collect();
    let today = date(2026, 11, 21);
    let gate = |percent: f64| {
        CoverageGate::lines(100.0).and_then(|gate| gate.lines_lowered(percent, because())).expect("lowered")
    };
    let verdict = |gate: &CoverageGate, lines: &[u8], today| {
        let judged = look(gate, lines, &only).expect("judged");
        let exceptions = [judged.exceptions, gate.lowered.clone()].concat();
        evaluate(judged.findings, &exceptions, &Policy::default(), today)
    };
    assert_eq!(verdict(&gate(60.0), lines, today).status, Status::Exempted);
    assert_eq!(verdict(&gate(60.0), lines, date(2027, 3, 1)).status, Status::Failed, "expired");
    let failed = verdict(&gate(70.0), lines, today);
    assert_eq!(failed.status, Status::Failed);
    assert!(failed.findings.iter().any(|finding| finding.message == "line coverage is 66.6 % (2 of 3), below 70 %"));
    let complete = verdict(&gate(60.0), b"SF:shop/cart.py\nDA:3,1\nend_of_record\n", today);
    assert_eq!(complete.status, Status::Failed, "a threshold that is lower than need be");
    assert!(complete.findings.iter().any(|finding| finding.code.as_str() == "EXC-002"));
}

#[test]
fn a_pragma_needs_somebody_who_answers_for_it() {
    let judged = look(&full(), JSON, &sources()).expect("judged");
    assert_eq!(judged.exceptions.len(), 1);
    assert!(shown(&judged).iter().any(|line| line.starts_with("COV-006") && line.ends_with("@ app/shop/cart.py:23")));
    let mut bare = sources();
    bare.insert("app/shop/cart.py".into(), CART.replace("# owner", "# by").into_bytes());
    let judged = look(&full(), JSON, &bare).expect("judged");
    assert!(judged.exceptions.is_empty());
    assert!(
        shown(&judged)
            .iter()
            .any(|line| line.starts_with("IGN-016 `def debug() -> str:  # pragma: no cover`: it has no"))
    );
}

#[test]
fn what_the_configuration_leaves_out_is_told() {
    let text = std::str::from_utf8(JSON)
        .expect("text")
        .replace("\"excluded_lines\": [6, 7, 8, 21, 22]", "\"excluded_lines\": [6, 7, 8, 11, 12, 21, 22]");
    let judged = look(&full(), text.as_bytes(), &sources()).expect("judged");
    assert!(
        shown(&judged).contains(&"COV-007 app/shop/cart.py: lines 11-12 are left out @ app/shop/cart.py:11".to_owned()),
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
    let measurement = Measurement { report: &report, dir: "app".into(), root: "/src".into(), sources: &elsewhere };
    let error = judge(&full(), &measurement, |_| true).expect_err("nothing").to_string();
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
