//! No measurement exceeds the whole.
#![no_main]

use cicd_core::formats::coverage::{read_cobertura, read_coverage, read_coveragepy, read_lcov};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for report in [read_coverage(bytes), read_cobertura(bytes), read_coveragepy(bytes), read_lcov(bytes)] {
        let Ok(report) = report else { continue };
        let lines = report.lines();
        assert!((0.0..=100.0).contains(&lines.percent()), "{lines:?}");
        if let Some(branches) = report.branches() {
            assert!((0.0..=100.0).contains(&branches.percent()), "{branches:?}");
        }
    }
});
