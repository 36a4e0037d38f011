//! Every accepted exception names one target, and has a justification that its own rules accept.
#![no_main]

use cicd_core::formats::{Paint, read_exceptions};
use cicd_core::policy::{Scope, check_owner, check_reason};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match read_exceptions("ci/exceptions.toml".into(), text) {
        Ok(exceptions) => {
            for exception in exceptions.all() {
                assert!(matches!(&exception.scope, Scope::Targets(targets) if targets.len() == 1));
                assert!(check_reason(&exception.justification.reason).is_ok());
                assert!(check_owner(&exception.justification.owner).is_ok());
            }
        }
        Err(error) => assert!(!error.render(Paint::Plain).contains('\u{1b}')),
    }
});
