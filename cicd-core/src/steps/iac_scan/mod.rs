//! The scan of what describes infrastructure: which files those are, what checkov says of them, the step itself.

mod judge;
mod report;
mod step;
#[cfg(test)]
mod tests;

pub use step::{IacScan, IacScanner};
