//! `cargo xtask test kills`: SIGKILL at moments spread evenly over whole runs of this repository, and what the next run leaves.
//!
//! It takes most of an hour, so it is no part of `cargo xtask test`. Arguments are `NAME=NUMBER`: `ci=50`, `hooks=50` for how often
//! each is killed, and `each=5` for how many kills come before a run that is let end, after which nothing may be left.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::cli::Output;
use cicd_core::docker::{LABEL_BUILT_IN, LABEL_CHECKOUT, LABEL_RUN, checkout_id};
use cicd_core::model::ExitStatus;
use cicd_core::step::Workspace;
use xshell::{Shell, cmd};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What the engine keeps for runs, and how each is listed with its run.
const KEPT_BY_ENGINE: [&[&str]; 3] = [&["ps", "--all"], &["network", "ls"], &["volume", "ls"]];

/// How often, and how.
#[derive(Debug, Clone, Copy)]
struct Plan {
    ci: u32,
    hooks: u32,
    each: u32,
}

impl Plan {
    fn read(args: &[OsString]) -> Outcome<Self> {
        let mut plan = Self { ci: 50, hooks: 50, each: 5 };
        for arg in args {
            let text = arg.to_str().ok_or("an argument is not UTF-8")?;
            let (name, number) = text.split_once('=').ok_or_else(|| format!("{text:?} is not NAME=NUMBER"))?;
            let number = number.parse().map_err(|error| format!("{text:?}: {error}"))?;
            match name {
                "ci" => plan.ci = number,
                "hooks" => plan.hooks = number,
                "each" if number > 0 => plan.each = number,
                _ => return Err(format!("{text:?}: there are ci, hooks and each, which is at least 1").into()),
            }
        }
        Ok(plan)
    }
}

/// A command that is killed, and the one that comes after it and is let end.
struct Killed {
    command: &'static [&'static str],
    next: &'static [&'static str],
    area: &'static str,
    times: u32,
}

/// Kills `ci` and `hooks run`, and fails when anything is left.
pub(crate) fn run(workspace: &Workspace, args: &[OsString]) -> ExitStatus {
    let plan = match Plan::read(args) {
        Ok(plan) => plan,
        Err(error) => {
            Output.complain(&format!("error: {error}"));
            return ExitStatus::Usage;
        }
    };
    let hooks = Killed { command: &["hooks", "run"], next: &["hooks", "run"], area: "ci-hook", times: plan.hooks };
    // The step that looks at the engine is enough of a run to put away what earlier ones have left.
    let ci = Killed { command: &["ci"], next: &["ci", "--only", "readiness"], area: "ci", times: plan.ci };
    let left = [hooks, ci].iter().filter(|killed| killed.times > 0).try_fold(Vec::new(), |mut left, killed| {
        left.extend(Place::new(workspace, killed)?.kill_all(plan.each)?);
        Ok::<_, Box<dyn Error>>(left)
    });
    match left {
        Ok(left) if left.is_empty() => ExitStatus::Green,
        Ok(left) => {
            Output.complain(&format!("error: this was left:\n{}", left.join("\n")));
            ExitStatus::Failed
        }
        Err(error) => {
            Output.complain(&format!("error: {error}"));
            ExitStatus::Error
        }
    }
}

/// A clone of this repository, and a folder for temporary files that nothing else uses.
struct Place<'a> {
    killed: &'a Killed,
    shell: Shell,
    program: Utf8PathBuf,
    root: Utf8PathBuf,
    temporary: Utf8PathBuf,
    /// Removed with this value.
    _folder: xshell::TempDir,
}

impl<'a> Place<'a> {
    fn new(workspace: &Workspace, killed: &'a Killed) -> Outcome<Self> {
        let shell = Shell::new()?;
        let folder = shell.create_temp_dir()?;
        let path = Utf8PathBuf::try_from(folder.path().canonicalize()?)?;
        let (root, temporary) = (path.join("checkout"), path.join("temporary"));
        let origin = workspace.root();
        cmd!(shell, "git clone --quiet --no-hardlinks {origin} {root}").quiet().run()?;
        shell.create_dir(&temporary)?;
        shell.change_dir(&root);
        if killed.area == "ci-hook" {
            // Something to judge.
            let readme = root.join("README.md");
            shell.write_file(&readme, shell.read_file(&readme)? + "\n")?;
            cmd!(shell, "git add README.md").quiet().run()?;
        }
        let program = Utf8PathBuf::try_from(std::env::current_exe()?)?;
        Ok(Self { killed, shell, program, root, temporary, _folder: folder })
    }

    fn kill_all(&self, each: u32) -> Outcome<Vec<String>> {
        let name = self.killed.command.join(" ");
        let started = Instant::now();
        let exit = self.start(self.killed.command)?.wait()?.status;
        let whole = started.elapsed();
        Output.say(&format!("{name}: a run that is let end takes {:.1} s ({exit})\n", whole.as_secs_f32()));
        let mut left = self.left()?;
        for number in 0..self.killed.times {
            // Even over the run, in an order in which early and late moments take turns.
            let slot = (u64::from(number) * PRIME) % u64::from(self.killed.times);
            let moment = whole.mul_f64((f64::from(u32::try_from(slot)?) + 0.5) / f64::from(self.killed.times));
            let who = self.kill(moment, number)?;
            Output.say(&format!("{name}: kill {} after {:.1} s: {who}\n", number + 1, moment.as_secs_f32()));
            if (number + 1) % each == 0 || number + 1 == self.killed.times {
                let exit = self.start(self.killed.next)?.wait()?.status;
                let found = self.left()?;
                Output.say(&format!("{name}: after the next run ({exit}), left: {found:?}\n"));
                left.extend(found);
            }
        }
        Ok(left)
    }

    /// Kills a run: in turn the process that watches it, the runner, and both.
    fn kill(&self, moment: Duration, number: u32) -> Outcome<String> {
        let before = self.holder();
        let run = self.start(self.killed.command)?;
        let over = Instant::now() + moment;
        while Instant::now() < over && run.try_wait()?.is_none() {
            std::thread::sleep(POLL.min(over.saturating_duration_since(Instant::now())));
        }
        let watcher = run.pids().first().ok_or("the run has no process")?.to_string();
        // Before it has named itself, there is only the one that was started.
        let runner = self.holder().filter(|holder| before.as_ref() != Some(holder));
        let (who, pids) = match (number % 3, runner) {
            (1, Some(runner)) => ("the runner", vec![runner]),
            (2, Some(runner)) => ("both", vec![runner, watcher]),
            _ => ("the watcher", vec![watcher]),
        };
        if run.try_wait()?.is_some() {
            return Ok("it had ended".to_owned());
        }
        // One that has just ended is as good.
        let _ = cmd!(self.shell, "kill -KILL {pids...}").quiet().ignore_stderr().run();
        let end = run.wait()?.status;
        Ok(format!("{who} ({end})"))
    }

    fn start(&self, args: &[&str]) -> Outcome<duct::Handle> {
        let run = duct::cmd(self.program.as_std_path(), args).dir(&self.root).env("TMPDIR", &self.temporary);
        Ok(run.stdin_null().stdout_null().stderr_null().unchecked().start()?)
    }

    /// The process that holds the checkout, or did.
    fn holder(&self) -> Option<String> {
        let text = self.shell.read_file(self.root.join("target").join(self.killed.area).join("lock")).ok()?;
        Some(text.trim().rsplit(' ').next()?.to_owned())
    }

    /// Everything that is there and should not be.
    fn left(&self) -> Outcome<Vec<String>> {
        let mut left: Vec<String> = Vec::new();
        left.extend(self.shell.read_dir(&self.temporary)?.iter().map(|path| path.display().to_string()));
        left.extend(self.processes()?);
        let runs = self.runs()?;
        left.extend(runs.iter().filter(|run| !run.judged).map(|run| format!("{} has no summary", run.name)));
        for list in KEPT_BY_ENGINE {
            let format = format!("{{{{.ID}}}} {{{{.Label \"{LABEL_RUN}\"}}}}");
            let format = if list == ["volume", "ls"] { format.replace(".ID", ".Name") } else { format };
            let listed =
                cmd!(self.shell, "docker {list...} --filter label={LABEL_RUN} --format {format}").quiet().read()?;
            let ours = |line: &&str| runs.iter().any(|run| line.ends_with(&run.name));
            left.extend(listed.lines().filter(ours).map(|line| format!("{} {line}", list.join(" "))));
        }
        let checkout = checkout_id(&self.root)?;
        let format = format!("{{{{.Id}}}} {{{{index .Config.Labels \"{LABEL_BUILT_IN}\"}}}}");
        let listed =
            cmd!(self.shell, "docker image ls --quiet --filter label={LABEL_CHECKOUT}={checkout}").quiet().read()?;
        let images: BTreeSet<&str> = listed.lines().collect();
        if !images.is_empty() {
            let built = cmd!(self.shell, "docker image inspect --format {format} {images...}").quiet().read()?;
            let killed = |line: &&str| !runs.iter().any(|run| run.complete && line.ends_with(&run.name));
            left.extend(built.lines().filter(killed).map(|line| format!("image {line}")));
        }
        Ok(left)
    }

    /// What inherited the folder for temporary files, and so comes of a run here.
    fn processes(&self) -> Outcome<Vec<String>> {
        let ours = format!("TMPDIR={}", self.temporary);
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc")? {
            let path = entry?.path();
            // A process may have ended since the folder was listed, and one that has has no environment.
            let Ok(environment) = std::fs::read(path.join("environ")) else { continue };
            if environment.split(|&byte| byte == 0).any(|variable| variable == ours.as_bytes()) {
                let line = std::fs::read_to_string(path.join("cmdline")).unwrap_or_default();
                found.push(format!("process {} {}", path.display(), line.replace('\0', " ")));
            }
        }
        Ok(found)
    }

    fn runs(&self) -> Outcome<Vec<Run>> {
        let folder = self.root.join("target").join(self.killed.area).join("runs");
        let mut runs = Vec::new();
        for entry in folder.read_dir_utf8()? {
            let entry = entry?;
            let path: &Utf8Path = entry.path();
            let begun = std::fs::metadata(path.join("events.ndjson")).is_ok_and(|file| file.len() > 0);
            let text = self.shell.read_file(path.join("summary.json")).unwrap_or_default();
            let code = serde_json::from_str::<serde_json::Value>(&text).ok().and_then(|all| all["exit_code"].as_u64());
            let name = entry.file_name().to_owned();
            // One that ended by itself, whatever its verdict.
            let complete = code.is_some_and(|code| code < 128) && !text.contains("\"reason\": \"the runner ");
            runs.push(Run { name, judged: !begun || code.is_some(), complete });
        }
        Ok(runs)
    }
}

struct Run {
    name: String,
    /// Whether its record is there, if it has begun.
    judged: bool,
    complete: bool,
}

/// A prime larger than any count of kills that one waits for: its multiples visit every slot once, far from the one before.
const PRIME: u64 = 1_000_003;
/// How often it is looked whether a run has ended earlier than it was to be killed.
const POLL: Duration = Duration::from_millis(20);
