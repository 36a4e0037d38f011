//! The scan of an image: what may be configured, the proof that Trivy looked, what it found, the step itself.

mod code;
mod findings;
mod misconfigurations;
mod outcome;
mod proof;
mod sources;
mod step;

pub use code::ScanCode;
pub use step::TrivyScan;
