use std::error::Error;
use std::fmt::Write as _;
use std::time::Instant;

use xshell::{Shell, cmd};

use super::contest::{Contender, contest};

const ROUNDS: usize = 15;

/// What the runner costs: N steps that only start `/bin/true`, at two jobs, against `make -j2`.
pub(super) fn overhead(shell: &Shell) -> Result<(), Box<dyn Error>> {
    cmd!(shell, "cargo build --quiet --release --package cicd-core --example trivial_steps").run()?;
    let ours = shell.current_dir().join("target/release/examples/trivial_steps");
    for steps in [1, 100, 1000] {
        let folder = shell.create_temp_dir()?;
        let (folder, count) = (folder.path(), steps.to_string());
        shell.write_file(folder.join("Makefile"), makefile(steps)?)?;
        let rounds = if steps > 100 { ROUNDS / 3 } else { ROUNDS };
        let title = format!("{steps} trivial process steps at two jobs (goal for 100: ratio at most 1.1)");
        let contenders = vec![
            Contender::new("make -j2", || timed(cmd!(shell, "make --silent -j2 --directory {folder}"))),
            Contender::new("cicd-core", || timed(cmd!(shell, "{ours} {folder} {count} /bin/true"))),
        ];
        contest(&title, "ms", rounds, contenders)?;
    }
    Ok(())
}

fn makefile(steps: usize) -> Result<String, std::fmt::Error> {
    let mut text = "all:".to_owned();
    for step in 0..steps {
        write!(text, " step-{step}")?;
    }
    text.push('\n');
    for step in 0..steps {
        write!(text, "step-{step}:\n\t@/bin/true\n")?;
    }
    Ok(text)
}

/// How long a command takes, in milliseconds.
pub(super) fn timed(command: xshell::Cmd<'_>) -> Result<f64, Box<dyn Error>> {
    let command = command.quiet().ignore_stdout();
    let started = Instant::now();
    command.run()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}
