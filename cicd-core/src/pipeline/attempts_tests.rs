use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use camino::Utf8Path;

use super::*;
use crate::formats::network_failure::NetworkFailure;
use crate::model::{Code, Event, Status};
use crate::pipeline::{Observer, Outside, Pipeline, Plan, RunOptions, StepReport, Summary, run};
use crate::policy::{Justification, Policy};
use crate::process::{Cancel, CancelReason};
use crate::step::{Effect, Outcome, Step, Workspace, step_fn};

/// Delays that no test waits for.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Fails so many times in its own way, then looks.
#[derive(Debug)]
struct Unsteady {
    failures: u32,
    error: fn() -> StepError,
    retry: Retry,
    effect: Effect,
    attempts_max: u32,
    seen: AtomicU32,
}

fn busy() -> StepError {
    let error = Box::new(StepError::not_looked("the registry said 429", "wait"));
    StepError::Transient { cause: NetworkFailure::Busy, error }
}

fn broken() -> StepError {
    StepError::not_looked("the browser lost its socket", "start it again")
}

fn unsteady(failures: u32, error: fn() -> StepError) -> Unsteady {
    let retry = Retry::times(2).delays(AT_ONCE, AT_ONCE);
    Unsteady { failures, error, retry, effect: Effect::None, attempts_max: 3, seen: AtomicU32::new(0) }
}

impl Step for Unsteady {
    type Input = ();
    type Output = u32;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<u32>, StepError> {
        let number = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        let report = cx.dir().join("report.json");
        assert!(!report.exists(), "what an earlier attempt left is not in the way");
        fs::write(&report, number.to_string()).map_err(StepError::io("writing", &report))?;
        assert_eq!(cx.is_last_attempt(), number == self.attempts_max);
        if number <= self.failures { Err((self.error)()) } else { Ok(Outcome::of(number)) }
    }

    fn retry(&self) -> Retry {
        self.retry
    }

    fn effect(&self) -> Effect {
        self.effect.clone()
    }
}

#[derive(Default)]
struct Seen(Vec<Event>);

impl Observer for Seen {
    fn event(&mut self, event: &Event) {
        self.0.push(event.clone());
    }
}

struct Ran {
    folder: tempfile::TempDir,
    summary: Summary,
    events: Vec<Event>,
}

impl Ran {
    fn step(&self) -> &StepReport {
        &self.summary.steps[0]
    }

    fn read(&self, file: &str) -> String {
        let step = self.folder.path().join("target/ci/latest/steps").join(self.step().name.as_str());
        fs::read_to_string(step.join(file)).expect("it was written")
    }
}

fn run_it(ci: &Pipeline, cancel: Option<Cancel>) -> Ran {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let workspace = Workspace::at(Utf8Path::from_path(folder.path()).expect("UTF-8"));
    let mut outside = Outside::gather(&workspace, Vec::new()).expect("descriptors");
    outside.cancel = cancel.unwrap_or(outside.cancel);
    let mut seen = Seen::default();
    let summary = run(ci, &workspace, outside, &RunOptions::default(), &mut seen).expect("a run");
    Ran { folder, summary, events: seen.0 }
}

fn one(step: impl Step<Input = (), Output = u32>) -> Ran {
    let mut ci = Pipeline::new("one");
    ci.add("unsteady", step, ());
    run_it(&ci, None)
}

/// A day that the default policy lets an exception last to.
fn valid_until() -> String {
    let day = crate::step::Clock::System.today().checked_add(jiff::Span::new().days(60));
    day.expect("a date").to_string()
}

fn because(expires: &str) -> Justification {
    Justification::new("the browser loses its socket at start", "@example/web", expires).expect("valid")
}

/// The same step with retries for every error, until this day.
fn asked(step: Unsteady, expires: &str) -> Ran {
    let mut ci = Pipeline::new("asked");
    let handle = ci.add(
        "unsteady",
        Unsteady { retry: Retry::NEVER, attempts_max: if expires < "2026" { 1 } else { 2 }, ..step },
        (),
    );
    ci.retry(&handle, Retry::times(1).delays(AT_ONCE, AT_ONCE), because(expires));
    run_it(&ci, None)
}

#[test]
fn a_pass_on_a_retry_is_flaky_and_every_attempt_is_kept() {
    let ran = one(unsteady(2, busy));
    let step = ran.step();
    assert_eq!((step.status, ran.summary.exit_code), (Status::Flaky, 0));
    let errors: Vec<_> = step.attempts.iter().map(|attempt| attempt.error.is_some()).collect();
    assert_eq!(errors, [true, true, false]);
    assert!(step.findings.is_empty() && step.exceptions.is_empty(), "{step:?}");
    let log = ran.read("log.txt");
    let headings: Vec<_> = log.lines().filter(|line| line.starts_with(RULE)).collect();
    assert_eq!(headings.len(), 5, "{log}");
    assert_eq!(
        (headings[0], headings[4]),
        ("========== attempt 1 of 3 ==========", "========== attempt 3 of 3 ==========")
    );
    assert!(headings[1].contains("attempt 1 failed") && headings[1].contains("the registry said 429"), "{log}");
    assert_eq!(
        [ran.read("attempt-1/report.json"), ran.read("attempt-2/report.json"), ran.read("report.json")],
        ["1", "2", "3"]
    );
    let failed = ran.events.iter().filter(|event| matches!(event.kind, EventKind::AttemptFailed { .. }));
    assert_eq!(failed.count(), 2);
}

#[test]
fn an_error_on_every_attempt_stays_an_error() {
    let ran = one(unsteady(9, busy));
    let step = ran.step();
    assert_eq!((step.status, ran.summary.exit_code, step.attempts.len()), (Status::Error, 3, 3));
    assert!(
        step.reason
            .as_deref()
            .is_some_and(|reason| reason.starts_with("after 3 attempts: the server is busy: the registry said 429"))
    );
}

#[test]
fn what_the_step_does_not_call_transient_is_not_tried_again() {
    let ran = one(unsteady(1, broken));
    assert_eq!(ran.step().status, Status::Error);
    assert_eq!(ran.step().attempts, []);
    assert!(!ran.read("log.txt").contains("attempt 2"));
}

#[test]
fn a_finding_is_never_tried_again() {
    static LOOKED: AtomicU32 = AtomicU32::new(0);
    for found in [true, false] {
        LOOKED.store(0, Ordering::SeqCst);
        let finding = || Finding::with_code(Code::from_static("X-1"), "wrong");
        let step = step_fn(move |_, ()| {
            LOOKED.fetch_add(1, Ordering::SeqCst);
            if found { Err(StepError::found(finding())) } else { Ok(Outcome::of(1_u32).findings([finding()])) }
        });
        let mut ci = Pipeline::new("finding");
        let handle = ci.add("finds", step, ());
        ci.retry(&handle, Retry::times(2).delays(AT_ONCE, AT_ONCE), because(&valid_until()));
        let ran = run_it(&ci, None);
        assert_eq!((ran.step().status, ran.summary.exit_code, LOOKED.load(Ordering::SeqCst)), (Status::Failed, 1, 1));
        assert_eq!(ran.step().findings.len(), 1);
    }
}

#[test]
fn a_retry_that_the_pipeline_asks_for_is_an_exception() {
    let ran = asked(unsteady(1, broken), &valid_until());
    let step = ran.step();
    assert_eq!((step.status, ran.summary.exit_code), (Status::Flaky, 0));
    assert_eq!(step.findings[0].code.as_str(), "RTY-001");
    assert_eq!(step.findings[0].exception.as_ref().map(|exception| exception.owner.as_str()), Some("@example/web"));
    assert_eq!((step.exceptions[0].exception.id.as_str(), step.exceptions[0].covers), ("RTY-001", 1));
    assert!(step.exceptions[0].exception.location.to_string().contains("attempts_tests.rs"));

    let unneeded = asked(unsteady(0, broken), &valid_until());
    assert_eq!((unneeded.step().status, unneeded.step().findings.len()), (Status::Passed, 0));
    assert_eq!(unneeded.step().exceptions[0].covers, 0, "it is listed all the same");
}

#[test]
fn an_expired_retry_is_a_finding_and_nothing_is_tried_again() {
    let ran = asked(unsteady(1, broken), "2020-01-01");
    assert_eq!((ran.step().status, ran.step().attempts.len()), (Status::Error, 0));
    assert_eq!(ran.step().findings[0].code.as_str(), "EXC-001");
    let green = asked(unsteady(0, broken), "2020-01-01");
    assert_eq!((green.step().status, green.summary.exit_code), (Status::Failed, 1));
}

#[test]
fn a_retry_beyond_the_policy_is_a_finding_and_nothing_is_tried_again() {
    for (expires, owner, code) in [
        ("2099-01-01".to_owned(), "@example/web", "EXC-004"),
        (valid_until(), "@example/wbe", "EXC-005"),
        ("9999-12-31".to_owned(), "@example/web", "EXC-004"),
    ] {
        let mut ci = Pipeline::new("asked");
        ci.policy(Policy::default().owners(["@example/web"]));
        let handle = ci.add("unsteady", Unsteady { attempts_max: 1, ..unsteady(1, broken) }, ());
        let because = Justification::new("the browser loses its socket at start", owner, &expires).expect("valid");
        ci.retry(&handle, Retry::times(1).delays(AT_ONCE, AT_ONCE), because);
        let ran = run_it(&ci, None);
        assert_eq!((ran.step().status, ran.step().attempts.len()), (Status::Error, 0));
        assert_eq!(ran.step().findings[0].code.as_str(), code);
    }
}

#[test]
fn panics_and_missing_tools_are_not_tried_again() {
    let mut ci = Pipeline::new("hopeless");
    let panics = ci.add("panics", step_fn(|_, ()| -> Result<Outcome<()>, StepError> { panic!("boom") }), ());
    ci.retry(&panics, Retry::times(2).delays(AT_ONCE, AT_ONCE), because(&valid_until()));
    let absent = ci.command("absent", crate::process::Invocation::tool("no-such-program-anywhere"));
    ci.retry(&absent, Retry::times(2).delays(AT_ONCE, AT_ONCE), because(&valid_until()));
    let ran = run_it(&ci, None);
    for step in &ran.summary.steps {
        assert_eq!((step.status, step.attempts.len()), (Status::Error, 0), "{step:?}");
    }
}

#[test]
fn a_cancelled_run_does_not_wait_for_the_next_attempt() {
    static CANCEL: std::sync::OnceLock<Cancel> = std::sync::OnceLock::new();
    let cancel = CANCEL.get_or_init(|| Cancel::new().expect("descriptors")).clone();
    let stopping = || {
        if let Some(cancel) = CANCEL.get() {
            let cancel = cancel.clone();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                cancel.cancel(CancelReason::Signal(2));
            });
        }
        busy()
    };
    let hour = Duration::from_secs(3600);
    let mut ci = Pipeline::new("waiting");
    ci.add("unsteady", Unsteady { retry: Retry::times(2).delays(hour, hour), ..unsteady(9, stopping) }, ());
    let ran = run_it(&ci, Some(cancel));
    assert_eq!((ran.step().status, ran.summary.exit_code), (Status::Cancelled, 130));
    let reason = ran.step().reason.as_deref().expect("a reason");
    assert!(reason.starts_with("cancelled before attempt 2") && reason.contains("429"), "{reason}");
}

#[test]
fn retries_are_refused_where_they_do_harm_and_shown_where_they_are() {
    let mut ci = Pipeline::new("refused");
    let shown = ci.add("shown", unsteady(0, busy), ());
    ci.retry(&shown, Retry::times(4), because(&valid_until()));
    let plan = Plan::of(&ci).to_string();
    assert!(
        plan.contains(&format!("up to 3 attempts when the network fails it, up to 5 attempts until {}", valid_until())),
        "{plan}"
    );
    ci.check().expect("fine so far");

    ci.retry(&shown, Retry::times(1), because(&valid_until()));
    let push = ci.add("push", Unsteady { effect: Effect::Named("push"), ..unsteady(0, busy) }, ());
    ci.nothing_to_clear(&push, because(&valid_until()));
    ci.retry(&push, Retry::times(1), because(&valid_until()));
    let never = ci.add("never", unsteady(0, busy), ());
    ci.retry(&never, Retry::NEVER, because(&valid_until()));
    let foreign = Pipeline::new("other").add("foreign", unsteady(0, busy), ());
    ci.retry(&foreign, Retry::times(1), because(&valid_until()));
    let error = ci.check().expect_err("four mistakes");
    assert_eq!(error.problems.len(), 4, "{error}");
    assert!(error.to_string().contains("it may have had its effect (push) by then"), "{error}");
}
