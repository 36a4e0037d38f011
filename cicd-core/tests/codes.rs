//! The table of finding codes is complete, in the code and in the guide.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;

use camino::Utf8Path;
use cicd_core::reporters::{codes, codes_markdown};

fn declared(dir: &Utf8Path, found: &mut BTreeSet<String>) {
    for entry in dir.read_dir_utf8().expect("a readable folder") {
        let path = entry.expect("a readable entry").into_path();
        if path.is_dir() {
            declared(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).expect("readable");
        for block in text.split("finding_codes! {").skip(1) {
            // A declaration ends with the first brace at the start of a line.
            let block = block.split("\n}").next().expect("one part at least");
            let lines = block.lines().filter_map(|line| line.split_once(" = \"")).map(|(_, rest)| rest);
            found.extend(lines.filter_map(|rest| rest.split_once("\" {")).map(|(code, _)| code.to_owned()));
        }
    }
}

#[test]
fn every_declared_code_is_in_the_table_with_an_example() {
    let mut found = BTreeSet::new();
    declared(&Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    found.remove("$code");
    let table = codes();
    let listed: BTreeSet<String> = table.iter().map(|info| info.code.to_owned()).collect();
    assert_eq!(listed.len(), table.len(), "a code has two meanings");
    assert_eq!(found, listed);
    for info in table {
        assert!(
            !info.summary.is_empty() && !info.help.is_empty() && !info.example.is_empty(),
            "{} lacks a text",
            info.code
        );
    }
}

#[test]
fn the_guide_has_the_table() {
    let path = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guide/codes.md");
    let page = fs::read_to_string(&path).expect("readable");
    let (before, rest) = page.split_once("<!-- codes -->\n").expect("the marker");
    let (table, after) = rest.split_once("<!-- /codes -->").expect("the marker");
    if update() {
        fs::write(&path, format!("{before}<!-- codes -->\n{}<!-- /codes -->{after}", codes_markdown()))
            .expect("written");
        return;
    }
    assert_eq!(table, codes_markdown(), "UPDATE_EXPECT=1 cargo test --test codes writes it anew");
}

#[expect(clippy::disallowed_methods, reason = "a test has no context to ask")]
fn update() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some()
}
