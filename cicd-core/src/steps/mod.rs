//! Floor 4: one file a step. Steps never import steps.

mod cargo_test;
mod coverage_gate;
mod trivy_database;
mod trivy_scan;

pub use cargo_test::{CargoTest, CargoTestCode};
pub use coverage_gate::{Coverage, CoverageCode, CoverageGate, CoverageInput, InvalidThreshold};
pub use trivy_database::{DatabaseCode, TrivyDatabase};
pub use trivy_scan::{ScanCode, ScanReport, TrivyScan};
