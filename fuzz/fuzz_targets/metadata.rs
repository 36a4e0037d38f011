//! An accepted METADATA has a name and a version.
#![no_main]

use cicd_core::formats::{propose_spdx, read_python_metadata, same_version};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(metadata) = read_python_metadata(bytes) {
        assert!(!metadata.name.is_empty() && !metadata.version.is_empty());
        assert!(same_version(&metadata.version, &metadata.version));
        let _ = propose_spdx(&metadata.license);
    }
});
