use std::error::Error;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use cicd_core::cli::Output;
use cicd_core::process::GRACE;
use xshell::{Shell, cmd};

use crate::bench::contest::{Contender, contest};
use crate::bench::tools::Scratch;

const ROUNDS: usize = 5;
/// The child has said that it ignores signals long before.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// The time from Ctrl-C to the end, with a child that ignores signals.
pub(super) fn stubborn_child(shell: &Shell, examples: &Utf8Path) -> Result<(), Box<dyn Error>> {
    let ours = examples.join("faulty");
    let folder = Scratch::new(shell)?;
    let folder = folder.path.as_path();
    shell.write_file(folder.join("Cargo.toml"), "[workspace]\n")?;
    let runs = folder.join("target/ci/runs");
    let mut left = 0;
    let contenders = vec![
        Contender::new("grace period", || Ok(GRACE.as_secs_f64() * 1e3)),
        Contender::new("cicd-core", || {
            shell.remove_path(folder.join("target"))?;
            let run = duct::cmd!(ours.as_std_path(), "ci", "--only", "ignores-signals")
                .dir(folder)
                .stdout_null()
                .stderr_null();
            let run = run.unchecked().start()?;
            wait_until(|| is_ready(shell, &runs))?;
            let pid = run.pids().first().ok_or("the run has no process")?.to_string();
            let asked = Instant::now();
            cmd!(shell, "kill -INT {pid}").quiet().run()?;
            run.wait()?;
            let time = asked.elapsed().as_secs_f64() * 1e3;
            left += started_below(folder)?;
            Ok(time)
        }),
    ];
    contest("from Ctrl-C to the end, a child ignoring signals (goal: grace + 50 ms)", "ms", ROUNDS, contenders)?;
    Output.say(&format!("  processes left: {left}\n"));
    Ok(())
}

/// Whether the child of the only run has said that it ignores signals.
fn is_ready(shell: &Shell, runs: &Utf8Path) -> bool {
    let Ok(runs) = shell.read_dir(runs) else { return false };
    let mut logs = runs.iter().map(|run| shell.read_file(run.join("steps/ignores-signals/log.txt")));
    logs.any(|log| log.is_ok_and(|log| log.contains("ready")))
}

fn wait_until(holds: impl Fn() -> bool) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    while !holds() {
        if started.elapsed() > START_PATIENCE {
            return Err("the child of the interrupted run did not start".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// How many processes carry the mark of a run in this folder.
fn started_below(folder: &Utf8Path) -> Result<usize, Box<dyn Error>> {
    let folder = folder.as_str().as_bytes();
    let mut count = 0;
    for entry in std::fs::read_dir("/proc")? {
        // A process may have ended since the folder was listed, and then it is not one that was left.
        let Ok(environment) = std::fs::read(entry?.path().join("environ")) else { continue };
        let mut variables = environment.split(|&byte| byte == 0);
        let marked = variables
            .any(|it| it.starts_with(b"CICD_CORE_PROCESS=") && it.windows(folder.len()).any(|part| part == folder));
        count += usize::from(marked);
    }
    Ok(count)
}
