//! `cargo xtask test`: the project's own tests, as a pipeline too.

use cicd_core::pipeline::{GraphError, Pipeline};
use cicd_core::process::Invocation;
use cicd_core::step::{Claims, CommandStep, Workspace};
use cicd_core::steps::CargoTest;

/// Format, lints, every test, and one whole run of `cargo xtask ci`.
pub(crate) fn own_tests(_: &Workspace) -> Result<Pipeline, GraphError> {
    let mut test = Pipeline::new("own-tests");
    test.command("format", cargo(["fmt", "--all", "--check"]));
    let clippy = cargo(["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"]);
    test.add("clippy", CommandStep::new(clippy).claiming(Claims::exclusive("cargo")), ());
    let unit = test.add("unit-tests", CargoTest::new(["--workspace", "--lib", "--bins"]), ());
    let docs = test.add("doc-tests", CargoTest::new(["--workspace", "--doc"]), ());
    // Some tests run the example programs, which `cargo test --test` alone does not build.
    let examples = CommandStep::new(cargo(["build", "--package", "cicd-core", "--examples"]));
    let examples = test.add("examples", examples.claiming(Claims::exclusive("cargo")), ());
    let core = ["--package", "cicd-core", "--test", "*", "--no-fail-fast"];
    let core = test.add("core-tests", CargoTest::new(core), ());
    test.after(&core, &examples);

    // These build images and measure latency: one after the other, and nothing beside them.
    let quiet = |args| CargoTest::new(args).claiming(Claims::quiet_machine());
    let scenarios = test.add("scenarios", quiet(["--package", "xtask", "--tests"]), ());
    let ci = CommandStep::new(cargo(["xtask", "ci"])).claiming(Claims::quiet_machine());
    let ci = test.add("ci", ci, ());
    for earlier in [&unit, &docs, &core] {
        test.after(&scenarios, earlier);
        test.after(&ci, earlier);
    }
    Ok(test)
}

fn cargo<const N: usize>(args: [&str; N]) -> Invocation {
    Invocation::tool("cargo").args(args).env("CARGO_TERM_COLOR", "never")
}
