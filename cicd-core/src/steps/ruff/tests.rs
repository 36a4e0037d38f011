use jiff::civil::date;

use super::*;

use crate::policy::{Policy, evaluate};
use crate::process::Exit;
use crate::scan::{Judgement, judge};

const CHECK: &str = include_str!("../../../tests/data/ruff/check.json");
const FORMAT: &str = include_str!("../../../tests/data/ruff/format.json");
const FORMAT_SYNTAX: &str = include_str!("../../../tests/data/ruff/format-syntax-error.json");
const FILES: &str = include_str!("../../../tests/data/ruff/files.txt");
const MISSING: &str = include_str!("../../../tests/data/ruff/missing.json");
const TODAY: jiff::civil::Date = date(2026, 11, 21);

/// What each of the recordings is about.
const SHOP: [(&str, &str); 4] =
    [("shop/bad.py", ""), ("shop/cart.py", ""), ("shop/syntax.py", ""), ("tests/test_cart.py", "")];

fn lint() -> RuffLintScanner {
    RuffLintScanner { dir: "shop".into() }
}

fn looked<S: Scanner<Layout = Root>>(
    scanner: &S,
    files: &[(&str, &str)],
    reports: &[(i32, &str)],
) -> Result<Judgement, StepError> {
    let sources = Sources::recorded("ruff", semver::Version::new(0, 17, 5), files);
    let shown: String = files.iter().map(|(path, _)| format!("/src/{path}\n")).collect();
    let mut captured = vec![Captured::recorded(Exit::Code(0), shown, "")];
    captured.extend(reports.iter().map(|(code, json)| Captured::recorded(Exit::Code(*code), *json, "")));
    let report = scanner.read(&sources, &Root("/src".into()), &captured)?;
    judge(scanner, &sources, &report)
}

/// The codes and places that a format check finds.
fn read(code: i32, stdout: &str) -> Result<Vec<String>, StepError> {
    let scanner = RuffFormatScanner { dir: "shop".into() };
    let Judgement { findings, .. } = looked(&scanner, &SHOP, &[(code, stdout)])?;
    Ok(findings.iter().map(|one| format!("{} {}", one.code, one.location.as_ref().expect("a place"))).collect())
}

#[test]
fn findings_keep_their_code_and_place() {
    assert_eq!(
        read(1, CHECK).expect("looked"),
        [
            "I001 shop/bad.py:1:1",
            "F401 shop/bad.py:1:8",
            "F401 shop/bad.py:2:8",
            "PLR1730 shop/cart.py:16:9",
            "invalid-syntax shop/syntax.py:1:12",
            "invalid-syntax shop/syntax.py:2:1",
            "I001 tests/test_cart.py:1:1",
        ]
    );
    assert_eq!(read(1, FORMAT).expect("looked"), ["unformatted shop/bad.py:3:1"]);
    assert_eq!(read(2, FORMAT_SYNTAX).expect("looked").len(), 2);
    assert!(read(0, "[]").expect("looked").is_empty());
}

const QUIET: &str = include_str!("../../../tests/data/ruff/quiet.py.txt");
const QUIET_REPORT: &str = include_str!("../../../tests/data/ruff/quiet.json");

/// The findings that no comment exempts.
fn open(text: &str) -> Vec<String> {
    let reports = [(1, QUIET_REPORT), (0, "[]")];
    let Judgement { findings, exceptions } = looked(&lint(), &[("shop/quiet.py", text)], &reports).expect("looked");
    let verdict = evaluate(findings, &exceptions, &Policy::default(), TODAY);
    let open = verdict.findings.iter().filter(|one| one.exception.is_none());
    open.map(|one| format!("{} {}", one.code, one.location.as_ref().and_then(|at| at.line).unwrap_or(0))).collect()
}

#[test]
fn a_justified_comment_exempts_what_it_reaches_and_a_bare_one_nothing() {
    let others = ["F401 7", "F401 15", "F401 21", "F401 25", "IGN-016 7", "IGN-016 15", "EXC-002 25"];
    assert_eq!(open(QUIET), others);
    for (from, to, more) in [
        ("# expires: 2027-03-01\nimport abc", "# expires: 2026-03-01\nimport abc", vec!["F401 6", "EXC-001 6"]),
        ("# expires: 2027-03-01\nimport abc", "# expires: 2028-03-01\nimport abc", vec!["F401 6", "EXC-004 6"]),
        ("# ruff: enable[F401]", "# ruff: enable[E501]", vec!["F401 12", "F401 13", "IGN-016 11"]),
        ("# isort: off", "# isort: on", vec![]),
        ("# expires: 2027-03-01\n# isort: off", "#\n# isort: off", vec!["IGN-016 19"]),
    ] {
        assert!(QUIET.contains(from), "{from}");
        let mut seen = open(&QUIET.replacen(from, to, 1));
        for one in more {
            let at = seen.iter().position(|found| found == one).unwrap_or_else(|| panic!("{one}: {seen:?}"));
            seen.remove(at);
        }
        assert_eq!(seen, others, "{to}");
    }
}

#[test]
fn what_the_formatter_passes_over_needs_somebody_who_answers_for_it() {
    let text = |above: &str| format!("# reason: a table is read more easily in columns\n{above}# fmt: off\n");
    let of = |text: &str| {
        let scanner = RuffFormatScanner { dir: "shop".into() };
        let Judgement { findings, exceptions } = looked(&scanner, &[("a.py", text)], &[(0, "[]")]).expect("looked");
        (findings.iter().map(|one| one.code.to_string()).collect::<Vec<_>>(), exceptions.len())
    };
    assert_eq!(of(&text("# owner: @example/platform\n# expires: 2027-03-01\n")), (vec!["RUFF-001".to_owned()], 1));
    assert_eq!(of(&text("")), (vec!["IGN-016".to_owned()], 0));
}

#[test]
fn what_proves_nothing_is_an_error() {
    for (code, stdout) in [
        (0, CHECK),
        (1, "[]"),
        (2, "[]"),
        (0, ""),
        (1, MISSING),
        (1, &CHECK[..CHECK.len() / 2]),
        (0, "null"),
        (101, "[]"),
    ] {
        assert!(read(code, stdout).is_err(), "exit code {code} with {:?}", &stdout[..stdout.len().min(30)]);
    }
}

#[test]
fn a_file_that_ruff_does_not_show_is_an_error() {
    let names: Vec<_> = FILES.lines().filter_map(|line| line.strip_prefix("/src/")).collect();
    let sources: Vec<_> = names.iter().map(|name| (*name, "")).collect();
    let look = |files: &[(&str, &str)], shown: &str| {
        let sources = Sources::recorded("ruff", semver::Version::new(0, 17, 5), files);
        let captured = [shown, "[]", "[]"].map(|text| Captured::recorded(Exit::Code(0), text, ""));
        let report = lint().read(&sources, &Root("/src".into()), &captured)?;
        judge(&lint(), &sources, &report)
    };
    assert!(look(&sources, FILES).expect("all").findings.is_empty());
    let more: Vec<_> = sources.iter().copied().chain([("shop/hidden.py", "")]).collect();
    let error = look(&more, FILES).expect_err("hidden").to_string();
    assert!(error.contains(&format!("1 of {} files, among them shop/hidden.py", more.len())), "{error}");
    let error = look(&sources[1..], FILES).expect_err("foreign").to_string();
    assert!(error.contains(&format!("it names {}, which ruff was not given", sources[0].0)), "{error}");
    assert!(look(&sources, "").is_err());
}

#[test]
fn what_settings_hide_the_minimum_still_finds_and_what_both_find_is_told_once() {
    let of = |own: (i32, &str), minimum: (i32, &str)| {
        let Judgement { findings, .. } = looked(&lint(), &SHOP, &[own, minimum]).expect("looked");
        findings.len()
    };
    assert_eq!(of((0, "[]"), (1, CHECK)), 7);
    assert_eq!(of((1, CHECK), (1, CHECK)), 7);
    assert!(looked(&lint(), &SHOP, &[(0, "[]"), (0, CHECK)]).is_err());
    assert!(looked(&lint(), &SHOP, &[(0, "[]")]).is_err());
}
