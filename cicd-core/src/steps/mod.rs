//! Floor 4: one file a step. Steps never import steps.

mod cargo_test;
mod trivy_database;

pub use cargo_test::{CargoTest, CargoTestCode};
pub use trivy_database::{DatabaseCode, TrivyDatabase};
