use std::num::NonZeroUsize;

use jiff::ToSpan as _;
use jiff::civil::date;

use super::*;
use crate::model::{Code, Event, Level};
use crate::pipeline::{KeepGoing, Observer, Outside, Pipeline, RunOptions, Selection, Summary, run};
use crate::policy::{ExpiryLimits, Justification, Scope};
use crate::process::ToolRequirement;
use crate::step::{Context, Handle, Outcome, Step, Workspace, step_fn};

struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &Event) {}
}

fn run_all(ci: &Pipeline, options: &RunOptions) -> Summary {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let workspace = Workspace::at(camino::Utf8Path::from_path(dir.path()).expect("UTF-8"));
    let outside = Outside::gather(&workspace, Vec::new()).expect("descriptors");
    run(ci, &workspace, outside, options, &mut Nobody).expect("a run")
}

fn one_job() -> RunOptions {
    RunOptions { jobs: NonZeroUsize::MIN, ..RunOptions::default() }
}

/// How a step ends that relaxes something.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Passes,
    Finds,
    CannotLook,
    Panics,
    FindsNoValue,
    LacksATool,
}

/// A step with exceptions among its settings and in a file.
#[derive(Debug)]
struct Relaxed {
    end: End,
    settings: Vec<Exception>,
    in_file: Vec<Exception>,
    /// Whether it says that they are its settings.
    declares: bool,
}

impl Step for Relaxed {
    type Input = ();
    type Output = u32;

    fn run(&self, _: &Context, (): ()) -> Result<Outcome<u32>, StepError> {
        let finding = Finding::with_code(Code::from_static("X-1"), "the first was found");
        let outcome = Outcome::of(1).exceptions(self.settings.clone()).exceptions(self.in_file.clone());
        match self.end {
            End::Passes | End::LacksATool => Ok(outcome),
            End::Finds => Ok(outcome.findings([finding])),
            End::CannotLook => Err(StepError::not_looked("nothing there", "put something there")),
            End::Panics => panic!("boom"),
            End::FindsNoValue => Err(StepError::found(Finding::with_code(Code::from_static("X-2"), "broken"))),
        }
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        let lacks = self.end == End::LacksATool;
        lacks.then(|| ToolRequirement::new("no-such-program-anywhere", ">=1")).into_iter().collect()
    }

    fn relaxations(&self) -> Vec<Exception> {
        if self.declares { self.settings.clone() } else { Vec::new() }
    }

    fn exceptions_in_files(&self, _: &Context) -> Result<Vec<Exception>, StepError> {
        Ok(self.in_file.clone())
    }
}

fn relaxed(end: End, settings: Vec<Exception>) -> Relaxed {
    Relaxed { end, settings, in_file: Vec::new(), declares: true }
}

fn today() -> Date {
    jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()
}

fn exception(id: &'static str, change: impl Fn(&mut Justification)) -> Exception {
    let expires = today().saturating_add(20.days()).to_string();
    let mut because =
        Justification::new("only the vendor's agent reads it", "@example/web", &expires).expect("a reason");
    change(&mut because);
    Exception::in_pipeline(Code::from_static(id), Scope::Any, because)
}

/// One exception of each kind that is wrong whatever is found, with the code for that.
fn unsound() -> Vec<(Exception, &'static str)> {
    let local = |because: &mut Justification, name: &str| {
        *because = because.clone().only_in([name]).expect("a name");
    };
    vec![
        (exception("X-3", |it| it.expires = date(2020, 1, 1)), "EXC-001"),
        (exception("X-3", |it| it.expires = today()), "EXC-001"),
        (exception("X-3", |it| it.expires = today().saturating_add(31.days())), "EXC-004"),
        (exception("X-3", |it| it.owner = "@example/nobody".to_owned()), "EXC-005"),
        (exception("X-3", |it| it.reason = "todo todo todo todo todo todo".to_owned()), "EXC-006"),
        (exception("X-3", |it| local(it, "prodction")), "EXC-009"),
    ]
}

fn policy() -> Policy {
    let limits = ExpiryLimits { critical_days: 30, high_days: 30, other_days: 30 };
    Policy::default().expiry(limits).owners(["@example/web"]).environments(["local", "production"])
}

fn codes(report: &StepReport) -> Vec<&str> {
    report.findings.iter().map(|finding| finding.code.as_str()).collect()
}

#[test]
fn every_exception_is_judged_whatever_becomes_of_its_step() {
    use End::{CannotLook, Finds, FindsNoValue, LacksATool, Panics};

    for (wrong, code) in unsound() {
        for (end, status, found) in [
            (CannotLook, Status::Error, None),
            (Panics, Status::Error, None),
            (LacksATool, Status::Error, None),
            (FindsNoValue, Status::Failed, Some("X-2")),
            (Finds, Status::Failed, Some("X-1")),
        ] {
            let expected: Vec<&str> = found.into_iter().chain([code]).collect();
            // From the settings, and from a file.
            for in_file in [false, true] {
                let mut step = relaxed(end, Vec::new());
                let wrong = wrong.clone().applies(Applies::AtTimes);
                if in_file {
                    step.in_file.push(Exception { origin: Origin::ExceptionsFile, ..wrong });
                } else {
                    step.settings.push(wrong);
                }
                let mut ci = Pipeline::new("p");
                ci.policy(policy());
                let first = ci.add("first", step, ());
                ci.add("second", step_fn(|_, _: u32| Ok(Outcome::of(()))), &first);
                let report = &run_all(&ci, &one_job()).steps[0];
                assert_eq!((report.status, codes(report)), (status, expected.clone()), "{end:?} {report:?}");
                assert_eq!(report.exceptions.len(), 1, "{end:?}");
                assert_eq!(report.exceptions[0].undetermined, end != Finds, "{end:?}");
            }
        }
    }
}

/// A pipeline whose second step relaxes something, and whose first step decides whether it starts.
fn after(first: impl Step<Input = (), Output = u32>, exceptions: Vec<Exception>) -> Pipeline {
    let mut ci = Pipeline::new("p");
    ci.policy(policy());
    let first = ci.add("first", first, ());
    let second: Handle<u32> = ci.add("second", relaxed(End::Passes, exceptions), ());
    ci.after(&second, &first);
    let third: Handle<u32> = ci.add("third", relaxed(End::Passes, vec![exception("X-4", |_| {})]), ());
    ci.after(&third, &second);
    ci
}

#[test]
fn an_exception_of_a_step_that_was_not_started_is_judged_once() {
    let fails = || step_fn(|_, ()| Ok(Outcome::of(1).findings([Finding::with_code(Code::from_static("X-1"), "bad")])));
    for (wrong, code) in unsound() {
        // Blocked, and not started as the first failure ended the run: neither is called unused.
        let keep_going = [(KeepGoing::Yes, Status::Blocked), (KeepGoing::FailFast, Status::Blocked)];
        for (keep_going, status) in keep_going {
            let ci = after(fails(), vec![wrong.clone()]);
            let summary = run_all(&ci, &RunOptions { keep_going, ..one_job() });
            let [_, second, third] = summary.steps.as_slice() else { panic!("three steps") };
            assert_eq!((second.status, codes(second)), (status, vec![code]), "{second:?}");
            assert_eq!((codes(third), third.exceptions.len()), (vec![""; 0], 1), "{third:?}");
            assert!(second.exceptions[0].undetermined && third.exceptions[0].undetermined);
        }
        // Abandoned, with nothing that it depends on in the way.
        let mut ci = Pipeline::new("p");
        ci.policy(policy());
        ci.add("first", fails(), ());
        ci.add("second", relaxed(End::Passes, vec![wrong.clone()]), ());
        let summary = run_all(&ci, &RunOptions { keep_going: KeepGoing::FailFast, ..one_job() });
        assert_eq!((summary.steps[1].status, codes(&summary.steps[1])), (Status::Cancelled, vec![code]));
        // Who was not asked for is not judged.
        let ci = after(fails(), vec![wrong.clone()]);
        let only = Selection { only: vec!["first".to_owned()], ..Selection::default() };
        let summary = run_all(&ci, &RunOptions { selection: only, ..one_job() });
        assert_eq!((summary.steps[1].status, codes(&summary.steps[1])), (Status::Skipped, vec![""; 0]));
    }
    // The same said twice is known without a look; two of which one is for elsewhere are not the same.
    let twice = || vec![exception("X-3", |_| {}), exception("X-3", |_| {})];
    let summary = run_all(&after(fails(), twice()), &one_job());
    assert_eq!(codes(&summary.steps[1]), ["EXC-007"]);
    let mut apart = twice();
    for (one, name) in apart.iter_mut().zip(["local", "production"]) {
        one.justification = one.justification.clone().only_in([name]).expect("a name");
    }
    let summary = run_all(&after(fails(), apart), &one_job());
    assert_eq!(codes(&summary.steps[1]), [""; 0]);
}

#[test]
fn what_is_needed_now_and_then_is_judged_in_every_run() {
    for (wrong, code) in unsound() {
        // It looks and passes, and does not come to bring the exception.
        let mut step = relaxed(End::Passes, vec![wrong]);
        step.settings[0].applies = Applies::AtTimes;
        let mut ci = Pipeline::new("p");
        ci.policy(policy());
        ci.add("first", step, ());
        let report = &run_all(&ci, &one_job()).steps[0];
        assert_eq!((report.status, codes(report)), (Status::Failed, vec![code]));
    }
    let mut ci = Pipeline::new("p");
    ci.policy(policy());
    ci.add("first", relaxed(End::Passes, vec![exception("X-3", |_| {})]), ());
    let report = &run_all(&ci, &one_job()).steps[0];
    assert_eq!(
        (report.status, codes(report)),
        (Status::Failed, vec!["EXC-002"]),
        "one that is always needed is unused"
    );
}

#[test]
fn a_step_that_hides_what_it_relaxes_is_an_error() {
    let mut ci = Pipeline::new("p");
    ci.policy(policy());
    let step = relaxed(End::Finds, vec![exception("X-1", |_| {})]);
    ci.add("first", Relaxed { declares: false, ..step }, ());
    let step = relaxed(End::Finds, vec![exception("X-1", |_| {})]);
    ci.add("second", step, ());
    let summary = run_all(&ci, &one_job());
    let [hidden, declared] = summary.steps.as_slice() else { panic!("two steps") };
    assert_eq!((hidden.status, codes(hidden)), (Status::Error, vec!["X-1"]));
    assert!(hidden.findings[0].exception.is_none() && hidden.findings[0].level == Level::Deny);
    assert!(hidden.reason.as_deref().is_some_and(|why| why.contains("X-1") && why.contains("verdict_tests.rs")));
    assert_eq!(declared.status, Status::Exempted);
}

#[test]
fn a_closure_declares_what_it_relaxes() {
    let ahead = |days: i32| {
        let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
        today.checked_add(days.days()).expect("a day").to_string()
    };
    let because = |expires: &str| {
        Justification::new("the printer at the till reads nothing newer", "@example/shop", expires).expect("valid")
    };
    let closure = |ends: &'static str| {
        step_fn(move |_, ()| match ends {
            "finds" => Ok(Outcome::of(1_u32).findings([Finding::with_code(Code::from_static("X-1"), "an old format")])),
            "passes" => Ok(Outcome::of(1)),
            "panics" => panic!("on purpose"),
            _ => Err(StepError::not_looked("there is no printer", "buy one")),
        })
    };
    let line = line!() + 2;
    let accepted = |ends, code: &'static str, expires: &str| {
        closure(ends).accept(Code::from_static(code), Scope::Any, because(expires))
    };
    let soon = ahead(20);
    for (ends, code, expires, status, found) in [
        ("finds", "X-1", soon.as_str(), Status::Exempted, &["X-1"][..]),
        ("finds", "X-2", soon.as_str(), Status::Failed, &["X-1", "EXC-002"]),
        ("passes", "X-1", soon.as_str(), Status::Failed, &["EXC-002"]),
        ("finds", "X-1", "2020-01-01", Status::Failed, &["X-1", "EXC-001"]),
        // Judged whatever becomes of the step.
        ("cannot", "X-1", "2020-01-01", Status::Error, &["EXC-001"]),
        ("panics", "X-1", "2020-01-01", Status::Error, &["EXC-001"]),
    ] {
        let mut ci = Pipeline::new("closures");
        ci.add("own", accepted(ends, code, expires), ());
        let summary = run_all(&ci, &one_job());
        let step = &summary.steps[0];
        let codes: Vec<_> = step.findings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!((step.status, codes.as_slice()), (status, found), "{ends} {code} {expires}");
        let Exception { origin, location, .. } = &step.exceptions[0].exception;
        assert_eq!((*origin, location.line), (Origin::Pipeline, Some(line)), "{ends} {code} {expires}");
        assert!(location.path.as_str().ends_with("verdict_tests.rs"), "{location}");
    }
}
