use cicd_core::docker::BuildRecipe;
use cicd_core::pipeline::Pipeline;
use cicd_core::steps::{DevBuild, DockerBuild, TrivyDatabase, TrivyScan};

fn main() {
    let mut ci = Pipeline::new("wrong");
    let fresh = ci.add("fresh", DockerBuild::context("app"), ());
    let cached = ci.add("cached", DevBuild::new(BuildRecipe::context("app")), ());
    let database = ci.add("database", TrivyDatabase::official(), ());
    let scanned = ci.add("scan", TrivyScan::new(), (&fresh, &database));
    ci.clear(&cached, &scanned);
}
