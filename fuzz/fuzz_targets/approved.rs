//! What is accepted and written down again is accepted as the same, on lines that follow one another.
#![no_main]

use cicd_core::formats::{read_approved, write_approved};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = |bytes: &[u8]| read_approved("ci/approved.csv".into(), bytes, |_, _| Ok(()));
    if let Ok(mut packages) = read(bytes) {
        let written = write_approved(&packages);
        // Blank lines are not written; the header is line 1.
        for (package, line) in packages.iter_mut().zip(2..) {
            package.line = line;
        }
        assert_eq!(read(written.as_bytes()).as_ref(), Ok(&packages), "{written}");
    }
});
