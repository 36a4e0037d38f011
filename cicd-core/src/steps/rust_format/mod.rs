//! The step that runs rustfmt: what may be configured, how its report is read, and the attributes that it obeys.

mod disturbed;
mod elsewhere;
mod settings;
mod skips;
mod step;

pub use step::{RustFormat, RustFormatCode, RustFormatScanner};
