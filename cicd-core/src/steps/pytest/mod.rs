//! The tests of a Python project: how they are run and recorded, and what is judged about them.

mod code;
mod judge;
mod measurement;
mod options;
mod record;
mod step;
#[cfg(test)]
mod tests;

pub use code::PytestCode;
pub use step::Pytest;
