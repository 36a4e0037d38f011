//! What the pipeline must refuse, done to a copy of this repository and run for real.
//!
//! Each scenario runs the step it is about and what that needs, with the real Docker engine and the real tools. They take
//! turns: two image builds at a time would only wait for each other.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "scenarios change the environment of the runs they start")]

mod checkout;
mod could_not_look;
mod flipped;
mod found_something;
mod planted;
mod tools;
