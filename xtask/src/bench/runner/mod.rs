//! What the runner costs: per step, against the critical path, per byte of output, and until it has ended after Ctrl-C.

mod interrupt;
mod output;
mod overhead;
mod sleeps;

use std::error::Error;

use xshell::{Shell, cmd};

use super::tools::here;

/// All four, in one run.
pub(super) fn all(shell: &Shell) -> Result<(), Box<dyn Error>> {
    cmd!(shell, "cargo build --quiet --profile measured --package cicd-core --examples").run()?;
    let examples = here(shell)?.join("target/measured/examples");
    overhead::trivial_steps(shell, &examples)?;
    sleeps::critical_path(shell, &examples)?;
    output::gigabyte(shell, &examples)?;
    interrupt::stubborn_child(shell, &examples)
}
