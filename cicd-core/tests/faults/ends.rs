//! Steps that end the process which runs them: the exit code is the runner's alone, and the record says what happened.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use camino::Utf8Path;
use cicd_core::pipeline::Summary;
use nix::sys::signal::{SigSet, Signal as Sent};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Fault, Place, Seen, code, contains, program, table};

/// What is killed is gone a moment later; a machine that does other things too takes longer.
const GONE_MAX: Duration = Duration::from_secs(20);
/// The least that a pipe holds.
const PIPE_BYTES: usize = 4096;
/// A secret of a step.
const CANARY: &str = "canary-8b1d5f2a90c7";
/// A user who owns nothing.
const SOMEBODY: u32 = 65_534;
const RUNS: &str = "target/ci/runs";

/// Runs the step, and requires the words in its record and on standard error.
fn ended(place: &Place, step: &str, words: &str) -> Seen {
    let output = place.run(&["ci", "--jobs", "1", "--only", step]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let reason = place.reason("ci", step);
    let summary = place.summary("ci");
    let why = summary.as_ref().and_then(|summary| summary.reason.clone()).unwrap_or_default();
    let seen = Seen::new(place, place.status("ci", step), code(output.status))
        .require(reason.contains("it was running when") && reason.contains(words), &format!("the step: {reason}"))
        .require(why.contains(words), &format!("the run: {why}"))
        .require(told.contains(words) && told.contains(&format!("{step} was running then")), &told)
        .require(summary.is_some_and(|summary| summary.exit_code == 3), "the record has another exit code");
    let next = code(place.run(&["ci", "--only", "fine"]).status);
    seen.require(next == 0, &format!("the next run ended with {next}"))
}

/// A step that ends the process beside one that fails.
fn beside_a_failure(place: &Place) -> Seen {
    let seen = ended(place, "exits", "exit code 0");
    let output = place.run(&["ci", "--jobs", "1", "--only", "code", "exits"]);
    let code_exit = code(output.status);
    seen.require(place.status("ci", "code") == "failed", "what had failed is not in the record")
        .require(code_exit == 3, &format!("beside a failure it ended with {code_exit}"))
}

/// The record says that it passed, or failed, and the process ends before it has said so itself.
fn after_the_record(place: &Place) -> Seen {
    let (mut read, write) = std::io::pipe().expect("a pipe");
    rustix::pipe::fcntl_setpipe_size(&write, PIPE_BYTES).expect("resized");
    let mut command = place.command(&["ci", "--only", "exits-late"]);
    let mut child = command.stdout(write).spawn().expect("started");
    drop(command);
    // Where the report is begun, it is longer than the pipe: the runner waits for a reader, who has seen enough, when the process
    // ends.
    while summaries(place).is_empty() && read.read(&mut [0; 512]).expect("readable") > 0 {}
    let mut told = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut told).expect("text");
    let exit = code(child.wait().expect("it ends"));
    let summary = summaries(place).pop().expect("a record");
    let reason = summary.reason.unwrap_or_default();
    Seen::new(place, summary.status.to_string(), exit)
        .require(reason.contains("before it gave a verdict (exit code 0)"), &format!("the record: {reason}"))
        .require(summary.exit_code == 3, "the record has another exit code")
        .require(told.contains("no step was running then"), &told)
}

fn summaries(place: &Place) -> Vec<Summary> {
    let runs = fs::read_dir(place.root.join(RUNS)).into_iter().flatten().flatten();
    let texts = runs.filter_map(|run| fs::read_to_string(run.path().join("summary.json")).ok());
    texts.map(|text| serde_json::from_str(&text).expect("a summary")).collect()
}

fn unmade(place: &Place) -> Seen {
    let output = place.run(&["unmade"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    Seen::new(place, if told.contains("no run had begun") { "told".to_owned() } else { told }, code(output.status))
}

/// No more than this test hands on itself.
fn descriptors(place: &Place) -> Seen {
    let output = place.run(&["ci", "--only", "descriptors"]);
    let log = String::from_utf8_lossy(&place.log("descriptors")).into_owned();
    let own = fs::read_to_string(place.root.join("target/ci/latest/steps/descriptors/own")).expect("a list");
    let plain = Command::new("sh").args(["-c", "ls -l /proc/$$/fd; :"]).output().expect("sh is installed");
    let numbers = |list: &str| -> Vec<String> {
        let entries = list.lines().filter_map(|line| line.split_once(" -> "));
        entries.filter_map(|(entry, _)| entry.rsplit(' ').next().map(str::to_owned)).collect()
    };
    let expected = numbers(&String::from_utf8_lossy(&plain.stdout));
    let strange = |list: &str| numbers(list) != expected || list.contains("socket:");
    Seen::new(place, place.status("ci", "descriptors"), code(output.status))
        .require(!strange(&log), &log)
        .require(!strange(&own), &own)
}

/// What is killed from outside, and which exit code comes of it.
#[derive(Clone, Copy)]
enum Target {
    Watcher,
    Runner,
    Both,
}

fn killed(place: &Place, target: Target) -> Seen {
    let mut child = place.start(&["ci", "--only", "ignores-signals"]);
    let until = Instant::now() + GONE_MAX;
    while place.processes().is_empty() {
        assert!(Instant::now() < until, "the step did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    let watcher = Pid::from_raw(i32::try_from(child.id()).expect("a number")).expect("not zero");
    let runner = runner(place);
    let kill = |pid| kill_process(pid, Signal::KILL).expect("it runs");
    match target {
        Target::Watcher => kill(watcher),
        Target::Runner => kill(runner),
        Target::Both => [runner, watcher].into_iter().for_each(kill),
    }
    let exit = code(child.wait().expect("it ends"));
    // Whatever was killed, the next run finds the checkout free and puts away what is left.
    let next = place.run(&["ci", "--only", "fine"]);
    let told = String::from_utf8_lossy(&next.stderr).into_owned();
    let first = summaries(place).into_iter().min_by_key(|summary| summary.started_at).expect("a record");
    let stat = fs::read_to_string(format!("/proc/{}/stat", runner.as_raw_nonzero())).unwrap_or_default();
    // One that nobody has asked yet how it ended has ended.
    let lives = stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']));
    Seen::new(place, first.status.to_string(), exit)
        .require(code(next.status) == 0, &told)
        .require(!lives, "the runner outlived the one that watched it")
}

/// The process that holds the checkout names itself.
fn runner(place: &Place) -> Pid {
    let holder = fs::read_to_string(place.root.join("target/ci/lock")).expect("a holder");
    let pid = holder.trim().rsplit(' ').next().and_then(|pid| pid.parse().ok());
    Pid::from_raw(pid.expect("a number")).expect("not zero")
}

/// What a command that prints a secret has started is ended by the next run, whatever session it is in.
fn killed_in_a_secret(place: &Place) -> Seen {
    let mut child = place.start(&["waiting"]);
    let until = Instant::now() + GONE_MAX;
    while !place.processes().iter().any(|line| line.contains(": sleep 300")) {
        assert!(Instant::now() < until, "the command did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("it runs");
    let killed = code(child.wait().expect("it ends"));
    let survived = !place.processes().is_empty();
    let output = place.run(&["ci", "--only", "fine"]);
    Seen::new(place, place.status("ci", "fine"), code(output.status))
        .require(killed == 137, &format!("it ended with {killed}"))
        .require(survived, "there was nothing for the next run to end")
}

/// A step that kills the process which watches its own.
fn kills_the_watcher(place: &Place, step: &str) -> Seen {
    let output = place.run(&["ci", "--only", step]);
    let next = place.run(&["ci", "--only", "fine"]);
    let first = summaries(place).into_iter().min_by_key(|summary| summary.started_at).expect("a record");
    Seen::new(place, first.status.to_string(), code(output.status))
        .require(code(next.status) == 0, &String::from_utf8_lossy(&next.stderr))
}

/// A thread of a step goes on writing its secret when secrets were removed for the last time.
fn written_late(place: &Place) -> Seen {
    let output = place.command(&["ci", "--only", "writes-late"]).env("CANARY", CANARY).output().expect("started");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let reason = place.summary("ci").and_then(|summary| summary.reason).unwrap_or_default();
    let clear = files_with(&place.root.join(RUNS), CANARY);
    let next = code(place.run(&["ci", "--only", "fine"]).status);
    Seen::new(place, if clear.is_empty() { "hidden".to_owned() } else { format!("{clear:?}") }, code(output.status))
        .require(told.contains("changed after secrets were removed from it"), &told)
        .require(reason.contains("changed after secrets were removed from it"), &reason)
        .require(!place.root.join("target/ci/latest/abandoned").exists(), "what was written beside the record is there")
        .require(next == 0, &format!("the next run ended with {next}"))
}

/// The names in a folder that have this in them, or in what they hold.
fn files_with(folder: &Utf8Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in folder.read_dir_utf8().expect("a folder").map(|entry| entry.expect("an entry").into_path()) {
        let name = entry.to_string();
        if name.contains(text) || (entry.is_file() && contains(&fs::read(&entry).expect("a file"), text.as_bytes())) {
            found.push(name);
        }
        // A link leads to another place that is looked at, or to none of ours.
        if entry.is_dir() && !entry.is_symlink() {
            found.extend(files_with(&entry, text));
        }
    }
    found
}

/// What stands in the environment of the runner is nothing that processes of its user can read; of root nothing is hidden, so that
/// root becomes somebody else here.
fn looked_up(_: &Place) -> Seen {
    let place = &Place::open_to_all();
    let own = place.root.join("faulty");
    // A program that this process has open for writing could not be started.
    let copied = Command::new("cp").args([&program("faulty"), &own]).status().expect("cp is installed");
    assert!(copied.success(), "it is not copied");
    let mut command = Command::new(&own);
    command.args(["ci", "--only", "looks-up"]).current_dir(&place.root).env("CANARY", CANARY).stdin(Stdio::null());
    let log = || String::from_utf8_lossy(&place.log("looks-up")).into_owned();
    if rustix::process::geteuid().is_root() {
        fs::set_permissions(&place.root, fs::Permissions::from_mode(0o755)).expect("set");
        std::os::unix::fs::chown(&place.root, Some(SOMEBODY), Some(SOMEBODY)).expect("given");
        command.output().expect("started");
        assert!(log().contains("seen: 1"), "root sees all: {}", log());
        fs::remove_dir_all(place.root.join("target")).expect("removed");
        command.uid(SOMEBODY).gid(SOMEBODY).env("HOME", &place.root);
    }
    let output = command.output().expect("started");
    Seen::new(place, place.status("ci", "looks-up"), code(output.status)).require(log().contains("seen: 0"), &log())
}

/// Whoever starts a run may have blocked what it is to be told by.
fn blocked(place: &Place) -> Seen {
    let before = SigSet::thread_get_mask().expect("a mask");
    let both = SigSet::from_iter([Sent::SIGINT, Sent::SIGTERM]);
    both.thread_block().expect("blocked");
    let child = place.start(&["ci", "--only", "ignores-signals"]);
    before.thread_set_mask().expect("as before");
    interrupted(place, child)
}

/// Sends SIGINT to the watcher once a process of the step runs.
fn interrupted(place: &Place, mut child: Child) -> Seen {
    let until = Instant::now() + GONE_MAX;
    while place.processes().is_empty() {
        assert!(Instant::now() < until, "the step did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    let watcher = Pid::from_raw(i32::try_from(child.id()).expect("a number")).expect("not zero");
    kill_process(watcher, Signal::INT).expect("it runs");
    let until = Instant::now() + GONE_MAX;
    let exit = loop {
        match child.try_wait().expect("it is ours") {
            Some(exit) => break exit,
            None if Instant::now() > until => child.kill().expect("it runs"),
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    Seen::new(place, place.status("ci", "ignores-signals"), code(exit))
}

/// Whoever starts a run may throw away how children end.
fn forgotten(place: &Place) -> Seen {
    let program = program("faulty");
    let mut shell = Command::new("sh");
    let line = format!("trap '' CHLD; exec {program} ci --only fine code");
    let output = shell.args(["-c", &line]).current_dir(&place.root).stdin(Stdio::null()).output().expect("started");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    Seen::new(place, place.status("ci", "code"), code(output.status))
        .require(place.status("ci", "fine") == "passed", &told)
        .require(!told.contains("No child processes"), &told)
}

/// A run that is killed leaves its temporary folder, and the next one may have another place for its own.
fn elsewhere(place: &Place) -> Seen {
    let folder = place.root.join("elsewhere");
    fs::create_dir(&folder).expect("made");
    let mut command = place.command(&["ci", "--only", "ignores-signals"]);
    let mut child =
        command.env("TMPDIR", &folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let until = Instant::now() + GONE_MAX;
    while place.processes().is_empty() {
        assert!(Instant::now() < until, "the step did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    let left = || fs::read_dir(&folder).expect("there").count();
    let made = left();
    [runner(place), Pid::from_raw(i32::try_from(child.id()).expect("a number")).expect("not zero")]
        .into_iter()
        .for_each(|pid| kill_process(pid, Signal::KILL).expect("it runs"));
    child.wait().expect("it ends");
    let next = place.run(&["ci", "--only", "fine"]);
    Seen::new(place, place.status("ci", "fine"), code(next.status))
        .require(made == 1, &format!("{made} temporary folders while it ran"))
        .require(left() == 0, "its temporary folder is still there")
}

fn timed_out(place: &Place, step: &str) -> Seen {
    let exit = code(place.run(&["ci", "--only", step]).status);
    let reason = place.reason("ci", step);
    Seen::new(place, place.status("ci", step), exit).require(reason.contains("timed out"), &reason)
}

const ENDS: &[Fault] = &[
    Fault { name: "a thread writes when all is over", status: "hidden", exit: 3, run: written_late },
    Fault { name: "the environment of the runner", status: "passed", exit: 0, run: looked_up },
    Fault { name: "SIGINT and SIGTERM blocked from outside", status: "cancelled", exit: 130, run: blocked },
    Fault { name: "SIGCHLD ignored from outside", status: "failed", exit: 1, run: forgotten },
    Fault { name: "SIGKILL of a run with another TMPDIR", status: "passed", exit: 0, run: elsewhere },
    Fault {
        name: "a process that leaves its group, at its deadline",
        status: "error",
        exit: 3,
        run: |place| timed_out(place, "escapes"),
    },
    Fault {
        name: "a process in the runner's group, at its deadline",
        status: "error",
        exit: 3,
        run: |place| timed_out(place, "escapes-to-us"),
    },
    Fault { name: "exit(0) from a step", status: "error", exit: 3, run: beside_a_failure },
    Fault {
        name: "exit(0) from a thread of a step",
        status: "error",
        exit: 3,
        run: |place| ended(place, "exits-thread", "exit code 0"),
    },
    Fault { name: "exit(0) once the record is written", status: "error", exit: 3, run: after_the_record },
    Fault { name: "exit(0) before there is a pipeline", status: "told", exit: 3, run: unmade },
    Fault {
        name: "a step aborts",
        status: "error",
        exit: 3,
        run: |place| ended(place, "aborts", "(SIGABRT): a step aborted"),
    },
    Fault {
        name: "a step overflows its stack",
        status: "error",
        exit: 3,
        run: |place| ended(place, "overflows", "(SIGABRT): a step aborted"),
    },
    Fault {
        name: "exec from a step, of what ends at once",
        status: "error",
        exit: 3,
        run: |place| ended(place, "execs", "exec"),
    },
    Fault {
        name: "exec from a step, of what goes on",
        status: "error",
        exit: 3,
        run: |place| ended(place, "execs-long", "in the place of the runner (exec of "),
    },
    Fault {
        name: "exec from a step, of a green run",
        status: "error",
        exit: 3,
        run: |place| {
            let output = place.run(&["ci", "--only", "execs-itself"]);
            let first = summaries(place).into_iter().min_by_key(|summary| summary.started_at).expect("a record");
            Seen::new(place, first.status.to_string(), code(output.status))
        },
    },
    Fault {
        name: "a step kills its own process",
        status: "error",
        exit: 3,
        run: |place| ended(place, "kills-itself", "(SIGKILL)"),
    },
    Fault {
        name: "a step's process kills its parent",
        status: "error",
        exit: 3,
        run: |place| ended(place, "kills-parent", "(SIGKILL)"),
    },
    Fault {
        name: "a step kills the watcher",
        status: "cancelled",
        exit: 137,
        run: |place| kills_the_watcher(place, "kills-watcher"),
    },
    Fault {
        name: "a step's process kills watcher and runner",
        status: "cancelled",
        exit: 137,
        run: |place| kills_the_watcher(place, "kills-both"),
    },
    Fault {
        name: "verdicts into every descriptor, then exit(0)",
        status: "error",
        exit: 3,
        run: |place| ended(place, "writes-anywhere", "exit code 0"),
    },
    Fault { name: "SIGKILL while a command prints a secret", status: "passed", exit: 0, run: killed_in_a_secret },
    Fault { name: "descriptors of a step's processes", status: "passed", exit: 0, run: descriptors },
    Fault {
        name: "SIGKILL of the watcher",
        status: "cancelled",
        exit: 137,
        run: |place| killed(place, Target::Watcher),
    },
    Fault { name: "SIGKILL of the runner", status: "error", exit: 3, run: |place| killed(place, Target::Runner) },
    Fault { name: "SIGKILL of both", status: "cancelled", exit: 137, run: |place| killed(place, Target::Both) },
];

#[test]
fn steps_that_end_the_process_that_runs_them() {
    table("ends of the runner", ENDS, Place::new);
}
