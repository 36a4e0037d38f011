//! The last rule that matches decides, and an accepted pattern ends in time on any path.
#![no_main]

use camino::Utf8Path;
use cicd_core::formats::codeowners::CodeOwnersFile;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let file = CodeOwnersFile::parse("CODEOWNERS".into(), text);
    let long = format!("{}/a.rs", ["a"; 60].join("/"));
    for path in ["a", "src/lib.rs", "docs/a/b/c.md", long.as_str(), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"] {
        let path = Utf8Path::new(path);
        let last = file.rules().iter().rev().find(|rule| rule.pattern.matches(path));
        assert_eq!(file.rule_for(path), last);
    }
});
