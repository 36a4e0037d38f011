//! Floor 7: the command line that every `xtask` gets for free.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use cicd_core::pipeline::{GraphError, Pipeline};
//! use cicd_core::process::Invocation;
//! use cicd_core::step::Workspace;
//!
//! fn pipeline(_: &Workspace) -> Result<Pipeline, GraphError> {
//!     let mut ci = Pipeline::new("example");
//!     ci.command("fmt", Invocation::tool("cargo").args(["fmt", "--check"]));
//!     Ok(ci)
//! }
//!
//! fn main() -> ExitCode {
//!     cicd_core::cli::main(pipeline)
//! }
//! ```
//!
//! # Before a commit
//!
//! [`Cli::before_commit`] names a second pipeline, of steps that `ci` has too. `cargo xtask hooks install` has git run it before each
//! commit, `cargo xtask hooks run` runs it now, and any other hook manager can call the same command. It judges what is staged, laid
//! out in a folder of its own; the working tree and the index are not touched.

mod app;
mod args;
mod ci;
mod exceptions;
mod hooks;
mod inherited;
mod licenses;
mod link;
mod machine;
mod output;
mod reports;
mod show;
mod signals;
mod supervisor;

pub use app::{Cli, main};
pub use output::Output;
