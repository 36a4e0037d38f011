//! A reason is one harmless line, a place is a relative one, and two runs one after the other are two runs.
#![no_main]

use cicd_core::formats::read_libtest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|printed: &str| {
    let run = format!("running 1 test\n{printed}\n");
    let once = read_libtest(&run);
    if let Ok(report) = &once {
        assert!(report.not_passed.len() <= run.lines().count());
        for test in &report.not_passed {
            assert!(!test.is_ignored || test.reason.is_none() && test.location.is_none(), "{test:?}");
            assert!(test.reason.as_ref().is_none_or(|reason| !reason.is_empty() && !reason.contains(char::is_control)));
            assert!(test.location.as_ref().is_none_or(|place| place.path.is_relative()), "{test:?}");
        }
    }
    match (once, read_libtest(&run.repeat(2))) {
        (Ok(once), Ok(twice)) => {
            assert_eq!(twice.not_passed, [once.not_passed.as_slice(); 2].concat());
            assert_eq!(
                (twice.passed, twice.failed, twice.ignored),
                (2 * once.passed, 2 * once.failed, 2 * once.ignored)
            );
        }
        (once, twice) => assert_eq!(once.err(), twice.err()),
    }
});
