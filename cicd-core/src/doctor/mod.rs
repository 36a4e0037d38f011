//! Floor 7: `cargo xtask doctor` tells, in one go, whether everything is there that a pipeline needs.
//!
//! It changes nothing. What it saw is a value, the [`Report`].

mod check;
mod report;

pub use check::{DISK_FREE_BYTES_MIN, Inputs, check};
pub use report::{Report, Row, State};
