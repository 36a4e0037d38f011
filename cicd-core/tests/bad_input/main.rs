//! Bad input, row by row: what is wrong, and the code or the error that has to come of it. No row may be green, panic or take more
//! than 512 MiB; each table has a row of good input, which has to be green, or the table would show nothing.
//!
//! The step is run whole, with a program in place of Trivy that gives a recorded report. Damaged databases, images that cannot be
//! judged and hostile configuration are in `docker_trivy.rs`, with the real Trivy; processes that misbehave are in `faults/`.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod files;
mod ignore_files;
mod place;
mod reports;
mod tools;
