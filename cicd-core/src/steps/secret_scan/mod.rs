//! The search for secrets in the repository's files: what may be configured, how the files are laid out for Trivy, what it found.

mod export;
mod judge;
mod step;

pub use judge::SecretCode;
pub use step::{SecretScan, SecretScanner};
