//! Insecure Python: bandit's rules, and this repository's own for semgrep.

mod bandit;
mod examples;
mod semgrep;

pub use bandit::{BanditScanner, Sast};
pub use semgrep::{Semgrep, SemgrepScanner};
