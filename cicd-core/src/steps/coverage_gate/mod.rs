//! The coverage gate: line and branch coverage of every source file, against a threshold that only a justification lowers.

mod excluded;
mod gate;
mod judge;

pub use gate::{Coverage, CoverageGate, CoverageInput, InvalidThreshold};
pub use judge::CoverageCode;

#[cfg(test)]
mod tests;
