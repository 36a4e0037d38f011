use jiff::civil::date;

use super::*;
use crate::model::Status;
use crate::policy::{Policy, evaluate};
use crate::process::Exit;
use crate::scan::{Judgement, judge};

const DOCKERFILE: &str = include_str!("../../tests/data/hadolint/Dockerfile");
const FINDINGS: &str = include_str!("../../tests/data/hadolint/findings.json");
const UNPARSABLE: &str = include_str!("../../tests/data/hadolint/unparsable.json");

const CANARY_PATH: &str = "/bench/canary.txt";

fn judged(captured: &Captured, dockerfiles: &[(&str, &str)]) -> Result<Judgement, StepError> {
    let sources = Sources::recorded("hadolint", semver::Version::new(2, 15, 1), dockerfiles);
    let report = Report::proven_otherwise().with(captured, hits(captured, CANARY_PATH.into())?);
    let scanner = HadolintScanner { named: Vec::new(), registries: Vec::new() };
    judge(&scanner, &sources, &report)
}

/// The recorded report, with what is found in the canary.
fn with_canary(json: &str) -> String {
    let canary = format!(
        "{{\"code\":\"DL3007\",\"column\":1,\"file\":\"{CANARY_PATH}\",\"level\":\"warning\",\"line\":1,\"message\":\"x\"}}"
    );
    match json.trim_end().strip_suffix(']') {
        Some(list) if list.trim() == "[" => format!("[{canary}]"),
        Some(list) => format!("{list},{canary}]"),
        None => json.to_owned(),
    }
}

fn look(json: &str, text: &str) -> Result<Judgement, StepError> {
    judged(&Captured::recorded(Exit::Code(0), with_canary(json), ""), &[("Dockerfile", text)])
}

fn verdict(json: &str, text: &str) -> (Status, Vec<String>) {
    let Judgement { findings, exceptions } = look(json, text).expect("looked");
    let verdict = evaluate(findings, &exceptions, &Policy::default(), date(2026, 11, 21));
    let open = verdict.findings.iter().filter(|one| one.exception.is_none());
    let shown = open.map(|one| format!("{} {}", one.code, one.location.as_ref().and_then(|at| at.line).unwrap_or(0)));
    (verdict.status, shown.collect())
}

#[test]
fn a_justified_pragma_exempts_and_a_bare_one_does_not() {
    let (status, open) = verdict(FINDINGS, DOCKERFILE);
    assert_eq!(status, Status::Failed);
    assert_eq!(
        open,
        ["DL3007 1", "DL3015 7", "DL3047 12", "DL4006 12", "DL3003 14", "SC2086 14", "IGN-016 11"],
        "DL3008 on line 7 is the only one that is exempted"
    );
}

const ONE: &str = r#"[{"code":"DL3008","column":1,"file":"Dockerfile","level":"warning","line":6,"message":"pin"}]"#;

fn with_pragma(pragma: &str, rest: &str) -> String {
    let above =
        "FROM x\n# reason: versions move with every security fix\n# owner: @example/platform\n# expires: 2027-03-01\n";
    format!("{above}{pragma}\n{rest}")
}

#[test]
fn what_a_pragma_reaches_is_its_own_instruction() {
    assert_eq!(verdict(ONE, &with_pragma("# hadolint ignore=DL3008", "RUN x\n")).0, Status::Exempted);
    assert_eq!(verdict(ONE, &with_pragma("#  Hadolint  ignore = dl3008 # why", "RUN x\n")).0, Status::Exempted);
    assert_eq!(verdict(ONE, &with_pragma("# hadolint global ignore=DL3008", "RUN x\n")).0, Status::Exempted);
    for (pragma, rest, open) in [
        ("# hadolint ignore=DL3009", "RUN x\n", vec!["DL3008 6", "EXC-002 5"]),
        ("# hadolint ignore=DL3008,DL3009", "RUN x\n", vec!["EXC-002 5"]),
        ("# hadolint ignore=DL3008", "", vec!["DL3008 6", "IGN-016 5"]),
        ("# hadolint ignore=DL3008", "\nRUN x\n", vec!["DL3008 6", "IGN-016 5"]),
        ("# hadolint ignore=DL3008", "# more\nRUN x\n", vec!["DL3008 6", "EXC-002 5"]),
        ("# hadolint ignore=", "RUN x\n", vec!["DL3008 6", "IGN-016 5"]),
        ("# hadolint shell=powershell", "RUN x\n", vec!["DL3008 6", "IGN-016 5"]),
        ("# shellcheck disable=SC2086", "RUN x\n", vec!["DL3008 6", "IGN-016 5"]),
    ] {
        assert_eq!(
            verdict(ONE, &with_pragma(pragma, rest)),
            (Status::Failed, open.iter().map(|s| (*s).to_owned()).collect()),
            "{pragma}"
        );
    }
    let expired = with_pragma("# hadolint ignore=DL3008", "RUN x\n").replace("2027", "2020");
    assert_eq!(verdict(ONE, &expired), (Status::Failed, vec!["DL3008 6".to_owned(), "EXC-001 5".to_owned()]));
    let late = with_pragma("# hadolint ignore=DL3008", "RUN x\n").replace("2027-03", "2027-09");
    assert_eq!(verdict(ONE, &late), (Status::Failed, vec!["DL3008 6".to_owned(), "EXC-004 5".to_owned()]));
}

#[test]
fn a_file_that_was_not_looked_at_is_an_error() {
    let unparsable = judged(&Captured::recorded(Exit::Code(0), UNPARSABLE, ""), &[("unparsable.Dockerfile", "FRM x")]);
    let error = unparsable.expect_err("unparsable").to_string();
    assert!(error.starts_with("unparsable.Dockerfile:1:1: the Dockerfile cannot be read: unexpected 'F'"), "{error}");
    let foreign = ONE.replace("\"Dockerfile\"", "\"other\"");
    let level = ONE.replace("warning", "fatal");
    for bad in ["", "{}", "null", &ONE[..40], &foreign, &level] {
        assert!(look(bad, "FROM x\n").is_err(), "{bad:?} was accepted");
    }
    let files = [("Dockerfile", "FROM x\n")];
    assert!(judged(&Captured::recorded(Exit::Code(1), with_canary("[]"), ""), &files).is_err());
    assert!(
        judged(&Captured::recorded(Exit::Code(0), with_canary("[]"), "Error parsing your config file"), &files)
            .is_err()
    );
    assert!(judged(&Captured::recorded(Exit::Code(0), with_canary("[]"), ""), &files).is_ok());
    let silent = judged(&Captured::recorded(Exit::Code(0), "[]", ""), &files).expect_err("no canary").to_string();
    assert!(silent.contains("did not find DL3007 in a file that has it"), "{silent}");
}
