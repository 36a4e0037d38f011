use std::cell::Cell;
use std::error::Error;

use camino::Utf8Path;
use xshell::{Shell, cmd};

use crate::bench::contest::{Contender, contest};
use crate::bench::tools::Scratch;

const ROUNDS: usize = 5;

/// A graph of sleeping steps: wall time against what no runner can be faster than.
pub(super) fn critical_path(shell: &Shell, examples: &Utf8Path) -> Result<(), Box<dyn Error>> {
    let ours = examples.join("sleeping_steps");
    for jobs in ["16", "3"] {
        let folder = Scratch::new(shell)?;
        let folder = folder.path.as_path();
        let run = || -> Result<(f64, f64), Box<dyn Error>> {
            let times = cmd!(shell, "{ours} {folder} {jobs}").quiet().read()?;
            let (wall, bound) = times.split_once(' ').ok_or("the example prints two times")?;
            Ok((wall.parse()?, bound.parse()?))
        };
        // The runner learns how long steps take from the run before.
        let bound = Cell::new(run()?.1);
        let title = format!("a graph of 40 sleeps at {jobs} jobs (goal: ratio at most 1.05)");
        let contenders = vec![
            Contender::new("lower bound", || Ok(bound.get())),
            Contender::new("cicd-core", || {
                let (wall, least) = run()?;
                bound.set(least);
                Ok(wall)
            }),
        ];
        contest(&title, "ms", ROUNDS, contenders)?;
    }
    Ok(())
}
