//! The search for secrets in the repository's files: how they are laid out for a tool, and what it found. Trivy's search is `step`.

mod contents;
mod export;
mod gitleaks;
mod judge;
mod picture;
mod searcher;
mod step;

pub use gitleaks::{Gitleaks, GitleaksScanner};
pub use judge::SecretCode;
pub use step::{SecretScan, SecretScanner};
