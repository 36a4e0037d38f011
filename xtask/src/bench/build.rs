use std::error::Error;
use std::time::Instant;

use cicd_core::cli::Output;
use xshell::{Shell, cmd};

/// What `cicd-core` costs those who import it: crates and clean build time, with and without each feature.
pub(super) fn features(shell: &Shell) -> Result<(), Box<dyn Error>> {
    Output.say("\ncrates and clean release build of cicd-core, by feature\n");
    let mut first = None;
    let format = "{p}";
    for (name, features) in [
        ("no features", &["--no-default-features"][..]),
        ("load-test (default)", &["--no-default-features", "--features", "load-test"]),
    ] {
        let tree = cmd!(
            shell,
            "cargo tree --package cicd-core {features...} --edges normal,build --prefix none --format {format}"
        )
        .quiet()
        .read()?;
        let mut crates: Vec<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
        crates.sort_unstable();
        crates.dedup();
        let target = shell.create_temp_dir()?;
        let target = target.path();
        cmd!(shell, "cargo fetch --quiet").quiet().run()?;
        let started = Instant::now();
        cmd!(shell, "cargo build --quiet --release --package cicd-core {features...} --target-dir {target}")
            .quiet()
            .run()?;
        let seconds = started.elapsed().as_secs_f64();
        let ratio = seconds / *first.get_or_insert(seconds);
        Output.say(&format!("  {name:28} {:>4} crates {seconds:>8.1} s      ratio {ratio:>5.2}\n", crates.len() - 1));
    }
    Ok(())
}
