//! Proofs that were come by honestly and are then used for something else: a real engine builds the images.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod docker_support;
#[path = "docker_support/small_base.rs"]
mod small_base;

use std::any::Any;
use std::mem::{replace, swap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cicd_core::docker::{Fresh, Image};
use cicd_core::model::{Event, Revision};
use cicd_core::pipeline::{Observer, Outside, Pipeline, RunOptions, Selection, Summary, run};
use cicd_core::step::{Cleared, Handle, Judgement, Outcome, StepError, step_fn};
use cicd_core::steps::DockerBuild;
use docker_support::Sandbox;

/// Equal instructions of builds at the same time are carried out once, which is no build without a cache: they take turns.
static TURN: Mutex<()> = Mutex::new(());

struct Unseen;

impl Observer for Unseen {
    fn event(&mut self, _: &Event) {}
}

/// A pipeline that builds images, and an effect that must not be had.
struct Forgery {
    sandbox: Sandbox,
    had_effect: Arc<AtomicBool>,
    ci: Pipeline,
}

const GOOD: &str = "FROM scratch\nCOPY app.txt /app.txt\nUSER 1\nHEALTHCHECK CMD [\"/app.txt\"]\n";

impl Forgery {
    fn new() -> Self {
        let files = [("app/app.txt", "hello\n"), ("other/app.txt", "other\n")];
        let sandbox = Sandbox::new(&[("app/Dockerfile", GOOD), ("other/Dockerfile", GOOD)]);
        files.iter().for_each(|(file, text)| sandbox.write(file, text));
        Self { sandbox, had_effect: Arc::default(), ci: Pipeline::new("forgery") }
    }

    fn image(&mut self, name: &str) -> Handle<Image<Fresh>> {
        let step = DockerBuild::context(name).image_name(format!("cicd-core-test-forgery-{name}"));
        self.ci.add(name, step, ())
    }

    /// A gate that looks at an image, and the clearance that it gives.
    fn honest(&mut self, image: &Handle<Image<Fresh>>) -> (Handle<Judgement<()>>, Handle<Cleared<Image<Fresh>>>) {
        self.judged("judged", image, |image| Ok(Judgement::of(&image, ())))
    }

    fn judged(
        &mut self,
        name: &str,
        image: &Handle<Image<Fresh>>,
        judge: impl Fn(Image<Fresh>) -> Result<Judgement<()>, StepError> + Send + Sync + 'static,
    ) -> (Handle<Judgement<()>>, Handle<Cleared<Image<Fresh>>>) {
        let judge = step_fn(move |_, image| Ok(Outcome::of(judge(image)?)));
        let judged = self.ci.add(name, judge, image);
        (judged, self.ci.clear(image, &judged))
    }

    fn ship(&mut self, name: &str, cleared: &Handle<Cleared<Image<Fresh>>>) {
        let had_effect = Arc::clone(&self.had_effect);
        let ship = step_fn(move |cx, cleared: Cleared<Image<Fresh>>| {
            cleared.get(cx)?;
            had_effect.store(true, Ordering::SeqCst);
            Ok(Outcome::of(()))
        });
        self.ci.add(name, ship.effect("ship"), cleared);
    }

    fn run(&mut self, change: impl FnOnce(&mut Outside)) -> Summary {
        let selection = Selection { effects: vec!["ship".to_owned()], ..Selection::default() };
        let options = RunOptions { selection, ..RunOptions::default() };
        let mut outside = self.sandbox.checkout();
        change(&mut outside);
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let summary = run(&self.ci, &self.sandbox.workspace(), outside, &options, &mut Unseen).expect("a run");
        let built = summary.steps.iter().filter_map(|step| step.facts.get("image_id"));
        built.for_each(|id| self.sandbox.removes(&id.to_string()));
        summary
    }

    /// Runs it, and gives the codes of what each clearance found, or the reason why it found nothing.
    fn refused(&mut self) -> Vec<String> {
        let summary = self.run(|_| {});
        assert!(summary.exit_code != 0 && !self.had_effect.load(Ordering::SeqCst), "{summary:?}");
        let clearances = summary.steps.iter().filter(|step| step.name.as_str().starts_with("clearance"));
        let told = clearances.map(|step| {
            let codes: Vec<_> = step.findings.iter().map(|finding| finding.code.to_string()).collect();
            codes.into_iter().chain(step.reason.clone()).collect::<Vec<_>>().join(" ")
        });
        told.collect()
    }
}

#[test]
fn a_proof_of_one_image_clears_no_other() {
    type Judge = fn(Image<Fresh>, Image<Fresh>) -> Judgement<()>;
    let ways: [Judge; 3] = [
        |mut image, mut other| {
            swap(&mut image, &mut other);
            Judgement::of(&image, ())
        },
        |mut image, other| {
            let _ = replace(&mut image, other);
            Judgement::of(&image, ())
        },
        |_, other| {
            let any: Box<dyn Any> = Box::new(other);
            any.downcast::<Image<Fresh>>().map(|image| Judgement::of(&*image, ())).expect("the same type")
        },
    ];
    let mut forgery = Forgery::new();
    let (image, other) = (forgery.image("app"), forgery.image("other"));
    for (number, way) in ways.into_iter().enumerate() {
        let judge = step_fn(move |_, (image, other)| Ok(Outcome::of(way(image, other))));
        let judged = forgery.ci.add(&format!("judged-{number}"), judge, (&image, &other));
        let cleared = forgery.ci.clear(&image, &judged);
        forgery.ship(&format!("ship-{number}"), &cleared);
    }
    assert_eq!(forgery.refused(), ["CLR-002", "CLR-002", "CLR-002"]);
}

#[test]
fn what_was_kept_from_another_run_clears_nothing() {
    type Kept = (Cleared<Image<Fresh>>, Judgement<()>);
    let kept: Arc<Mutex<Option<Kept>>> = Arc::default();
    // Honest, so that what follows fails for its own reason.
    let mut first = Forgery::new();
    let image = first.image("app");
    let (judged, cleared) = first.honest(&image);
    first.ship("ship", &cleared);
    let keep = Arc::clone(&kept);
    let keep = step_fn(move |_, proofs| {
        *keep.lock().expect("one thread") = Some(proofs);
        Ok(Outcome::of(()))
    });
    first.ci.add("keep", keep.effect("ship"), (&cleared, &judged));
    let summary = first.run(|_| {});
    assert!(summary.exit_code == 0 && first.had_effect.load(Ordering::SeqCst), "{summary:?}");
    let (clearance, judgement) = kept.lock().expect("one thread").clone().expect("kept");

    // The judgement of then is about the image of then. The clearance of then shows nothing to a step of now.
    let mut second = Forgery::new();
    second.sandbox.write("app/app.txt", "something else\n");
    let image = second.image("app");
    let (_, cleared) = second.judged("judged", &image, move |_| Ok(judgement.clone()));
    second.ship("ship", &cleared);
    let show = step_fn(move |cx, _: Image<Fresh>| Ok(Outcome::of(Judgement::of(clearance.get(cx)?, ()))));
    let shown = second.ci.add("shown", show, &image);
    let cleared = second.ci.clear(&image, &shown);
    second.ship("ship-2", &cleared);
    let told = second.refused();
    assert_eq!(told[0], "CLR-002");
    assert!(told[1].contains("needs shown, which is error"), "{told:?}");
}

#[test]
fn an_image_is_of_the_commit_that_is_checked_out() {
    type Change = fn(&mut Outside);
    let ways: [(Change, &str); 2] = [
        (
            |outside| {
                let commit = "0123456789abcdef0123456789abcdef01234567".to_owned();
                outside.revision = Ok(Revision { commit, dirty: false, differences: Vec::new() });
            },
            "the run was told that commit 0123456789abcdef0123456789abcdef01234567 is checked out",
        ),
        (
            // What another checkout holds.
            |outside| {
                let other = Sandbox::new(&[("a.txt", "a\n")]).checkout();
                (outside.revision, outside.source) = (other.revision, other.source);
            },
            "app",
        ),
    ];
    for (change, words) in ways {
        let mut forgery = Forgery::new();
        let image = forgery.image("app");
        let (_, cleared) = forgery.honest(&image);
        forgery.ship("ship", &cleared);
        let summary = forgery.run(change);
        assert!(summary.exit_code == 3 && !forgery.had_effect.load(Ordering::SeqCst), "{summary:?}");
        let reasons: Vec<_> = summary.steps.iter().filter_map(|step| step.reason.clone()).collect();
        assert!(reasons.iter().any(|reason| reason.contains(words)), "{reasons:?}");
    }
}

#[test]
fn nothing_is_cleared_that_is_built_on_what_a_step_of_ones_own_names() {
    let mut forgery = Forgery::new();
    let base = forgery.sandbox.base("forgery");
    let based = "ARG BASE\nFROM ${BASE}\nCOPY app.txt /app.txt\nUSER 1\nHEALTHCHECK CMD [\"/bin/cat\", \"/x\"]\n";
    forgery.sandbox.write("based/Dockerfile", based);
    forgery.sandbox.write("based/app.txt", "hello\n");
    let step = |name: &str| {
        DockerBuild::context("based").base_arg("BASE").image_name(format!("cicd-core-test-forgery-{name}"))
    };
    let base = forgery.ci.add("base", step_fn(move |_, ()| Ok(Outcome::of(base.clone()))), ());
    // Directly, and below an intermediate image.
    let direct = forgery.ci.add("direct", step("direct"), &base);
    let between = forgery.ci.add("between", step("between").intermediate(), &base);
    let indirect = forgery.ci.add("indirect", step("indirect"), &between);
    for (name, image) in [("one", &direct), ("other", &indirect)] {
        let (_, cleared) = forgery.judged(name, image, |image| Ok(Judgement::of(&image, ())));
        forgery.ship(&format!("ship-{name}"), &cleared);
    }
    assert_eq!(forgery.refused(), ["CLR-005", "CLR-005"]);
}
