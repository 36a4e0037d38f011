//! An accepted Dockerfile has a stage, and every stage it needs is an earlier one.
#![no_main]

use cicd_core::formats::dockerfile::{Arguments, Dockerfile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let arguments = Arguments::from([("BASE".to_owned(), "debian@sha256:0".to_owned())]);
    if let Ok(file) = Dockerfile::parse(text, &arguments) {
        assert!(!file.stages.is_empty());
        for (index, stage) in file.stages.iter().enumerate() {
            assert!(stage.needs.iter().all(|&needed| needed < index));
        }
        assert!(file.instructions_to(None).is_some());
        let _ = file.root_of(None);
    }
});
