//! Steps that need a Docker engine, for the faults of one. What they work on is told by files in the checkout.

use std::fs;
use std::time::Duration;

use cicd_core::docker::{
    BaseImage, ContainerSpec, ImageUnderTest, LABEL_OWNER, LABEL_RUN, UnprovenBase, docker, docker_tool, owner,
};
use cicd_core::pipeline::Pipeline;
use cicd_core::step::{Context, Outcome, StepError, Workspace, step_fn};
use cicd_core::steps::{DockerBuild, InvalidLoadTest, LoadTest, Readiness, TrivyDatabase, TrivyScan};

use super::misbehave;

/// The port that the image's server listens on.
const PORT: u16 = 8080;
/// How many seconds a container has until it is ready, on a machine with much else to do.
const PATIENCE_S: u16 = 30;

pub(super) fn pipeline(workspace: &Workspace) -> Result<Pipeline, InvalidLoadTest> {
    let mut ci = Pipeline::new("docker");
    let ready = ci.add("readiness", Readiness::new().disk_free_mib_min(1), ());
    ci.add("readiness-disk", Readiness::new().disk_free_mib_min(u64::MAX), ());
    let number = |file| fs::read_to_string(workspace.path(file)).ok().and_then(|text| text.trim().parse::<u16>().ok());
    ci.add("readiness-port", Readiness::new().disk_free_mib_min(1).port_free(number("port").unwrap_or(PORT)), ());

    let base = ci.add("base", step_fn(|cx, ()| Ok(Outcome::of(base(cx)?))), ());
    ci.after(&base, &ready);
    ci.add("build", DockerBuild::context("slow").base_arg("BASE"), &base);

    let quick = ci.add("quick-build", DockerBuild::context("quick").intermediate(), ());
    let linger = |cx: &Context, _: BaseImage| cx.run_ok(&misbehave(&["ignore-signals"])).map(|_| Outcome::of(()));
    ci.add("linger", step_fn(linger), &quick);

    let image = ci.add("image", step_fn(|cx, ()| Ok(Outcome::of(image(cx)?))), ());
    ci.after(&image, &ready);
    let database = ci.add("database", TrivyDatabase::offline("advisories"), ());
    ci.add("scan", TrivyScan::new(), (&image, &database));
    let load = LoadTest::get("/").rate(50.0).warm_up(Duration::from_millis(500)).during(Duration::from_secs(3));
    let patience = Duration::from_secs(number("patience").unwrap_or(PATIENCE_S).into());
    let load = load.threshold("p(99)<5000").ready_within(patience).build()?;
    ci.add("load", load.clone(), &image);
    let removed = ci.add("remove-image", step_fn(remove), &image);
    ci.add("load-removed", load, &removed);
    ci.add("hold", step_fn(hold), &image);
    Ok(ci)
}

fn read(cx: &Context, file: &str) -> Result<String, StepError> {
    fs::read_to_string(cx.path(file)).map_err(StepError::io("reading", file))
}

fn base(cx: &Context) -> Result<UnprovenBase, StepError> {
    let text = read(cx, "base")?;
    let (reference, id) = text
        .trim()
        .split_once(' ')
        .ok_or_else(|| StepError::not_looked("the file `base` is not a reference and an id", "correct the test"))?;
    Ok(UnprovenBase { reference: reference.to_owned(), id: id.to_owned() })
}

/// An image that the test made, as if it had been built.
fn image(cx: &Context) -> Result<ImageUnderTest, StepError> {
    serde_json::from_str(&read(cx, "image.json")?)
        .map_err(|error| StepError::not_looked(error.to_string(), "correct the test"))
}

fn remove(cx: &Context, image: ImageUnderTest) -> Result<Outcome<ImageUnderTest>, StepError> {
    cx.require(&docker_tool())?;
    cx.run_ok(&docker(["image", "rm", "--force", &image.id]))?;
    Ok(Outcome::of(image))
}

/// Two containers and a network, until the run is cancelled.
fn hold(cx: &Context, image: ImageUnderTest) -> Result<Outcome<()>, StepError> {
    cx.require(&docker_tool())?;
    let label = [format!("{LABEL_RUN}={}", cx.shared().id), format!("{LABEL_OWNER}={}", owner())];
    let network = docker(["network", "create", "--label", &label[0], "--label", &label[1]]);
    cx.run_ok(&network.arg(format!("faults-{}", cx.shared().id)))?;
    let spec = ContainerSpec::new(&image.id, PORT);
    let (one, two) = (spec.start(cx)?, spec.start(cx)?);
    cx.run_ok(&misbehave(&["ignore-signals"]))?;
    one.remove()?;
    two.remove()?;
    Ok(Outcome::of(()))
}
