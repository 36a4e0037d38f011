//! Coverage reports of coverage.py (JSON), Cobertura (XML) and LCOV, read into one form.
//!
//! Totals are counted from the lines, in the one of two ways of counting that gives the report's own summary; where none does, that
//! is a contradiction, and an error.

mod cobertura;
mod coveragepy;
mod foreign;
mod lcov;
mod measured;
mod percent;
mod report;
mod tally;

pub use cobertura::read_cobertura;
pub use coveragepy::read_coveragepy;
pub use lcov::read_lcov;
pub use measured::{MeasuredCoverage, MeasuredSource, candidate_paths};
pub use percent::{InvalidPercent, Percent, Ratio};
pub use report::{CoverageError, CoverageReport, FileCoverage, LineRanges, MissingBranch, read_coverage};

#[cfg(test)]
mod recorded;
#[cfg(test)]
mod tests;
