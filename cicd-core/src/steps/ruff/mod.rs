//! The steps that run ruff: what may be configured and how its reports are read, and the comments that ask it to say nothing.

mod comments;
mod step;

pub use step::{PythonChecked, RuffCode, RuffFormat, RuffLint};
