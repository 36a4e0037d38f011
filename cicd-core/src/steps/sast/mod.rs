//! Insecure Python: bandit's rules, and this repository's own for semgrep.

mod bandit;
mod examples;
mod semgrep;

pub use bandit::{CodeSearched, Sast};
pub use semgrep::{RulesSearched, Semgrep};
