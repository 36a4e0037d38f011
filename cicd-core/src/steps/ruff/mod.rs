//! The steps that run ruff: what may be configured and how its reports are read, the comments that ask it to say nothing, and the
//! settings that do.

mod comments;
mod depth;
mod report;
mod settings;
mod step;

pub use step::{RuffCode, RuffFormat, RuffFormatScanner, RuffLint, RuffLintScanner};
