use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use camino::Utf8Path;
use serde::{Deserialize, Serialize};

use crate::docker::{BaseImage, Bases, BuildRecipe, Fresh, Image, ImageUnderTest, UnprovenBase};
use crate::model::{Code, Event, Finding, Status};
use crate::pipeline::effects::EffectCode;
use crate::pipeline::{Observer, Outside, Pipeline, RunError, RunOptions, Selection, Summary, alone, run};
use crate::policy::{Exception, Justification, Policy, Scope};
use crate::process::Invocation;
use crate::python::Interpreter;
use crate::step::{
    Cleared, CommandStep, Context, Effect, GateRecord, Handle, Judgement, Outcome, Permit, Step, StepError, Workspace,
    step_fn,
};
use crate::steps::{CoverageGate, CoverageInput, DevBuild, DockerBuild, Push, Pytest, Sbom, TrivyScan};
use crate::trivy::{ScanReport, VulnerabilityDatabase};

struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &Event) {}
}

fn because(expires: &str) -> Justification {
    Justification::new("the page is text, and no image is behind it", "@example/docs", expires).expect("valid")
}

fn image(ci: &mut Pipeline) -> Handle<Image<Fresh>> {
    ci.add("image", DockerBuild::context("app"), ())
}

fn problems(ci: &Pipeline) -> Vec<String> {
    ci.check().err().map_or_else(Vec::new, |error| error.problems.into_iter().map(|it| it.message).collect())
}

/// A step whose answer to what it changes is another one each time.
#[derive(Debug)]
struct Changing {
    asked: AtomicU32,
    named_first: bool,
    ran: Arc<AtomicBool>,
}

impl Step for Changing {
    type Input = ();
    type Output = ();

    fn run(&self, _: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        self.ran.store(true, Ordering::SeqCst);
        Ok(Outcome::of(()))
    }

    fn effect(&self) -> Effect {
        let even = self.asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2);
        if even == self.named_first { Effect::Named("reckless") } else { Effect::None }
    }
}

#[test]
fn an_effect_without_a_clearance_is_refused_when_the_graph_is_checked() {
    let mut ci = Pipeline::new("reckless");
    let image = image(&mut ci);
    let line = line!() + 1;
    ci.add("direct", step_fn(|_, _: Image<Fresh>| Ok(Outcome::of(()))).effect("reckless"), &image);
    let error = ci.check().expect_err("no clearance").to_string();
    assert!(error.contains(&format!("effects_tests.rs:{line}: step direct has an effect (reckless)")), "{error}");

    // To come after a clearance is not to have been given it.
    let listed = ci.add("listed", Sbom::new(), &image);
    let cleared = ci.clear(&image, &listed);
    let later = ci.add("later", CommandStep::new(Invocation::tool("true")).effect("reckless"), ());
    ci.after(&later, &cleared);
    // Nor is it enough that what is taken was made of something cleared.
    let glue = ci.add("glue", step_fn(|_, _: Cleared<Image<Fresh>>| Ok(Outcome::of(1_u32))), &cleared);
    ci.add("second-hand", step_fn(|_, _: u32| Ok(Outcome::of(()))).effect("reckless"), &glue);
    let ran = Arc::new(AtomicBool::new(false));
    ci.add("changing", Changing { asked: AtomicU32::new(0), named_first: true, ran }, ());
    let named = ["direct", "later", "second-hand", "changing"];
    let found = problems(&ci);
    assert_eq!(found.len(), named.len(), "{found:?}");
    assert!(
        named.iter().zip(&found).all(|(name, it)| it.starts_with(&format!("step {name} has an effect"))),
        "{found:?}"
    );
}

#[test]
fn a_cleared_image_goes_on_to_a_deployment() {
    let mut ci = Pipeline::new("chain");
    let image = image(&mut ci);
    let listed = ci.add("listed", Sbom::new(), &image);
    let cleared = ci.clear(&image, &listed);
    let pushed = ci.add("push", Push::to("127.0.0.1:5000/app"), &cleared);
    ci.add("deploy", CommandStep::new(Invocation::tool("kubectl").arg("apply")).effect("deploy"), &pushed);
    let book = ci.add("book", CommandStep::new(Invocation::tool("publish-book")).effect("publish"), ());
    ci.nothing_to_clear(&book, because("2027-01-01"));
    ci.check().expect("each effect has what it needs");

    ci.nothing_to_clear(&book, because("2027-01-01"));
    ci.nothing_to_clear(&pushed, because("2027-01-01"));
    ci.nothing_to_clear(&listed, because("2027-01-01"));
    let wrong = ["book is excused already", "push takes a clearance already", "listed has no effect"];
    let found = problems(&ci);
    assert!(found.len() == 3 && wrong.iter().zip(&found).all(|(part, it)| it.contains(part)), "{found:?}");
}

#[test]
fn a_clearance_for_one_environment_lets_no_effect_in_another_happen() {
    type Ship = fn(&mut Pipeline, &Handle<Cleared<Image<Fresh>>>, Option<&'static str>);
    let command = || CommandStep::new(Invocation::tool("true")).effect("ship");
    let ways: [(&str, Ship); 4] = [
        ("push", |ci, cleared, environment| {
            let push = Push::to("127.0.0.1:5000/app");
            ci.add("ship", environment.map_or(push.clone(), |name| push.environment(name)), cleared);
        }),
        ("closure", |ci, cleared, environment| {
            let ship = step_fn(|_, _: Cleared<Image<Fresh>>| Ok(Outcome::of(()))).effect("ship");
            match environment {
                None => ci.add("ship", ship, cleared),
                Some(name) => ci.add("ship", ship.environment(name), cleared),
            };
        }),
        ("what follows a push", |ci, cleared, environment| {
            let push = Push::to("127.0.0.1:5000/app").environment("local");
            let pushed = ci.add("push", push, cleared);
            let ship = CommandStep::new(Invocation::tool("true")).effect("ship");
            ci.add("ship", environment.map_or(ship.clone(), |name| ship.environment(name)), &pushed);
        }),
        // One clearance of two is not enough: nobody knows which of them is for what is shipped.
        ("one of two", |ci, cleared, environment| {
            let image = ci.add("other", DockerBuild::context("other"), ());
            let listed = ci.add("other-listed", Sbom::new(), &image);
            let right = ci.clear_for(environment.unwrap_or("production"), &image, &listed);
            type Two = (Cleared<Image<Fresh>>, Cleared<Image<Fresh>>);
            let ship = step_fn(|_, _: Two| Ok(Outcome::of(()))).effect("ship");
            ci.add("ship", ship.environment(environment.unwrap_or("production")), (cleared, &right));
        }),
    ];
    for (way, ship) in ways {
        for (environment, is_refused) in [(None, true), (Some("staging"), true), (Some("local"), false)] {
            let mut ci = Pipeline::new("environments");
            let image = image(&mut ci);
            let listed = ci.add("listed", Sbom::new(), &image);
            let cleared = ci.clear_for("local", &image, &listed);
            ship(&mut ci, &cleared, environment);
            let found = problems(&ci);
            let expected = format!("in {}, and is given a clearance for local", environment.unwrap_or("production"));
            assert_eq!(found.len(), usize::from(is_refused), "{way} {environment:?}: {found:?}");
            assert!(found.iter().all(|it| it.starts_with("step ship ") && it.contains(&expected)), "{way}: {found:?}");
        }
    }
    // And the other way round.
    let mut ci = Pipeline::new("environments");
    let image = image(&mut ci);
    let listed = ci.add("listed", Sbom::new(), &image);
    let cleared = ci.clear(&image, &listed);
    ci.add("ship", command().environment("local"), &cleared);
    ci.add("ship-2", command(), &cleared);
    let found = problems(&ci);
    assert!(found.len() == 1 && found[0].contains("in local, and is given a clearance for production"), "{found:?}");
}

#[test]
fn a_proof_comes_out_of_the_step_that_makes_it_and_through_no_other() {
    let mut ci = Pipeline::new("second-hand");
    let image = image(&mut ci);
    let listed = ci.add("listed", Sbom::new(), &image);
    let cleared = ci.clear(&image, &listed);
    ci.check().expect("so far the library's own");

    // Each runs a step of the library inside, or keeps what another run gave, and could leave out what was found.
    ci.add("image-again", step_fn(|_, image: Image<Fresh>| Ok(Outcome::of(image))), &image);
    ci.add("cleared-again", step_fn(|_, cleared: Cleared<Image<Fresh>>| Ok(Outcome::of(cleared))), &cleared);
    ci.add("database", step_fn(|_, ()| Err::<Outcome<VulnerabilityDatabase>, _>(StepError::not_looked("x", "y"))), ());
    ci.add("scan", step_fn(|_, ()| Err::<Outcome<ScanReport>, _>(StepError::not_looked("x", "y"))), ());
    ci.add("base", step_fn(|_, image: Image<Fresh>| Ok(Outcome::of(BaseImage::from(image)))), &image);
    let found = problems(&ci);
    assert_eq!(found.len(), 5, "{found:?}");
    assert!(found.iter().all(|it| it.contains("comes out of the library's own step alone")), "{found:?}");

    let mut ci = Pipeline::new("own");
    let image = self::image(&mut ci);
    let own = step_fn(|_, image: Image<Fresh>| Ok(Outcome::of(Judgement::of(&image, ()))));
    let own = ci.add("own", own, &image);
    ci.clear(&image, &own);
    ci.check().expect("a gate of one's own is allowed");
}

/// What was kept of a step that was run by hand, its findings left out.
#[derive(Clone, Serialize, Deserialize)]
struct Kept;

macro_rules! kept {
    ($($into:ty),+) => {
        $(impl From<Kept> for $into {
            fn from(_: Kept) -> Self {
                unreachable!("such a pipeline is refused")
            }
        })+
    };
}

kept!(VulnerabilityDatabase, ImageUnderTest, Bases, Interpreter, CoverageInput, Cleared<Image<Fresh>>, Permit);

#[test]
fn nothing_that_was_kept_becomes_a_proof_by_a_conversion() {
    let mut ci = Pipeline::new("converted");
    let image = image(&mut ci);
    let kept = ci.add("kept", step_fn(|_, ()| Ok(Outcome::of(Kept))), ());
    ci.check().expect("so far nothing is made of it");
    ci.add("scan", TrivyScan::new(), (&image, &kept));
    ci.add("scan-2", TrivyScan::new(), (&kept, &kept));
    ci.add("list", Sbom::new(), &kept);
    ci.add("build", DockerBuild::context("app").base_arg("B"), &kept);
    ci.add("build-2", DockerBuild::context("app").base_arg("B").base_arg("C"), vec![&kept, &kept]);
    ci.add("intermediate", DockerBuild::context("app").base_arg("B").intermediate(), &kept);
    ci.add("dev", DevBuild::new(BuildRecipe::context("app").base_arg("B")), &kept);
    ci.add("test", Pytest::in_dir("app"), &kept);
    ci.add("coverage", CoverageGate::lines(100.0).expect("a percentage"), &kept);
    ci.add("push", Push::to("127.0.0.1:5000/app"), &kept);
    ci.add("deploy", CommandStep::new(Invocation::tool("true")).effect("deploy"), &kept);
    let found = problems(&ci);
    for step in ["scan", "scan-2", "list", "build", "build-2", "intermediate", "dev", "test", "coverage"] {
        let start = format!("step {step:?} takes ");
        assert!(found.iter().any(|it| it.starts_with(&start) && it.contains("Kept")), "{step}: {found:?}");
    }
    // These two find no clearance among their inputs besides.
    for step in ["push", "deploy"] {
        assert!(found.iter().any(|it| it.starts_with(&format!("step {step} has an effect"))), "{step}: {found:?}");
    }

    // What steps of one's own take is theirs, and what the library's own types become in the library's own steps, the library's.
    let mut ci = Pipeline::new("allowed");
    let image = self::image(&mut ci);
    let base = UnprovenBase { reference: "x:1".to_owned(), id: format!("sha256:{}", "0".repeat(64)) };
    let base = ci.add("base", step_fn(move |_, ()| Ok(Outcome::of(base.clone()))), ());
    ci.add("build", DockerBuild::context("app").base_arg("B").base_arg("C"), vec![&base, &base]);
    let made = ci.add("made", DockerBuild::context("app").intermediate(), ());
    ci.add("build-2", DockerBuild::context("app").base_arg("B"), &made);
    ci.add("build-3", DockerBuild::context("app").base_arg("B"), &image);
    let nothing = ci.add("nothing", step_fn(|_, ()| Ok(Outcome::of(()))), ());
    ci.add("build-4", DockerBuild::context("app"), &nothing);
    let kept = ci.add("kept", step_fn(|_, ()| Ok(Outcome::of(Kept))), ());
    ci.add("own", step_fn(|_, _: ImageUnderTest| Ok(Outcome::of(()))), &kept);
    ci.add("list", Sbom::new(), &image);
    ci.check().expect("each comes from where it is made");
}

#[test]
fn a_clearance_holds_in_the_run_that_gave_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let workspace = Workspace::at(Utf8Path::from_path(folder.path()).expect("UTF-8"));
    let outside = Outside::gather(&workspace, Vec::new()).expect("descriptors");
    let [one, other] = ["one", "other"].map(|name| alone(&workspace, name, outside.clone()).expect("a context"));
    let cleared = Cleared::grant(&one, 7, Vec::<GateRecord>::new(), "production".to_owned());
    assert_eq!(cleared.get(&one).expect("the same run"), &7);
    for stale in [cleared.clone().get(&other).err(), cleared.carry(8).get(&other).err()] {
        let error = stale.expect("another run").to_string();
        assert!(error.contains("given by another run"), "{error}");
    }
}

fn run_all(ci: &Pipeline, effects: &[&str]) -> Result<Summary, RunError> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let workspace = Workspace::at(Utf8Path::from_path(dir.path()).expect("UTF-8"));
    let outside = Outside::gather(&workspace, Vec::new()).expect("descriptors");
    let effects = effects.iter().map(ToString::to_string).collect();
    let options = RunOptions {
        jobs: NonZeroUsize::new(2).expect("not zero"),
        selection: Selection { effects, ..Selection::default() },
        ..RunOptions::default()
    };
    run(ci, &workspace, outside, &options, &mut Nobody)
}

fn fails() -> impl Step<Input = (), Output = u32> {
    step_fn(|_, ()| Ok(Outcome::of(1).findings([Finding::with_code(Code::from_static("X-1"), "wrong")])))
}

#[test]
fn an_effect_never_starts_while_something_it_depends_on_is_not_green() {
    let ran = Arc::new(AtomicBool::new(false));
    let effect = || {
        let ran = Arc::clone(&ran);
        step_fn(move |_, ()| {
            ran.store(true, Ordering::SeqCst);
            Ok(Outcome::of(()))
        })
        .effect("deploy")
    };
    let ahead =
        (jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date().saturating_add(jiff::Span::new().days(9)))
            .to_string();

    let mut ci = Pipeline::new("after");
    let bad = ci.add("bad", fails(), ());
    let between = ci.add("between", step_fn(|_, ()| Ok(Outcome::of(()))), ());
    ci.after(&between, &bad);
    let deploy = ci.add("deploy", effect(), ());
    ci.after(&deploy, &between);
    ci.nothing_to_clear(&deploy, because(&ahead));
    let summary = run_all(&ci, &["deploy"]).expect("a run");
    assert_eq!((summary.steps[2].status, ran.load(Ordering::SeqCst)), (Status::Blocked, false));

    let mut ci = Pipeline::new("justified");
    let deploy = ci.add("deploy", effect(), ());
    ci.nothing_to_clear(&deploy, because(&ahead));
    let summary = run_all(&ci, &["deploy"]).expect("a run");
    assert_eq!((summary.steps[0].status, ran.swap(false, Ordering::SeqCst)), (Status::Exempted, true));
    assert_eq!(summary.steps[0].findings[0].code.as_str(), "EFF-001");

    // What the policy refuses is refused before the effect, not found after it.
    for (expires, owner, problem) in [
        ("2020-01-01", "@example/platform", "expired on 2020-01-01"),
        ("2999-01-01", "@example/platform", "at most"),
        (ahead.as_str(), "@example/nobody", "does not know"),
    ] {
        let mut ci = Pipeline::new("refused");
        ci.policy(Policy::default().owners(["@example/platform"]));
        let deploy = ci.add("deploy", effect(), ());
        ci.nothing_to_clear(
            &deploy,
            Justification::new("it publishes this very repository", owner, expires).expect("a reason"),
        );
        let error = run_all(&ci, &["deploy"]).expect_err("refused").to_string();
        assert!(error.contains(problem) && !ran.load(Ordering::SeqCst), "{error}");

        let mut ci = Pipeline::new("permitted");
        ci.policy(Policy::default().owners(["@example/platform"]));
        ci.add("load", Permitted { owner, expires: expires.to_owned(), ran: Arc::clone(&ran) }, ());
        let step = &run_all(&ci, &[]).expect("a run").steps[0];
        let reason = step.reason.as_deref().unwrap_or_default();
        assert_eq!((step.status, ran.load(Ordering::SeqCst)), (Status::Error, false), "{reason}");
        let said: Vec<_> = step.findings.iter().map(|finding| finding.message.as_str()).collect();
        assert!(said.len() == 1 && said[0].contains(problem), "{reason}: {said:?}");
    }

    // One that says that it changes nothing when it is added, and that it does afterwards, cannot be asked for.
    let changing = Changing { asked: AtomicU32::new(0), named_first: false, ran: Arc::clone(&ran) };
    let mut ci = Pipeline::new("changing");
    ci.add("changing", changing, ());
    assert!(matches!(run_all(&ci, &["reckless"]), Err(RunError::Selection(_))));
}

/// Does what only a justification allows.
#[derive(Debug)]
struct Permitted {
    owner: &'static str,
    expires: String,
    ran: Arc<AtomicBool>,
}

impl Step for Permitted {
    type Input = ();
    type Output = ();

    fn run(&self, _: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        self.ran.store(true, Ordering::SeqCst);
        Ok(Outcome::of(()))
    }

    fn permissions(&self) -> Vec<Exception> {
        let because = Justification::new("it publishes this very repository", self.owner, &self.expires);
        vec![Exception::in_pipeline(EffectCode::Uncleared, Scope::Any, because.expect("a reason"))]
    }
}
