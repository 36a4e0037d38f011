//! A run with one of everything, for the tests of the reporters.

use jiff::civil::date;

use crate::model::{Code, ExceptionRef, Facts, Finding, Level, Location, RunId, Severity, Status, StepName};
use crate::pipeline::{Pipeline, SCHEMA_VERSION, StepReport, Summary};
use crate::step::{Outcome, step_fn};

/// A run with so many findings in its first step and two more in the second, and the pipeline it was made of.
pub(super) fn run(findings: usize) -> (Summary, Pipeline) {
    let mut pipeline = Pipeline::new("example");
    for name in ["sast", "trivy", "licenses", "database"] {
        pipeline.add(name, step_fn(|_, ()| Ok(Outcome::of(()))), ());
    }
    let mut sast = step("sast", Status::Failed);
    sast.findings = (0..findings).map(hostile).collect();
    let mut trivy = step("trivy", Status::Exempted);
    let outside = Finding::with_code(Code::new("X-1"), "seen in the image").at(Location::line("/opt/app/x.py", 3));
    let mut allowed = Finding::with_code(Code::new("CVE-2023-32681"), "a flaw")
        .target(crate::model::Target::package("pkg:pypi/requests@2.30.0"))
        .at(Location::line("requirements.txt", 7));
    allowed.exception = Some(ExceptionRef {
        location: Location::line("ci/.trivyignore", 4),
        reason: "no proxy is ever configured for this service".to_owned(),
        owner: "@org/security".to_owned(),
        expires: date(2027, 1, 1),
        environments: crate::model::Environments::default(),
    });
    trivy.findings = vec![outside.level(Level::Warn).severity(Severity::Low), allowed];
    let mut database = step("database", Status::Error);
    database.reason = Some("cannot reach the database; try again".to_owned());
    let mut licenses = step("licenses", Status::Passed);
    licenses.facts.set_headline("12 packages");
    let summary = Summary {
        schema_version: SCHEMA_VERSION,
        pipeline: "example".to_owned(),
        run: RunId::new(jiff::Timestamp::UNIX_EPOCH, 1),
        status: Status::Error,
        exit_code: 3,
        reason: None,
        complete: true,
        commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        dirty: Some(false),
        tree: None,
        definition: String::new(),
        program: None,
        started_at: jiff::Timestamp::UNIX_EPOCH,
        duration_ms: 61_000,
        steps: vec![sast, trivy, licenses, database],
    };
    (summary, pipeline)
}

fn hostile(number: usize) -> Finding {
    let line = u32::try_from(number + 1).unwrap_or(u32::MAX);
    Finding::with_code(Code::new("B602"), "<script>alert(1)</script>\u{1b}[31m\u{202e}")
        .at(Location::column("src/a b.py", line, 5))
        .help("pass a list & no shell")
}

fn step(name: &str, status: Status) -> StepReport {
    StepReport {
        name: StepName::new(name).expect("a name"),
        status,
        duration_ms: 1_234,
        reason: None,
        findings: Vec::new(),
        facts: Facts::new(),
        attachments: Vec::new(),
        exceptions: Vec::new(),
        loaded_from: None,
        output_sha256: None,
        relied_on: None,
        attempts: Vec::new(),
    }
}
