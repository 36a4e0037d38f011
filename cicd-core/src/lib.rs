//! Typed CI steps composed in ordinary Rust.

pub mod cli;
pub mod docker;
pub mod doctor;
pub mod formats;
#[cfg(feature = "load-test")]
pub mod load;
pub mod model;
pub mod pipeline;
pub mod policy;
pub mod process;
pub mod python;
pub mod reporters;
pub mod setup;
pub mod step;
pub mod steps;
pub mod trivy;
