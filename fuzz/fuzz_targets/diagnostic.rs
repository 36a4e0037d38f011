//! Whatever the source and wherever the place: a rendering without anything that could steer a terminal.
#![no_main]

use cicd_core::formats::{Diagnostic, Paint};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, u16, u16, &str)| {
    let (source, start, end, message) = input;
    let (start, end) = (usize::from(start), usize::from(end));
    let shown = Diagnostic::at("a".into(), source, start..end, message).render(Paint::Plain);
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
});
