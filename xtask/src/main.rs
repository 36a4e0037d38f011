//! This repository's own use of `cicd-core`: `cargo xtask ci`.

mod bench;
mod faults;
mod kills;
mod own_tests;
mod pipeline;

use std::process::ExitCode;

use cicd_core::cli::Cli;

const KILLS: &str =
    "Kill runs of this repository at every moment, and look at what the next run leaves; takes most of an hour";
const FAULTS: &str = "Make everything go wrong that goes wrong on real machines, and show what comes of it";

fn main() -> ExitCode {
    Cli::new(pipeline::flask_app)
        .before_commit(pipeline::before_commit)
        .pipeline("dev", "Build the image with the cache, for the inner loop", pipeline::dev)
        .pipeline("test", "Run the project's own tests, a whole run of `ci` among them", own_tests::own_tests)
        .command("faults", FAULTS, faults::run)
        .command("test faults", FAULTS, faults::run)
        .command("test kills", KILLS, kills::run)
        .command("bench", "Measure the library against other tools, side by side", bench::run)
        .main()
}
