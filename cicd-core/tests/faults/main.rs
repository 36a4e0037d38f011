//! What goes wrong on real machines, each made to happen in a whole run of a program: how the run ends, and what is left.
//!
//! `cargo xtask faults` runs all of it and shows the tables.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::disallowed_methods, reason = "the program that starts processes is what is being tested")]

mod canary;
mod disk;
mod docker;
mod ends;
mod engine;
mod process;
mod retries;
mod run;
mod support;
mod unwinds;
