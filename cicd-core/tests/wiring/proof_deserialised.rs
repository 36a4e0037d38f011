use cicd_core::docker::{Fresh, Image};
use cicd_core::step::{Cleared, Judgement};
use cicd_core::steps::{Pushed, ScanReport};
use serde::Deserialize;

#[derive(Deserialize)]
struct FromJson {
    image: Image<Fresh>,
    cleared: Cleared<Pushed>,
    pushed: Pushed,
    scan: ScanReport,
    judgement: Judgement<u32>,
}

fn main() {}
