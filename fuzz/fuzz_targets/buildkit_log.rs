//! A log is read for what it is; reading it never fails.
#![no_main]

use cicd_core::formats::buildkit_log::BuildLog;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let log = BuildLog::parse(bytes);
    let _ = (log.exported(), log.looked_up().count());
    for vertex in log.vertices.values() {
        let _ = vertex.kind();
    }
});
