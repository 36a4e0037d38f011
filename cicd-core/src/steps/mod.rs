//! Floor 4: one file a step. Steps never import steps.

mod cargo_test;

pub use cargo_test::{CargoTest, CargoTestCode};
