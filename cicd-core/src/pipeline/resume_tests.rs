use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::docker::{Fresh, Image};
use crate::model::{Code, Event, Finding, Status, Target};
use crate::pipeline::{Observer, RunError, RunOptions, Selection, Start, run};
use crate::policy::{Exception, ExpiryLimits, Justification, Scope};
use crate::process::{Cancel, Discard, Invocation, execute};
use crate::step::{Author, Clock, Context, Judgement, Outcome, Retry, Step, StepError, step_fn};

struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &Event) {}
}

/// Late enough in the day that tomorrow is less than a day away.
const EVENING: &str = "2026-11-24T23:00:00Z";
const TOMORROW: &str = "2026-11-25";

/// A repository with a commit, and a clock that a test turns.
pub(in crate::pipeline) struct Place {
    dir: tempfile::TempDir,
    now: Timestamp,
    pub(super) variables: Vec<(&'static str, &'static str)>,
    /// Where tools are looked for first.
    pub(super) tools: Vec<Utf8PathBuf>,
}

impl Place {
    pub(in crate::pipeline) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let place = Self { dir, now: EVENING.parse().expect("a time"), variables: Vec::new(), tools: Vec::new() };
        fs::write(place.root().join(".gitignore"), "/target/\n/ignored.toml\n").expect("written");
        fs::write(place.root().join("listed.toml"), "").expect("written");
        let git = Utf8PathBuf::from_path_buf(which::which("git").expect("git is installed")).expect("UTF-8");
        for args in [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "--message", "first"]] {
            let user = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "maintenance.auto=false"];
            let call = Invocation::program(&git).args(user).args(args).dir(place.root());
            let done = execute(&call, &git, &mut Discard, &Cancel::new().expect("descriptors")).expect("git ran");
            assert!(done.success(), "{}", done.stderr_text());
        }
        place
    }

    pub(in crate::pipeline) fn root(&self) -> &Utf8Path {
        Utf8Path::from_path(self.dir.path()).expect("UTF-8")
    }

    fn later(&mut self, hours: i64) {
        self.now = self.now.checked_add(SignedDuration::from_hours(hours)).expect("a time");
    }

    pub(in crate::pipeline) fn go(&self, ci: &Pipeline, start: Start, effects: &[&str]) -> Result<Summary, RunError> {
        let workspace = Workspace::at(self.root());
        let mut outside = Outside::gather(&workspace, self.tools.clone()).expect("descriptors");
        outside.environment.clock = Clock::Fixed(self.now);
        let variables = self.variables.iter().map(|&(name, value)| (name.into(), value.into()));
        outside.environment.variables.extend(variables);
        let effects = effects.iter().map(ToString::to_string).collect();
        let selection = Selection { effects, ..Selection::default() };
        run(ci, &workspace, outside, &RunOptions { start, selection, ..RunOptions::default() }, &mut Nobody)
    }

    pub(super) fn fresh(&self, ci: &Pipeline) -> Summary {
        self.go(ci, Start::Fresh, &[]).expect("a run")
    }

    pub(super) fn resumed(&self, ci: &Pipeline) -> Summary {
        self.go(ci, Start::Resume, &[]).expect("a run")
    }

    fn steps(&self, summary: &Summary) -> Utf8PathBuf {
        self.root().join("target/ci/runs").join(summary.run.as_str()).join("steps")
    }
}

/// Why a step was not loaded; nothing where it was.
pub(super) fn why(summary: &Summary, step: &str) -> Option<String> {
    let report = summary.steps.iter().find(|report| report.name.as_str() == step).expect("the step");
    assert_eq!(report.loaded_from.is_some(), report.facts.get("not_loaded").is_none(), "{report:?}");
    report.facts.get("not_loaded").map(ToString::to_string)
}

/// Three numbers, the first two of the same form, and a step that fails and so makes resuming worthwhile.
fn numbers() -> (Pipeline, Arc<AtomicUsize>) {
    let (mut ci, ran) = (Pipeline::new("numbers"), Arc::new(AtomicUsize::new(0)));
    for name in ["one", "twin"] {
        let ran = Arc::clone(&ran);
        let count = step_fn(move |_, ()| Ok(Outcome::of(ran.fetch_add(1, Ordering::SeqCst))));
        ci.add(name, count.resume_key("counts"), ());
    }
    ci.add("text", step_fn(|_, ()| Ok(Outcome::of("text".to_owned()))).resume_key("text"), ());
    ci.add("nothing", step_fn(|_, ()| Ok(Outcome::of(()))).resume_key("nothing"), ());
    ci.add("fails", step_fn(|_, ()| Ok(Outcome::of(()).findings([wrong()]))), ());
    (ci, ran)
}

pub(super) fn wrong() -> Finding {
    Finding::with_code(Code::from_static("X-1"), "wrong").target(Target::name("it"))
}

#[test]
fn a_saved_output_is_loaded_as_it_was_written_or_its_step_runs_again() {
    type Tamper = fn(&Utf8Path);
    let replace = |file: &Utf8Path, from: &str, to: &str| {
        let text = fs::read_to_string(file).expect("saved");
        assert!(text.contains(from), "{text}");
        fs::write(file, text.replace(from, to)).expect("written");
    };
    let cases: &[(&str, Tamper, &str)] = &[
        ("edited", |file| fs::write(file, "7").expect("written"), "is not what was written then"),
        ("removed", |file| fs::remove_file(file).expect("removed"), "cannot be read"),
        (
            "cut off",
            |file| File::options().write(true).open(file).and_then(|it| it.set_len(9)).expect("cut"),
            "is not what",
        ),
        ("endless", |file| File::create(file).and_then(|it| it.set_len(1 << 40)).expect("grown"), "more than the"),
        (
            "of another step",
            |file| {
                let twin = file.as_str().replace("/one/", "/twin/");
                fs::copy(twin, file).map(drop).expect("copied");
            },
            "is not what was written then",
        ),
        (
            "a link",
            |file| {
                fs::rename(file, file.with_extension("kept")).expect("moved");
                symlink(file.with_extension("kept"), file).expect("linked");
            },
            "it is a link",
        ),
        (
            "a pipe",
            |file| {
                fs::remove_file(file).expect("removed");
                rustix::fs::mkfifoat(rustix::fs::CWD, file.as_str(), rustix::fs::Mode::RWXU).expect("made");
            },
            "it is a named pipe",
        ),
        (
            "a folder",
            |file| {
                fs::remove_file(file).expect("removed");
                fs::create_dir(file).expect("made");
            },
            "it is a folder",
        ),
        (
            "below a link",
            |file| {
                let step = file.parent().expect("the step's folder");
                fs::rename(step, step.with_extension("kept")).expect("moved");
                symlink(step.with_extension("kept"), step).expect("linked");
            },
            "cannot be read",
        ),
    ];
    let place = Place::new();
    for (name, tamper, words) in cases {
        let (ci, ran) = numbers();
        let first = place.fresh(&ci);
        let file = place.steps(&first).join("one").join("output.json");
        tamper(&file);
        let resumed = place.resumed(&ci);
        let told = why(&resumed, "one").expect(name);
        assert!(told.contains(words), "{name}: {told}");
        assert_eq!(ran.load(Ordering::SeqCst), 3, "{name}: it ran again, and the other one did not");
        assert!(["twin", "text", "nothing"].iter().all(|step| why(&resumed, step).is_none()), "{name}");
    }

    // With the record's word for it, each is still for its own place alone.
    let (ci, ran) = numbers();
    let first = place.fresh(&ci);
    let steps = place.steps(&first);
    let record = steps.parent().expect("the run").join("summary.json");
    let sha256 = |step: usize| first.steps[step].output_sha256.clone().expect("saved");
    replace(&record, &sha256(0), &sha256(1));
    fs::copy(steps.join("twin/output.json"), steps.join("one/output.json")).expect("copied");
    fs::create_dir_all(steps.join("nothing")).expect("made");
    replace(&record, &sha256(3), &sha256(2));
    fs::copy(steps.join("text/output.json"), steps.join("nothing/output.json")).expect("copied");
    let resumed = place.resumed(&ci);
    assert_eq!(why(&resumed, "one").as_deref(), Some("output.json is not of this step"));
    assert_eq!(why(&resumed, "nothing").as_deref(), Some("output.json is not of this step"));
    assert_eq!((why(&resumed, "twin"), ran.load(Ordering::SeqCst)), (None, 3));

    // A record that does not name the program, or names another run, is none.
    replace(&record, "\"program\":", "\"no_program\":");
    replace(&place.root().join("target/ci/latest/summary.json"), "\"program\":", "\"no_program\":");
    let refused = place.go(&ci, Start::Resume, &[]).expect_err("another program").to_string();
    assert!(refused.contains("the program is another one now"), "{refused}");
}

#[test]
fn a_secret_that_was_taken_out_of_an_output_is_not_loaded_as_stars() {
    let mut place = Place::new();
    place.variables.push(("CANARY", "canary-0123456789"));
    let mut ci = Pipeline::new("secret");
    ci.add("tells", step_fn(|cx, ()| Ok(Outcome::of(cx.secret("CANARY")?.expose().to_owned()))), ());
    let first = place.fresh(&ci);
    let saved = fs::read_to_string(place.steps(&first).join("tells/output.json")).expect("saved");
    assert!(saved.contains("***") && !saved.contains("canary-0"), "{saved}");
    assert!(why(&place.resumed(&ci), "tells").is_some_and(|why| why.contains("it holds a secret")));
}

#[test]
fn resuming_again_and_again_makes_nothing_younger() {
    let (mut place, (ci, ran)) = (Place::new(), numbers());
    let first = place.fresh(&ci);
    for _ in 0..2 {
        place.later(11);
        let resumed = place.resumed(&ci);
        assert_eq!((resumed.steps[0].loaded_from.as_ref(), why(&resumed, "nothing")), (Some(&first.run), None));
    }
    place.later(3);
    let resumed = place.resumed(&ci);
    for step in ["one", "twin", "text", "nothing"] {
        assert!(why(&resumed, step).is_some_and(|why| why.contains("more than a day old")), "{step}");
    }
    assert_eq!(ran.load(Ordering::SeqCst), 4);
    place.later(-1);
    assert!(matches!(place.go(&ci, Start::Resume, &[]), Err(RunError::Resume(_))), "a run of the future");
}

fn because(expires: &str) -> Justification {
    Justification::new("the vendor mends it in the next release", "@example/web", expires).expect("valid")
}

/// A step that found something which an exception allows that stands there; with a permission, where it needs one to run.
#[derive(Debug)]
struct Allowed {
    exceptions: Vec<Exception>,
    permissions: Vec<Exception>,
}

impl Step for Allowed {
    type Input = ();
    type Output = u32;

    fn run(&self, _: &Context, (): ()) -> Result<Outcome<u32>, StepError> {
        let findings = self.exceptions.iter().map(|_| wrong());
        Ok(Outcome::of(1).findings(findings).exceptions(self.exceptions.clone()))
    }

    fn permissions(&self) -> Vec<Exception> {
        self.permissions.clone()
    }

    fn relaxations(&self) -> Vec<Exception> {
        [self.permissions.as_slice(), &self.exceptions].concat()
    }

    fn resume_key(&self) -> Option<String> {
        Some("its settings are all in its debug form".to_owned())
    }
}

fn exception(expires: &str) -> Exception {
    Exception::in_pipeline(Code::from_static("X-1"), Scope::Any, because(expires))
}

#[test]
fn what_allowed_a_step_is_judged_again_before_it_is_loaded() {
    let in_file = |file: &str, expires: &str| Exception {
        origin: ExceptionOrigin::ExceptionsFile,
        location: crate::model::Location::file(file),
        ..exception(expires)
    };
    let later = "2026-12-24";
    let step = |exceptions: &[Exception], permissions: &[Exception]| {
        let mut ci = Pipeline::new("allowed");
        let step = Allowed { exceptions: exceptions.to_vec(), permissions: permissions.to_vec() };
        let step = ci.add("allowed", step, ());
        (ci, step)
    };
    let retried = |expires: &str| {
        let (mut ci, handle) = step(&[], &[]);
        ci.retry(&handle, Retry::times(1), because(expires));
        ci
    };
    // What it was allowed by, and whether it is loaded once it is tomorrow.
    let cases = [
        ("for a month", step(&[exception(later)], &[]).0, None),
        ("until tomorrow", step(&[exception(TOMORROW)], &[]).0, Some("expired on 2026-11-25")),
        ("in a file", step(&[in_file("listed.toml", later)], &[]).0, None),
        ("in a file until tomorrow", step(&[in_file("listed.toml", TOMORROW)], &[]).0, Some("expired on")),
        ("where git does not look", step(&[in_file("ignored.toml", later)], &[]).0, Some("git does not list")),
        ("to run", step(&[], &[exception(later)]).0, None),
        ("to run until tomorrow", step(&[], &[exception(TOMORROW)]).0, Some("expired on")),
        ("to be tried again", retried(later), None),
        ("to be tried again until tomorrow", retried(TOMORROW), Some("expired on")),
    ];
    for (name, ci, words) in cases {
        // One for each: of so many runs at one time the first are removed, and which those are is not told by their names.
        let mut place = Place::new();
        assert!(place.fresh(&ci).steps[0].status.is_green(), "{name}");
        assert_eq!(why(&place.resumed(&ci), "allowed").is_some(), words.is_some_and(|it| it.contains("git")), "{name}");
        place.later(2);
        let resumed = place.resumed(&ci);
        // A step without permission does not even start.
        if resumed.steps[0].status != Status::Error {
            let told = why(&resumed, "allowed");
            assert!(told.as_deref().unwrap_or_default().contains(words.unwrap_or_default()), "{name}: {told:?}");
            assert_eq!(told.is_some(), words.is_some(), "{name}: {told:?}");
        }
        let is_green = words.is_none_or(|words| words.contains("git"));
        assert_eq!(resumed.steps[0].status.is_green(), is_green, "{name}: {:?}", resumed.steps[0]);
    }

    // What is removed, shortened or held to another policy is another pipeline.
    let place = Place::new();
    let (allowed, _) = step(&[exception(later)], &[]);
    place.fresh(&allowed);
    let (mut stricter, _) = step(&[exception(later)], &[]);
    stricter.policy(Policy::default().expiry(ExpiryLimits { other_days: 7, ..ExpiryLimits::default() }));
    let (mut unknown, _) = step(&[exception(later)], &[]);
    unknown.policy(Policy::default().owners(["@example/security"]));
    for ci in [step(&[], &[]).0, step(&[exception(TOMORROW)], &[]).0, retried(later), stricter, unknown] {
        let refused = place.go(&ci, Start::Resume, &[]).expect_err("another pipeline").to_string();
        assert!(refused.contains("the pipeline is another one now"), "{refused}");
    }
}

/// Gives an image as `DockerBuild` does.
#[derive(Debug)]
pub(in crate::pipeline) struct Built;

impl Step for Built {
    type Input = ();
    type Output = Image<Fresh>;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<Image<Fresh>>, StepError> {
        let image = Image::built(&format!("sha256:{}", "a".repeat(64)), "app:1", &cx.revision()?.commit);
        Ok(Outcome::of(image.map_err(|error| StepError::not_looked(error.to_string(), "correct the test"))?))
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

#[test]
fn what_was_loaded_clears_nothing_and_has_no_effect() {
    // Whether the image, the gate, or neither is loaded by the second run.
    for (image_again, gate_again) in [(false, false), (false, true), (true, true)] {
        let (place, failing, had_effect) =
            (Place::new(), Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let fails = |which: bool| {
            let failing = Arc::clone(&failing);
            move || (which && failing.load(Ordering::SeqCst)).then(wrong)
        };
        let mut ci = Pipeline::new("cleared");
        let first = fails(image_again);
        let first =
            ci.add("first", step_fn(move |_, ()| Ok(Outcome::of(()).findings(first()))).resume_key("first"), ());
        let image = ci.add("image", Built, ());
        ci.after(&image, &first);
        let gate = fails(gate_again);
        let gate = step_fn(move |_, image: Image<Fresh>| Ok(Outcome::of(Judgement::of(&image, ())).findings(gate())));
        let gate = ci.add("gate", gate.resume_key("gate"), &image);
        let cleared = ci.clear(&image, &gate);
        let ship = Arc::clone(&had_effect);
        let ship = step_fn(move |_, _: crate::step::Cleared<Image<Fresh>>| {
            ship.store(true, Ordering::SeqCst);
            Ok(Outcome::of(()))
        });
        ci.add("ship", ship.effect("ship"), &cleared);
        let page = Arc::clone(&had_effect);
        let page = step_fn(move |_, _: Judgement<()>| {
            page.store(true, Ordering::SeqCst);
            Ok(Outcome::of(()))
        });
        let page = ci.add("page", page.effect("publish"), &gate);
        ci.nothing_to_clear(&page, because("2026-12-24"));

        place.fresh(&ci);
        failing.store(false, Ordering::SeqCst);
        let status = |summary: &Summary, name: &str| {
            summary.steps.iter().find(|step| step.name.as_str() == name).map(|step| step.status).expect("the step")
        };
        let resumed = place.go(&ci, Start::Resume, &["ship", "publish"]).expect("a run");
        if image_again {
            // Nothing on the way to the effects was loaded.
            assert!(had_effect.load(Ordering::SeqCst) && resumed.exit_code == 0, "{resumed:?}");
            continue;
        }
        assert!(resumed.steps[1].loaded_from.is_some() && resumed.steps[2].loaded_from.is_none() == gate_again);
        let found = |name: &str| {
            let step = resumed.steps.iter().find(|step| step.name.as_str() == name).expect("the step");
            (
                step.findings.iter().map(|it| it.code.to_string()).collect::<Vec<_>>(),
                step.reason.clone().unwrap_or_default(),
            )
        };
        assert!(found("clearance").0.iter().all(|code| code == "CLR-003"), "{:?}", found("clearance"));
        assert_eq!((status(&resumed, "clearance"), status(&resumed, "ship")), (Status::Failed, Status::Blocked));
        assert_eq!(status(&resumed, "page"), Status::Blocked);
        assert!(found("page").1.contains("was loaded from run"), "{:?}", found("page"));
        assert_eq!((resumed.exit_code, had_effect.load(Ordering::SeqCst)), (1, false));
        // Without an effect that was asked for, the clearance is held back, and a clearance is never loaded itself.
        let resumed = place.resumed(&ci);
        assert_eq!((status(&resumed, "clearance"), resumed.exit_code), (Status::Skipped, 0));
    }
    let none = crate::step::Cleared::<Image<Fresh>>::load("{}", &Seal::new());
    assert!(none.is_err_and(|error| error.to_string().contains("cannot be loaded")));
}
