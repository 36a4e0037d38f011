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
    let start = source.find("/// From the Flask").expect("the function");
    let (function, _) = source[start..].split_once("\n\n/// Before each commit").expect("its end");
    assert_eq!(shown("pipeline"), format!("{function}\n"));
}

#[test]
fn the_step_of_another_repository_is_the_one_that_is_tested() {
    let source = read("cicd-core/tests/outside/xtask.rs");
    assert_eq!(shown("outside"), between(&source, "// The step begins here.\n", "// The step ends here."));
}

#[test]
fn the_step_of_the_guide_is_the_same() {
    let page = read("cicd-core/src/guide/own_gate.md");
    assert!(page.contains(&shown("outside")), "cicd-core/src/guide/own_gate.md shows another step than README.md");
}

/// A page that is read on one screen after another until somebody gives up is not read.
#[test]
fn the_readme_is_short() {
    assert!(read("README.md").len() <= 12 * 1024, "the guide in cicd-core/src/guide has room");
}
