use cicd_core::docker::{Fresh, Image};
use cicd_core::steps::ScanReport;

fn main() {
    let _ = Image::<Fresh>::built("sha256:0", "app:1", "c0ffee");
    let _ = ScanReport::default();
}
