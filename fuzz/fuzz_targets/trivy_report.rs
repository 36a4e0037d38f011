//! A report that is accepted is of schema 2 and ends where the input ends: with its last byte cut off it is none.
#![no_main]

use cicd_core::formats::trivy_report::TrivyReport;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if TrivyReport::from_json(bytes).is_ok() {
        let whole = bytes.trim_ascii_end();
        assert!(TrivyReport::from_json(&whole[..whole.len() - 1]).is_err());
    }
});
