use std::cell::Cell;
use std::error::Error;

use camino::Utf8Path;
use cicd_core::cli::Output;
use xshell::{Shell, cmd};

use crate::bench::contest::{Contender, contest, timed};
use crate::bench::tools::Scratch;

const ROUNDS: usize = 5;
const MEGABYTES: &str = "1024";
/// A secret that nothing prints.
const CANARY: &str = "canary-1b0f5c77e2d94a";

/// A step that prints 1 GiB, with a secret that is looked for in it and without, against `cat` writing the same to a file; and the
/// runner's highest use of memory.
pub(super) fn gigabyte(shell: &Shell, examples: &Utf8Path) -> Result<(), Box<dyn Error>> {
    let (ours, flood) = (examples.join("faulty"), examples.join("misbehave"));
    let folder = Scratch::new(shell)?;
    let folder = folder.path.as_path();
    shell.write_file(folder.join("Cargo.toml"), "[workspace]\n")?;
    let peak_kib = Cell::new(0_u64);
    let flooded = |step: &str, variable: &str| -> Result<f64, Box<dyn Error>> {
        let _inside = shell.push_dir(folder);
        let time = timed(cmd!(shell, "{ours} ci --only {step}").env(variable, CANARY).ignore_stderr())?;
        peak_kib.set(peak_kib.get().max(peak(&shell.read_file(folder.join("peak"))?)?));
        shell.remove_path(folder.join("target"))?;
        Ok(time)
    };
    let contenders = vec![
        Contender::new("cat > file", || {
            let script = r#""$0" flood "$1" | cat > "$2/file""#;
            let time = timed(cmd!(shell, "sh -c {script} {flood} {MEGABYTES} {folder}"))?;
            shell.remove_path(folder.join("file"))?;
            Ok(time)
        }),
        Contender::new("cicd-core", || flooded("flood", "NO_SECRET")),
        Contender::new("cicd-core, a secret", || flooded("flood-beside-a-secret", "CANARY")),
    ];
    contest("1 GiB of output through a step (goal: ratio at most 1.2)", "ms", ROUNDS, contenders)?;
    let peak_mib = peak_kib.get() >> 10;
    Output.say(&format!("  highest resident memory of the runner: {peak_mib} MiB (goal: at most 64)\n"));
    Ok(())
}

/// KiB from `VmHWM:    12345 kB`.
fn peak(line: &str) -> Result<u64, Box<dyn Error>> {
    Ok(line.split_whitespace().nth(1).ok_or("the example tells no peak of memory")?.parse()?)
}
