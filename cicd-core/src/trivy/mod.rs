//! Floor 3: what the steps that call Trivy share: the tool, a neutral way to call it, and the database it judges by.

mod canary;
mod database;
mod neutral;
mod scan_report;

pub use canary::{CANARY, Canary};
pub use database::{DatabaseOrigin, VulnerabilityDatabase};
pub use neutral::{Neutral, trivy_tool};
pub use scan_report::{KnownFlaw, ScanReport, ScannedPackage};
