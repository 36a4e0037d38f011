//! Typed CI steps, composed in ordinary Rust and run by `cargo xtask ci`, the same on a laptop and in CI.
//!
//! # A pipeline from nothing
//!
//! A **step** is a value that says what is checked, with typed input and typed output. [`Pipeline::add`](pipeline::Pipeline::add)
//! wires it and gives the **handle** of its output; the next step takes the handle. So the order of a pipeline is its data flow:
//! a cycle cannot be written, and a step cannot be given the wrong thing.
//!
//! ```
//! use std::error::Error;
//!
//! use cicd_core::pipeline::Pipeline;
//! use cicd_core::process::Invocation;
//! use cicd_core::step::Workspace;
//! use cicd_core::steps::{DockerBuild, LicenseCheck, Push, TrivyDatabase, TrivyScan};
//!
//! fn pipeline(_: &Workspace) -> Result<Pipeline, Box<dyn Error>> {
//!     let mut ci = Pipeline::new("example");
//!
//!     // One-off glue is one line: the exit code is the verdict.
//!     ci.command("fmt", Invocation::tool("cargo").args(["fmt", "--check"]));
//!
//!     // Always built without a cache; there is no method that turns one on.
//!     let image = ci.add("image", DockerBuild::context("app"), ());
//!
//!     // A scan takes a fresh image and a database, and passes only on proof that it looked.
//!     let database = ci.add("database", TrivyDatabase::official(), ());
//!     let scanned = ci.add("trivy", TrivyScan::new().ignore_file("ci/.trivyignore"), (&image, &database));
//!     let licensed = ci.add("licenses", LicenseCheck::approved("ci/approved_dependencies.csv"), &image);
//!
//!     // Nothing else can be pushed than what every gate has looked at, in the same run.
//!     let cleared = ci.clear(&image, (&scanned, &licensed));
//!     ci.add("push", Push::to("registry.example.org/app"), &cleared);
//!     Ok(ci)
//! }
//! # pipeline(&Workspace::at("."))?.check()?;
//! # Ok::<(), Box<dyn Error>>(())
//! ```
//!
//! `fn main() -> ExitCode { cicd_core::cli::main(pipeline) }` makes a program of it, with `ci`, `plan`, `doctor`, `setup` and more.
//!
//! [`Cli::before_commit`](cli::Cli::before_commit) names a second, quicker pipeline that git runs on what is staged; see [`cli`].
//!
//! # What a verdict is
//!
//! `Err` from a step means *could not decide*; `Ok` means *looked*, with findings as data. One pure function,
//! [`policy::evaluate`], makes the verdict from findings, exceptions and a date. [`Status`](model::Status) has eight values,
//! because "passed", "passed with exceptions", "failed" and "could not look" are different news;
//! [`ExitStatus`](model::ExitStatus) is the one list of exit codes.
//!
//! # A step of your own
//!
//! Implement [`Step`](step::Step), or [`Scanner`](scan::Scanner) for a tool that searches files: the command line and the reading of
//! its report are then pure functions, to be tested on recorded output, and [`Scan`](scan::Scan) has what all scanners share.
//! Everything a step runs goes through
//! [`Context::run`](step::Context::run), which gives it a deadline, a process group of its own and a log with secrets removed.
//!
//! Every rule that a step relaxes takes a [`Justification`](policy::Justification): a reason, an owner and an expiry.
//!
//! # Features
//!
//! `load-test` (default): the load generator and the `LoadTest` step, with hdrhistogram. `dast` (default): the HTTP client and the
//! `Dast` step. Without both, hyper and tokio are not compiled.

pub mod cli;
pub mod docker;
pub mod doctor;
mod files;
pub mod formats;
#[cfg(any(doc, doctest))]
pub mod guide;
#[cfg(feature = "dast")]
pub mod http;
#[cfg(feature = "load-test")]
pub mod load;
pub mod model;
pub mod pipeline;
pub mod policy;
pub mod process;
pub mod python;
pub mod reporters;
pub mod scan;
pub mod setup;
pub mod source;
pub mod step;
pub mod steps;
pub mod trivy;
