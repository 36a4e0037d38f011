//! The sources that the README shows are the sources that run.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::fs;

use camino::Utf8Path;

fn read(path: &str) -> String {
    fs::read_to_string(Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)).expect("readable")
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split_once(start).and_then(|(_, rest)| rest.split_once(end)).expect("both marks").0
}

/// The Rust block between two marks of the README.
fn shown(name: &str) -> String {
    let readme = read("README.md");
    let block = between(&readme, &format!("<!-- {name} -->\n```rust\n"), &format!("```\n<!-- /{name} -->"));
    block.to_owned()
}

#[test]
fn the_pipeline_is_the_one_that_runs() {
    let source = read("xtask/src/pipeline.rs");
    let (_, function) = source.split_once("/// From the Flask").expect("the function");
    assert_eq!(shown("pipeline"), format!("/// From the Flask{function}"));
}

#[test]
fn the_step_of_another_repository_is_the_one_that_is_tested() {
    let source = read("cicd-core/tests/outside/xtask.rs");
    assert_eq!(shown("outside"), between(&source, "// The step begins here.\n", "// The step ends here."));
}
