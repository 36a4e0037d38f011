//! A valid expression says the same as itself.
#![no_main]

use cicd_core::formats::{check_spdx, same_spdx};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|expression: &str| {
    if check_spdx(expression).is_ok() {
        assert!(same_spdx(expression, expression));
    }
});
