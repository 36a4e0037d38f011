use std::collections::BTreeMap;

use jiff::civil::{Date, date};

use super::IacScan;
use super::judge::{report, without_pragmas};
use crate::model::Status;
use crate::policy::{Policy, evaluate};
use crate::process::{Captured, Exit};
use crate::scan::{Judgement, Sources, judge};
use crate::step::StepError;

const TODAY: Date = date(2026, 11, 21);
const DOCKERFILE: &str = include_str!("../../../tests/data/checkov/Dockerfile.txt");
const WORKFLOW: &str = include_str!("../../../tests/data/checkov/bad.yml.txt");
const SEVERAL: &str = include_str!("../../../tests/data/checkov/several.json");
const ONE: &str = include_str!("../../../tests/data/checkov/one.json");
const NONE: &str = include_str!("../../../tests/data/checkov/none.json");
const SKIPPED: &str = include_str!("../../../tests/data/checkov/skipped.json");
const UNKNOWN_LOG: &str = include_str!("../../../tests/data/checkov/unknown.stderr.txt");

fn look(code: i32, json: &str, log: &str, sources: &[(&str, &str)]) -> Result<Judgement, StepError> {
    let version = semver::Version::new(3, 3, 30);
    let sources = Sources::recorded("checkov", version.clone(), sources);
    let report = report(&Captured::recorded(Exit::Code(code), json, log), &version, &BTreeMap::new())?;
    judge(&IacScan::checkov().scanner, &sources, &report)
}

fn both<'a>(dockerfile: &'a str, workflow: &'a str) -> [(&'a str, &'a str); 2] {
    [("Dockerfile", dockerfile), (".github/workflows/bad.yml", workflow)]
}

/// The findings that no exception allows, with their places.
fn open(dockerfile: &str, workflow: &str) -> (Status, Vec<String>) {
    let Judgement { findings, exceptions } = look(1, SEVERAL, "", &both(dockerfile, workflow)).expect("looked");
    let verdict = evaluate(findings, &exceptions, &Policy::default(), TODAY);
    let open = verdict.findings.iter().filter(|one| one.exception.is_none());
    let shown = open.map(|one| format!("{} {}", one.code, one.location.as_ref().expect("a place")));
    (verdict.status, shown.collect())
}

#[test]
fn findings_have_their_places() {
    let (status, open) = open(DOCKERFILE, WORKFLOW);
    assert_eq!(status, Status::Failed);
    assert_eq!(
        open,
        [
            "CKV_DOCKER_7 Dockerfile:1",
            "CKV_DOCKER_2 Dockerfile:1",
            "CKV_DOCKER_3 Dockerfile:1",
            "CKV_GHA_1 .github/workflows/bad.yml:6",
            "CKV_GHA_2 .github/workflows/bad.yml:10",
            "CKV2_GHA_1 .github/workflows/bad.yml:3",
        ]
    );
    assert_eq!(look(1, ONE, "", &[("Dockerfile", DOCKERFILE)]).expect("looked").findings.len(), 3);
}

#[test]
fn a_justified_comment_exempts_and_a_bare_one_does_not() {
    let why =
        "# reason: rebuilt every night by the team that runs it\n# owner: @example/platform\n# expires: 2027-03-01\n";
    let with = |comment: &str| format!("{why}{comment}\n{DOCKERFILE}");
    let (_, all) = open(DOCKERFILE, WORKFLOW);
    // The recorded report has the FROM on line 1, so that is where the comment has to lead to.
    let inside = |comment: &str| format!("{comment}\n{DOCKERFILE}");
    let (_, bare) = open(&inside("# checkov:skip=CKV_DOCKER_2"), WORKFLOW);
    assert_eq!(bare.len(), all.len() + 1);
    assert!(bare.contains(&"IGN-016 Dockerfile:1".to_owned()), "{bare:?}");

    // Line 4 is inside of nothing that was found; the exception is stale, and hides nothing.
    let (_, stale) = open(&with("# checkov:skip=CKV_DOCKER_2"), WORKFLOW);
    assert!(stale.contains(&"EXC-002 Dockerfile:4".to_owned()), "{stale:?}");
    let moved = SEVERAL.replace("1,\n                        3\n", "5,\n                        7\n");
    assert_ne!(moved, SEVERAL);
    let judged = |comment: &str| {
        let text = with(comment);
        let Judgement { findings, exceptions } = look(1, &moved, "", &both(&text, WORKFLOW)).expect("looked");
        let verdict = evaluate(findings, &exceptions, &Policy::default(), TODAY);
        let exempted = verdict.findings.iter().filter(|one| one.exception.is_some());
        exempted.map(|one| one.code.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(judged("# checkov:skip=CKV_DOCKER_2"), ["CKV_DOCKER_2"]);
    assert_eq!(judged("#CHECKOV:SKIP=CKV_DOCKER_2,CKV_DOCKER_3: said again here"), ["CKV_DOCKER_2", "CKV_DOCKER_3"]);
    assert_eq!(judged("# checkov:skip="), [""; 0]);
    assert_eq!(judged("# checkov:skip=CKV_DOCKER_9"), [""; 0]);
}

#[test]
fn comments_have_no_effect_on_what_checkov_is_given() {
    let given = without_pragmas("# checkov:skip=CKV_1\n#Bridgecrew:Skip=CKV_2: x\n# cortex:skip=CKV_3\n# skip\n")
        .expect("a pattern");
    assert_eq!(given, "# checkov.skip=CKV_1\n#Bridgecrew.skip=CKV_2: x\n# cortex.skip=CKV_3\n# skip\n");
}

#[test]
fn what_was_not_looked_at_is_an_error() {
    let error = |code: i32, json: &str, log: &str, sources: &[(&str, &str)]| {
        look(code, json, log, sources).expect_err("not looked").to_string()
    };
    let docker = [("Dockerfile", DOCKERFILE)];
    assert!(error(0, NONE, "", &docker).contains("did not look at 1 of 1 files, among them Dockerfile"));
    // A workflow that its schema does not allow is left out without a word.
    assert!(error(1, ONE, "", &both(DOCKERFILE, WORKFLOW)).contains("among them .github/workflows/bad.yml"));
    assert!(error(1, SEVERAL, "", &docker).contains("names .github/workflows/bad.yml, which checkov was not given"));
    assert!(error(1, ONE, UNKNOWN_LOG, &docker).contains("An unsupported instruction FRM"));
    assert!(error(0, "", "[ERROR]  Directory nodir does not exist; skipping it\n", &docker).contains("does not exist"));
    assert!(error(1, SKIPPED, "", &[("skip.Dockerfile", "FROM debian:12\n")]).contains("hidden CKV_DOCKER_3"));
    let unparsed = ONE
        .replace("\"parsing_errors\": []", "\"parsing_errors\": [\"/Dockerfile\"]")
        .replace("\"parsing_errors\": 0", "\"parsing_errors\": 1");
    assert!(error(1, &unparsed, "", &docker).starts_with("Dockerfile: the file cannot be read"));
    assert!(error(0, ONE, "", &docker).contains("3 findings, but checkov ended with"));
    assert!(error(1, &ONE.replace("3.3.30", "3.0.0"), "", &docker).contains("written by checkov 3.0.0"));
    assert!(error(1, &ONE.replace("\"failed\": 3", "\"failed\": 2"), "", &docker).contains("its counts"));
    assert!(error(0, &NONE.replace("\"passed\": 0", "\"passed\": 9"), "", &docker).contains("shows none"));
    assert!(error(1, &ONE.replace("\"severity\": null", "\"severity\": \"x\""), "", &docker).contains("severity"));
    assert!(look(2, ONE, "", &docker).is_err() && look(137, ONE, "", &docker).is_err());
}

#[test]
fn half_a_report_is_none() {
    let docker = [("Dockerfile", DOCKERFILE)];
    for (whole, sources) in [(ONE, &docker[..]), (SEVERAL, &both(DOCKERFILE, WORKFLOW)[..]), (NONE, &docker[..])] {
        let whole = whole.trim_end();
        for end in (0..whole.len()).step_by(61).chain([whole.len() - 1]) {
            assert!(look(1, &whole[..end], "", sources).is_err(), "{end} bytes were accepted");
        }
    }
    for text in ["null", "[]", "{}", "[null]", "3", "{\"results\": {}}"] {
        assert!(look(0, text, "", &docker).is_err(), "{text}");
    }
}

#[test]
fn hostile_texts_do_no_harm() {
    let hostile = SEVERAL.replace("\"resource\": \"on(bad)\"", "\"resource\": \"a\\n::error::x\\u001b[2J\"");
    assert_ne!(hostile, SEVERAL);
    let Judgement { findings, .. } = look(1, &hostile, "", &both(DOCKERFILE, WORKFLOW)).expect("looked");
    assert!(findings.iter().all(|one| !one.message.chars().any(char::is_control)));
    assert!(findings.iter().any(|one| one.message.contains("a ::error::x")));
}
