//! As for the plain form: what is accepted is complete, and no message can steer a terminal.
#![no_main]

use cicd_core::formats::ignore_file::read_yaml;
use cicd_core::policy::{check_owner, check_reason};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match read_yaml("i.yaml".into(), bytes) {
        Ok(file) => {
            for exception in &file.exceptions {
                assert!(check_reason(&exception.justification.reason).is_ok());
                assert!(check_owner(&exception.justification.owner).is_ok());
            }
            for finding in &file.findings {
                assert!(!finding.message.chars().any(char::is_control), "{finding:?}");
            }
        }
        Err(error) => assert!(!error.problem.is_empty()),
    }
});
