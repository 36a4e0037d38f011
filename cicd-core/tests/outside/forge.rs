//! Ways to a green run that compile: which one is taken, the variable `FORGE` says. None of them ends green.

use std::sync::Mutex;

use cicd_core::docker::{Bases, Fresh, Image, ImageUnderTest};
use cicd_core::model::{Code, Finding};
use cicd_core::pipeline::{GraphError, Pipeline};
use cicd_core::policy::Justification;
use cicd_core::process::Invocation;
use cicd_core::step::{Clock, CommandStep, Context, Effect, Outcome, Permit, Step, StepError, Workspace, step_fn};
use cicd_core::steps::{DockerBuild, Sbom, TrivyDatabase, TrivyScan};
use cicd_core::trivy::VulnerabilityDatabase;
use serde::{Deserialize, Serialize};

/// What a step judges: the next one takes its word for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Verdict {
    fine: bool,
}

/// Stands for something that was kept.
#[derive(Clone, Serialize, Deserialize)]
struct Kept;

static KEPT: Mutex<Option<VulnerabilityDatabase>> = Mutex::new(None);

impl From<Kept> for VulnerabilityDatabase {
    fn from(_: Kept) -> Self {
        KEPT.lock().ok().and_then(|kept| kept.clone()).expect("kept before")
    }
}

impl From<Kept> for Bases {
    fn from(_: Kept) -> Self {
        ().into()
    }
}

impl From<Kept> for Permit {
    fn from(_: Kept) -> Self {
        ().into()
    }
}

impl From<Kept> for ImageUnderTest {
    fn from(_: Kept) -> Self {
        Self { id: String::new(), name: String::new(), commit: String::new() }
    }
}

/// Runs a step of the library and leaves out what it found.
#[derive(Debug)]
struct Silent<S>(S);

impl<S: Step> Step for Silent<S> {
    type Input = S::Input;
    type Output = S::Output;

    fn run(&self, cx: &Context, input: S::Input) -> Result<Outcome<S::Output>, StepError> {
        Ok(Outcome::of(self.0.run(cx, input)?.value))
    }
}

/// Says that it changes nothing until it is added.
#[derive(Debug)]
struct Modest;

impl Step for Modest {
    type Input = Image<Fresh>;
    type Output = ();

    fn run(&self, _: &Context, _: Image<Fresh>) -> Result<Outcome<()>, StepError> {
        std::fs::write("effect", "had").map_err(StepError::io("writing", "effect"))?;
        Ok(Outcome::of(()))
    }

    fn effect(&self) -> Effect {
        Effect::Named("ship")
    }
}

fn pipeline(_: &Workspace) -> Result<Pipeline, GraphError> {
    let mut ci = Pipeline::new("forge");
    let way = std::env::var("FORGE").unwrap_or_default();
    match way.as_str() {
        // A verdict that is edited between a run and the one that resumes it, by hand or by another step.
        "edited" | "edited-by-a-step" => {
            let verdict = step_fn(|_, ()| Ok(Outcome::of(Verdict { fine: false }))).resume_key("not fine");
            let verdict = ci.add("verdict", verdict, ());
            let judge = step_fn(|_, verdict: Verdict| {
                let wrong = || Finding::with_code(Code::from_static("X-1"), "not fine");
                Ok(Outcome::of(()).findings((!verdict.fine).then(wrong)))
            });
            let judge = ci.add("judge", judge, &verdict);
            if way == "edited-by-a-step" {
                let edit = step_fn(|cx, ()| {
                    let file = cx.dir().with_file_name("verdict").join("output.json");
                    let text = std::fs::read_to_string(&file).map_err(StepError::io("reading", &file))?;
                    let text = text.replace("\"fine\": false", "\"fine\": true");
                    std::fs::write(&file, text).map_err(StepError::io("writing", file))?;
                    Ok(Outcome::of(()))
                });
                let edit = ci.add("edit", edit, ());
                ci.after(&edit, &verdict);
            }
            let _ = judge;
        }
        "wrapper" => {
            let image = ci.add("image", DockerBuild::context("app"), ());
            let database = ci.add("database", Silent(TrivyDatabase::offline("advisories")), ());
            ci.add("scan", Silent(TrivyScan::new()), (&image, &database));
        }
        "kept-by-conversion" => {
            let image = ci.add("image", DockerBuild::context("app"), ());
            let keep = step_fn(|cx, ()| {
                let database = TrivyDatabase::offline("advisories").run(cx, ())?.value;
                KEPT.lock().map_err(|_| StepError::not_looked("x", "y"))?.replace(database);
                Ok(Outcome::of(Kept))
            });
            let kept = ci.add("kept", keep, ());
            ci.add("scan", TrivyScan::new(), (&image, &kept));
        }
        "base-by-conversion" => {
            let kept = ci.add("kept", step_fn(|_, ()| Ok(Outcome::of(Kept))), ());
            ci.add("image", DockerBuild::context("app"), &kept);
        }
        "image-by-conversion" => {
            let kept = ci.add("kept", step_fn(|_, ()| Ok(Outcome::of(Kept))), ());
            ci.add("list", Sbom::new(), &kept);
        }
        "permit-by-conversion" => {
            let kept = ci.add("kept", step_fn(|_, ()| Ok(Outcome::of(Kept))), ());
            ci.add("ship", CommandStep::new(Invocation::tool("touch").arg("effect")).effect("ship"), &kept);
        }
        "effect-without-clearance" => {
            let image = ci.add("image", DockerBuild::context("app"), ());
            ci.add("ship", Modest, &image);
        }
        "effect-in-a-shell" => {
            ci.command("ship", Invocation::tool("sh").args(["-c", "docker push x; touch effect"]));
        }
        "effect-after-a-clearance" => {
            let image = ci.add("image", DockerBuild::context("app"), ());
            let listed = ci.add("listed", Sbom::new(), &image);
            let cleared = ci.clear(&image, &listed);
            let ship = step_fn(|_, ()| Ok(Outcome::of(()))).effect("ship");
            let ship = ci.add("ship", ship, ());
            ci.after(&ship, &cleared);
        }
        "justified-for-ever" => {
            let ship = ci.add("ship", step_fn(|_, ()| Ok(Outcome::of(()))).effect("ship"), ());
            let because = Justification::new("nobody will look at this again, ever", "@example/me", "2999-01-01");
            ci.nothing_to_clear(&ship, because.expect("a date"));
        }
        "skipped-effect" => {
            let verdict = ci.add("verdict", step_fn(|_, ()| Ok(Outcome::of(Verdict { fine: false }))), ());
            let ship = ci.add("ship", step_fn(|_, _: Verdict| Ok(Outcome::of(()))).effect("ship"), &verdict);
            let tomorrow = Clock::System.today().tomorrow().expect("a day").to_string();
            let because =
                Justification::new("a note for people to read, with no artifact behind it", "@example/me", &tomorrow);
            ci.nothing_to_clear(&ship, because.expect("a date"));
        }
        _ => {}
    }
    Ok(ci)
}

fn main() -> std::process::ExitCode {
    cicd_core::cli::main(pipeline)
}
