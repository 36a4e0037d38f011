//! Whether the machine is fit for what follows.

mod code;
mod disk;
mod port;
mod step;

pub use code::ReadinessCode;
pub use step::{Readiness, Ready};
