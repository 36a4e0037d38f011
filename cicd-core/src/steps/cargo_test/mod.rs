//! The step that runs the tests of a Rust workspace: which tests its sources declare, what its settings keep from running, and what ran.

mod chosen;
mod declared;
mod settings;
mod step;

pub use step::{CargoTest, CargoTestCode};
