//! An accepted report is still one after everything behind its root element is cut off, and none with its end cut off.
#![no_main]

use cicd_core::formats::read_junit;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if read_junit(bytes, 0).is_ok() {
        let end = bytes.iter().rposition(|&byte| byte == b'>').unwrap_or(0);
        assert!(read_junit(&bytes[..end], 0).is_err());
    }
});
