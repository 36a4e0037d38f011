#[derive(Clone)]
struct Mine(cicd_core::steps::ScanReport);

impl cicd_core::step::Artifact for Mine {}

fn main() {}
