//! A policy file that is not accepted says so without a character that could steer a terminal.
#![no_main]

use cicd_core::formats::{Limits, Paint};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = Limits::parse("ci/policy.toml".into(), text) {
        assert!(!error.render(Paint::Plain).contains('\u{1b}'));
    }
});
