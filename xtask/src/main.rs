//! This repository's own use of `cicd-core`: `cargo xtask ci`.

mod bench;
mod pipeline;

use std::process::ExitCode;

use cicd_core::cli::Cli;

fn main() -> ExitCode {
    Cli::new(pipeline::flask_app)
        .command("bench", "Measure the library against other tools, side by side", bench::run)
        .main()
}
