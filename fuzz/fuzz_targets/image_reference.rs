//! What is pinned names a digest, and what an accepted reference prints is accepted as the same.
#![no_main]

use cicd_core::formats::image_reference::ImageReference;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(reference) = ImageReference::parse(text) {
        assert!(!reference.is_pinned() || text.contains("@sha256:"));
        let full = reference.to_string();
        assert_eq!(ImageReference::parse(&full).map(|again| again.to_string()).as_ref(), Ok(&full));
        let _ = (reference.is_latest(), reference.is_loopback());
    }
});
