//! The load test: what may be configured, what it can find, and the two steps: against an image and against an address.

mod against;
mod builder;
mod judge;
mod step;

pub use against::LoadAgainst;
pub use builder::{InvalidLoadTest, LoadTestBuilder};
pub use judge::{JudgedRule, LoadTestCode};
pub use step::{LoadReport, LoadTest};
