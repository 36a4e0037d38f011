//! Every accepted package has a normalised name and is found at its line.
#![no_main]

use cicd_core::formats::requirements::{LockedRequirements, normalized_name};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(locked) = LockedRequirements::parse(text) {
        for package in &locked.packages {
            assert_eq!(package.name, normalized_name(&package.name));
            assert!(locked.line_of(&package.name).is_some());
        }
    }
});
