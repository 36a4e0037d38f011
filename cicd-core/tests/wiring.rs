//! Pipelines that are wired wrongly do not compile; the same wired rightly do.

use cicd_core::pipeline::{GraphError, Pipeline};
use cicd_core::steps::{DockerBuild, Push, TrivyDatabase, TrivyScan};

#[test]
fn right_wiring_compiles() -> Result<(), GraphError> {
    let mut ci = Pipeline::new("right");
    let image = ci.add("image", DockerBuild::context("app"), ());
    let database = ci.add("database", TrivyDatabase::official(), ());
    let scanned = ci.add("scan", TrivyScan::new(), (&image, &database));
    let cleared = ci.clear(&image, &scanned);
    ci.add("push", Push::to("127.0.0.1:5000/app"), &cleared);
    ci.check()
}

#[test]
fn wrong_wiring_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/wiring/*.rs");
}
