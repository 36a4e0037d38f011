//! This repository's own use of `cicd-core`: `cargo xtask ci`.

mod pipeline;

use std::process::ExitCode;

fn main() -> ExitCode {
    cicd_core::cli::main(pipeline::flask_app)
}
