//! HTTP checks of a running container: what may be asked, what it can find, the requests, and the judgement of the answers.

mod builder;
mod code;
mod headers;
mod judge;
mod leaks;
mod probe;
mod step;
#[cfg(test)]
mod tests;

pub use builder::{DastBuilder, Field, InvalidDast};
pub use code::DastCode;
pub use step::{Answered, Dast, DastReport};
