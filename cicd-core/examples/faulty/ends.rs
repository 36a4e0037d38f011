//! Steps that end the runner's process, put another in its place, or kill the one that watches it.

#![expect(clippy::disallowed_methods, reason = "what no process of a run may do is what is tried here")]

use std::convert::Infallible;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, exit};
use std::time::Duration;

use cicd_core::pipeline::Pipeline;
use cicd_core::process::{Invocation, Secret, SecretSource};
use cicd_core::step::{Context, Outcome, Step, StepError, Workspace, step_fn};
use rustix::process::{Pid, Signal, getpid, getppid, kill_process};

type Does = fn(&Context) -> Result<(), StepError>;

const ENDS: &[(&str, Does)] = &[
    ("exits", |_| exit(0)),
    ("exits-thread", |_| {
        std::thread::spawn(|| exit(0));
        wait()
    }),
    ("aborts", |_| std::process::abort()),
    ("overflows", |_| {
        std::hint::black_box(depth(u64::MAX));
        wait()
    }),
    ("execs", |_| execs("true", &[])),
    ("execs-long", |_| execs("sleep", &["60"])),
    ("execs-itself", |_| execs("/proc/self/exe", &["ci", "--only", "fine"])),
    ("kills-itself", |_| {
        kill(Some(getpid()));
        wait()
    }),
    ("kills-parent", |cx| shell(cx, "kill -9 $PPID; sleep 60")),
    ("kills-watcher", |_| {
        kill(getppid());
        wait()
    }),
    ("kills-both", |cx| shell(cx, "kill -9 $(ps -o ppid= -p $PPID) $PPID; sleep 60")),
    ("writes-anywhere", |_| {
        for entry in fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
            let number = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            // The record is not the way; a hand that edits it is another matter. Nor is what cannot be written.
            if number.is_some_and(|number| number > 2)
                && fs::metadata(entry.path()).is_ok_and(|found| !found.is_file())
                && let Ok(mut file) = OpenOptions::new().write(true).open(entry.path())
            {
                let _ = file.write_all(b"verdict 0\n");
            }
        }
        exit(0)
    }),
];

/// Adds them all, and one that looks at what its processes inherit.
pub(crate) fn add(ci: &mut Pipeline) {
    for (name, does) in ENDS {
        let ends = |cx: &Context, ()| does(cx).map(|()| Outcome::of(()));
        ci.add(name, step_fn(ends), ());
    }
    let descriptors = step_fn(|cx, ()| {
        let list = ["-c", "ls -l /proc/$$/fd; :"];
        cx.run(&Invocation::tool("sh").args(list))?;
        let own = Command::new("sh").args(list).output().map_err(StepError::io("starting", "sh"))?;
        fs::write(cx.dir().join("own"), own.stdout).map_err(StepError::io("writing", "own"))?;
        Ok(Outcome::of(()))
    });
    ci.add("descriptors", descriptors, ());
    // It goes on when its step has ended, and ends the process when the record says how the run ended.
    let late = step_fn(|cx, ()| {
        let summary = cx.shared().dir.join("summary.json");
        std::thread::spawn(move || {
            while !summary.exists() {
                std::thread::sleep(Duration::from_millis(1));
            }
            exit(0)
        });
        let findings = (0..400).map(|number| super::finding(&format!("{number} {}", "long ".repeat(30))));
        Ok(Outcome::of(()).findings(findings))
    });
    ci.add("exits-late", late, ());
    // It goes on writing while the reports are written and the process ends.
    ci.add("writes-late", Leaves, ());
    ci.command("looks-up", Invocation::tool("sh").args(["-c", LOOKS_UP]));
    ci.command("escapes", Invocation::tool("python3").args(["-c", ESCAPES]).deadline(Duration::from_secs(1)));
    ci.command(
        "escapes-to-us",
        Invocation::tool("python3").args(["-c", ESCAPES_TO_US]).deadline(Duration::from_secs(1)),
    );
}

/// How often a secret stands in the environment of the process that started this one.
const LOOKS_UP: &str = "
seen=$(tr '\\0' '\\n' 2>/dev/null </proc/$PPID/environ | grep -c ^CANARY=)
echo seen: $seen
";

/// Leaves its process group, and its session not: what is sent to the group does not reach it.
const ESCAPES: &str = "
import os, time
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    time.sleep(60)
    os._exit(0)
os.setpgid(child, child)
os.setpgid(0, child)
time.sleep(60)
";

/// Enters the process group of whoever runs the step.
const ESCAPES_TO_US: &str = "
import os, time
os.setpgid(0, os.getpgid(os.getppid()))
time.sleep(60)
";

/// A step that leaves a thread which writes its secret wherever it can, until the process ends.
#[derive(Debug)]
struct Leaves;

impl Step for Leaves {
    type Input = ();
    type Output = ();

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        let (secret, run) = (cx.secret("CANARY")?, cx.shared().dir.clone());
        let (own, kept) = (cx.dir().to_owned(), cx.dir().join("kept"));
        fs::write(&kept, "nothing").map_err(StepError::io("writing", &kept))?;
        std::thread::spawn(move || {
            for number in 0_u64.. {
                let _ = fs::write(own.join(format!("late-{number}")), secret.expose());
                let _ = fs::create_dir_all(run.join(format!("steps/late-{number}-{}", secret.expose())));
                let _ = fs::write(&kept, secret.expose());
                let _ = fs::write(run.join("abandoned"), secret.expose());
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        Ok(Outcome::of(()))
    }

    fn secrets(&self) -> Vec<SecretSource> {
        vec!["CANARY".into()]
    }
}

/// A step whose secret is printed by a command that never ends, and that has started what leaves its session.
#[derive(Debug)]
struct Waits;

impl Step for Waits {
    type Input = ();
    type Output = ();

    fn run(&self, _: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        Ok(Outcome::of(()))
    }

    fn secrets(&self) -> Vec<SecretSource> {
        let line = "setsid sleep 300 & sleep 300";
        vec![Secret::command("never", Invocation::tool("sh").args(["-c", line]))]
    }
}

/// A pipeline with that step.
pub(crate) fn waiting(_: &Workspace) -> Result<Pipeline, Infallible> {
    let mut ci = Pipeline::new("waiting");
    ci.add("waits", Waits, ());
    Ok(ci)
}

/// A pipeline that is never made.
pub(crate) fn unmade(_: &Workspace) -> Result<Pipeline, Infallible> {
    exit(0)
}

/// The others are to be there when the process ends.
fn wait() -> Result<(), StepError> {
    std::thread::sleep(Duration::from_secs(60));
    Ok(())
}

fn kill(process: Option<Pid>) {
    if let Some(process) = process {
        let _ = kill_process(process, Signal::KILL);
    }
}

fn shell(cx: &Context, line: &str) -> Result<(), StepError> {
    cx.run_ok(&Invocation::tool("sh").args(["-c", line])).map(drop)
}

fn execs(program: &str, args: &[&str]) -> Result<(), StepError> {
    Err(StepError::io("starting", program)(Command::new(program).args(args).exec()))
}

#[expect(unconditional_recursion, reason = "a stack that overflows is what is being tested")]
fn depth(number: u64) -> u64 {
    std::hint::black_box(depth(std::hint::black_box(number) - 1)) + 1
}
