//! Coverage reports of coverage.py (JSON), Cobertura (XML) and LCOV, read into one form.
//!
//! Totals are counted from the lines; a summary in the report is only compared with them, and a contradiction is an error.

mod cobertura;
mod coveragepy;
mod lcov;
mod measured;
mod percent;
mod report;

pub use cobertura::read_cobertura;
pub use coveragepy::read_coveragepy;
pub use lcov::read_lcov;
pub use measured::{MeasuredCoverage, MeasuredSource, candidate_paths};
pub use percent::{InvalidPercent, Percent, Ratio};
pub use report::{CoverageError, CoverageReport, FileCoverage, LineRanges, MissingBranch, read_coverage};

#[cfg(test)]
mod tests;
