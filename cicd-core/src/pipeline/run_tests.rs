use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::model::Code;
use crate::step::{Outcome, Step, step_fn};

struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &Event) {}
}

fn run_all(ci: &Pipeline, keep_going: KeepGoing) -> (tempfile::TempDir, Summary) {
    run_with(ci, 2, keep_going)
}

fn run_with(ci: &Pipeline, jobs: usize, keep_going: KeepGoing) -> (tempfile::TempDir, Summary) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let workspace = Workspace::at(camino::Utf8Path::from_path(dir.path()).expect("UTF-8"));
    let outside = Outside::gather(&workspace, Vec::new()).expect("descriptors");
    let options = RunOptions { jobs: NonZeroUsize::new(jobs).expect("not zero"), keep_going, ..RunOptions::default() };
    let summary = run(ci, &workspace, outside, &options, &mut Nobody).expect("a run");
    (dir, summary)
}

fn statuses(summary: &Summary) -> Vec<(&str, Status)> {
    summary.steps.iter().map(|report| (report.name.as_str(), report.status)).collect()
}

fn fails() -> impl Step<Input = (), Output = u32> {
    step_fn(|_, ()| Ok(Outcome::of(1).findings([crate::model::Finding::with_code(Code::from_static("X-1"), "wrong")])))
}

#[test]
fn a_failure_an_error_and_a_panic_are_told_apart_and_the_rest_goes_on() {
    let mut ci = Pipeline::new("mixed");
    let bad = ci.add("fails", fails(), ());
    ci.add("needs-it", step_fn(|_, _: u32| Ok(Outcome::of(()))), &bad);
    ci.add("panics", step_fn(|_, ()| -> Result<Outcome<()>, StepError> { panic!("boom") }), ());
    ci.add(
        "cannot-look",
        step_fn(|_, ()| -> Result<Outcome<()>, StepError> {
            Err(StepError::not_looked("nothing there", "put something there"))
        }),
        (),
    );
    ci.add("fine", step_fn(|_, ()| Ok(Outcome::of(()).fact("seen", 3_usize))), ());
    let (dir, summary) = run_all(&ci, KeepGoing::Yes);
    assert_eq!(
        statuses(&summary),
        [
            ("fails", Status::Failed),
            ("needs-it", Status::Blocked),
            ("panics", Status::Error),
            ("cannot-look", Status::Error),
            ("fine", Status::Passed)
        ]
    );
    assert_eq!(summary.exit_code, 3);
    let panic = summary.steps[2].reason.as_deref().expect("a reason");
    assert!(panic.contains("boom at ") && panic.contains("run_tests.rs:"), "{panic}");
    let stored = std::fs::read_to_string(dir.path().join("target/ci/latest/summary.json")).expect("written");
    assert_eq!(serde_json::from_str::<Summary>(&stored).expect("readable"), summary);
    let events = std::fs::read_to_string(dir.path().join("target/ci/latest/events.ndjson")).expect("written");
    assert!(events.lines().all(|line| serde_json::from_str::<Event>(line).is_ok()));
    assert!(events.lines().last().is_some_and(|line| line.contains("run_finished")));
}

#[test]
fn fail_fast_starts_nothing_more() {
    // None needs another, so that nothing but the first failure keeps the rest from starting.
    const STEPS: usize = 8;
    for (jobs, keep_going) in [(1, KeepGoing::FailFast), (2, KeepGoing::FailFast), (1, KeepGoing::Yes)] {
        let mut ci = Pipeline::new("fast");
        let started = Arc::new(AtomicUsize::new(0));
        for number in 0..STEPS {
            let started = Arc::clone(&started);
            let fails = step_fn(move |_, ()| {
                started.fetch_add(1, Ordering::SeqCst);
                Ok(Outcome::of(()).findings([crate::model::Finding::with_code(Code::from_static("X-1"), "wrong")]))
            });
            ci.add(&format!("step-{number}"), fails, ());
        }
        let (_dir, summary) = run_with(&ci, jobs, keep_going);
        let of = |status| summary.steps.iter().filter(|step| step.status == status).count();
        let started = started.load(Ordering::SeqCst);
        assert_eq!((of(Status::Failed), of(Status::Cancelled)), (started, STEPS - started));
        assert!(if keep_going == KeepGoing::Yes { started == STEPS } else { started <= jobs }, "{started} started");
        assert_eq!(summary.exit_code, 1);
        let mut cancelled = summary.steps.iter().filter(|step| step.status == Status::Cancelled);
        let why = Some("the run stopped at the first failure");
        assert!(cancelled.all(|step| step.reason.as_deref() == why), "{summary:?}");
    }
}

#[test]
fn a_command_is_judged_by_its_exit_code() {
    let mut ci = Pipeline::new("commands");
    ci.command("good", crate::process::Invocation::tool("true"));
    ci.command("bad", crate::process::Invocation::tool("false"));
    ci.command("absent", crate::process::Invocation::tool("no-such-program-anywhere"));
    let (dir, summary) = run_all(&ci, KeepGoing::Yes);
    assert_eq!(statuses(&summary), [("good", Status::Passed), ("bad", Status::Failed), ("absent", Status::Error)]);
    let log = std::fs::read_to_string(dir.path().join("target/ci/latest/steps/bad/log.txt")).expect("a log");
    assert!(log.starts_with("$ false\n") && log.contains("exit code 1"), "{log}");
}
