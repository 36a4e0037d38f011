use cicd_core::steps::{Pushed, ScanReport};

fn report(report: ScanReport) -> ScanReport {
    ScanReport { vulnerabilities: 0, ..report }
}

fn pushed(pushed: Pushed, other: &str) -> Pushed {
    Pushed { digest: other.to_owned(), ..pushed }
}

fn main() {}
