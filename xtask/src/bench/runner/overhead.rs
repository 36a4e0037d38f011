use std::error::Error;
use std::fmt::Write as _;

use camino::Utf8Path;
use xshell::{Shell, cmd};

use crate::bench::contest::{Contender, contest, timed};
use crate::bench::tools::{Scratch, installed};

const ROUNDS: usize = 15;

/// N steps that only start `/bin/true`, at two jobs, against `make -j2` and against `just`, which knows no limit of jobs.
pub(super) fn trivial_steps(shell: &Shell, examples: &Utf8Path) -> Result<(), Box<dyn Error>> {
    let (ours, just) = (examples.join("trivial_steps"), installed(shell, "just")?);
    for steps in [1, 100, 200, 1000] {
        let folder = Scratch::new(shell)?;
        let (folder, count) = (folder.path.as_path(), steps.to_string());
        shell.write_file(folder.join("Makefile"), makefile(steps)?)?;
        shell.write_file(folder.join("justfile"), justfile(steps)?)?;
        let rounds = if steps > 100 { ROUNDS / 3 } else { ROUNDS };
        let title = format!("{steps} trivial process steps at two jobs (goal for 100: ratio at most 1.1)");
        let contenders = vec![
            Contender::new("make -j2", || timed(cmd!(shell, "make --silent -j2 --directory {folder}"))),
            Contender::new("just", || {
                timed(cmd!(shell, "{just} --quiet --working-directory {folder} --justfile {folder}/justfile"))
            }),
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

fn justfile(steps: usize) -> Result<String, std::fmt::Error> {
    let mut text = "[parallel]\nall:".to_owned();
    for step in 0..steps {
        write!(text, " step-{step}")?;
    }
    text.push('\n');
    for step in 0..steps {
        write!(text, "step-{step}:\n\t@/bin/true\n")?;
    }
    Ok(text)
}
