use std::error::Error;

use cicd_core::cli::Output;
use xshell::{Shell, cmd};

use super::contest::{Contender, contest, timed};

const ROUNDS: usize = 5;
/// How many entries the ignore file has that is linted.
const ENTRIES: &str = "10000";
/// How often, after once to warm up.
const LINTS: &str = "21";

/// What somebody waits for at every commit: the lint of ignore files, and the whole hook. Both goals are absolute.
pub(super) fn waits(shell: &Shell) -> Result<(), Box<dyn Error>> {
    cmd!(shell, "cargo build --quiet --release --package cicd-core --example lint_ignores").run()?;
    let lint = shell.current_dir().join("target/release/examples/lint_ignores");
    let median = cmd!(shell, "{lint} {ENTRIES} {LINTS}").quiet().read()?;
    Output.say(&format!(
        "\nlint of an ignore file (median of {LINTS}, goal: below 50 ms)\n  {ENTRIES} entries {median:>25} ms\n"
    ));
    cmd!(shell, "cargo xtask hooks run").quiet().ignore_stdout().run()?;
    let hook = Contender::new("cargo xtask hooks run", || timed(cmd!(shell, "cargo xtask hooks run")));
    contest("what is staged, judged before a commit (goal: below 2000 ms)", "ms", ROUNDS, vec![hook])
}
