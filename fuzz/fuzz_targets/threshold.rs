//! What holds for a measurement is decided, not a panic, and never by a number that is none.
#![no_main]

use cicd_core::formats::Threshold;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(threshold) = text.parse::<Threshold>() {
        assert!(!threshold.holds(f64::NAN));
        let _ = threshold.holds(1.0);
    }
});
