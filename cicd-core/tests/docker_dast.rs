//! The HTTP checks with a real engine, on a server with every weakness and on one with none.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cicd_core::docker::{ImageUnderTest, LABEL_RUN, docker};
use cicd_core::model::{FindingCode as _, Judged as _, Status, Subject};
use cicd_core::pipeline::Alone;
use cicd_core::policy::{Justification, Policy, evaluate};
use cicd_core::step::{Outcome, Step as _, StepError};
use cicd_core::steps::{Dast, DastBuilder, DastCode, DastReport};

mod docker_support;
#[path = "docker_support/server_image.rs"]
mod server_image;

use docker_support::{COMMIT, Sandbox};

/// Runs that begin in the same moment have the same id, and each test looks for what its own has left.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Bench {
    cx: Alone,
    image: ImageUnderTest,
    /// Goes last: it removes the image.
    _sandbox: Sandbox,
}

impl Bench {
    /// An image of the weak server, run with these further words.
    fn new(words: &str) -> Self {
        let mut sandbox = Sandbox::new(&[]);
        let cx = sandbox.context("dast");
        let tar = cx.dir().join("image.tar");
        fs::write(&tar, server_image::file_system("weak_server")).expect("written");
        let command = format!("CMD [\"/weak_server\", \"0.0.0.0:8080\"{words}]");
        let import = docker(["import", "--change", &command, "--change", "USER 10001", tar.as_str()]);
        let captured = cx.run_ok(&import).unwrap_or_else(|error| panic!("{error}"));
        let id = captured.stdout_text().expect("text").trim().to_owned();
        sandbox.removes(&id);
        let image = serde_json::json!({
            "id": id, "name": "weak:test", "size_bytes": 1, "user": "10001", "labels": {}, "platform": "linux/amd64",
            "commit": COMMIT, "dirty": false, "bases": [],
        });
        Self { cx, image: serde_json::from_value(image).expect("an image"), _sandbox: sandbox }
    }

    fn run(&self, dast: DastBuilder) -> Result<Outcome<DastReport>, StepError> {
        let result = dast.build().expect("checks").run(&self.cx, self.image.clone());
        let filter = format!("label={LABEL_RUN}={}", self.cx.shared().id);
        let left = self.cx.run_ok(&docker(["ps", "--all", "--quiet", "--filter", &filter])).expect("a list");
        assert_eq!(left.stdout_text().expect("text").trim(), "", "a container is left");
        result
    }
}

fn all() -> DastBuilder {
    Dast::on(["/status", "/"]).form("/", [("author", "Ada"), ("text", "hello")]).behind_tls()
}

#[test]
fn every_weakness_is_found_where_it_is_and_none_where_none_is() {
    let _turn = turn();
    let weak = Bench::new("");
    let outcome = weak.run(all()).expect("looked");
    let found: BTreeSet<&str> = outcome.findings.iter().map(|finding| finding.code.as_str()).collect();
    let known: BTreeSet<&str> = DastCode::ALL.iter().map(|code| code.info().code).collect();
    assert_eq!(found, known, "each code has its example in the weak server");
    assert!(outcome.findings.iter().all(|finding| finding.target.is_some() && finding.location.is_some()));
    assert_eq!(outcome.value.subject(), Subject::Image(weak.image.id.clone()));
    let log = fs::read_to_string(weak.cx.dir().join("exchanges.json")).expect("kept");
    assert!(log.contains("/?next=https://dast.invalid/"), "{log}");

    let strong = Bench::new(", \"strong\"");
    let outcome = strong.run(all()).expect("looked");
    assert_eq!(outcome.findings, []);
    let answered: Vec<_> = outcome.value.answered().iter().map(|one| (one.request.as_str(), one.status)).collect();
    assert_eq!(answered, [("GET /status", 200), ("GET /", 200), ("POST /", 303)]);

    let allowed = Justification::new("the proxy in front of it takes the header away", "@org/web", "2027-01-01");
    let outcome = weak.run(all().allow(DastCode::Banner, "/", allowed.expect("valid"))).expect("looked");
    let verdict = evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), jiff::civil::date(2026, 11, 21));
    assert_eq!(verdict.status, Status::Failed);
    let exempted = verdict.findings.iter().filter(|one| one.exception.is_some()).map(|one| one.code.as_str());
    assert_eq!(exempted.collect::<Vec<_>>(), ["DAST-006"], "one code on one route, and nothing else");
}

#[test]
fn what_was_not_looked_at_is_an_error_and_a_server_that_ends_is_a_finding() {
    let _turn = turn();
    let strong = Bench::new(", \"strong\"");
    let error = strong.run(Dast::on(["/status", "/gone"])).expect_err("no such route").to_string();
    assert!(error.starts_with("GET /gone was answered with 404 instead of 200"), "{error}");
    let refusing = Bench::new(", \"strong\", \"refuses\"");
    let error = refusing.run(all()).expect_err("the form takes nothing").to_string();
    assert!(error.starts_with("POST / was answered with 403, so that no input went in"), "{error}");
    let ending = Bench::new(", \"strong\", \"ends\"");
    let outcome = ending.run(all()).expect("a finding");
    assert_eq!(outcome.findings[0].code.as_str(), "DAST-013");
    assert!(outcome.findings[0].message.contains("exit code 9"), "{}", outcome.findings[0].message);
}
