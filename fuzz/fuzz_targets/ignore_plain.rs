//! Every entry that is accepted has a justification that its own rules accept, and no message can steer a terminal.
#![no_main]

use cicd_core::formats::ignore_file::read_plain;
use cicd_core::policy::{check_owner, check_reason};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let file = read_plain("i".into(), bytes);
    for exception in &file.exceptions {
        assert!(check_reason(&exception.justification.reason).is_ok());
        assert!(check_owner(&exception.justification.owner).is_ok());
        assert!(exception.id.is_ascii() && exception.location.line.is_some());
    }
    for finding in &file.findings {
        assert!(!finding.message.chars().any(char::is_control), "{finding:?}");
        assert!(finding.location.is_some() && finding.help.is_some());
    }
});
