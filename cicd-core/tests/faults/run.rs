//! What can go wrong around the steps of a run: signals, disks, folders, clocks and other runs.

use std::fs;
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use cicd_core::pipeline::Summary;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Fault, Place, Seen, code, program, table};

/// CI systems kill everything some seconds after the first signal.
const INTERRUPTED_MAX: Duration = Duration::from_secs(5);
/// A second signal leaves no time but for the record; without hurry, a step that hears nothing is given 4.5 s.
const HURRIED_MAX: Duration = Duration::from_secs(3);
/// How often the runner is killed at a random moment; `docker` does it ten times more, with containers.
const KILLS: u32 = 40;
/// A run of these steps is well under way by then.
const KILLED_WITHIN_MS: u32 = 500;

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("not zero");
    kill_process(pid, signal).expect("it runs");
}

/// Waits until the step of a run that was just started has its process.
fn wait_for_process(place: &Place) {
    let until = Instant::now() + Duration::from_secs(20);
    while place.processes().is_empty() {
        assert!(Instant::now() < until, "the step did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    // It sets its signal handlers after it has started.
    std::thread::sleep(Duration::from_millis(200));
}

/// Waits until the step of a run that was just started has begun; it starts no process.
fn wait_for_start(place: &Place) {
    let until = Instant::now() + Duration::from_secs(20);
    let runs = place.root.join("target/ci/runs");
    let begun = |run: fs::DirEntry| fs::read_to_string(run.path().join("events.ndjson")).ok();
    let all = || fs::read_dir(&runs).into_iter().flatten().flatten().filter_map(begun).collect::<String>();
    while !all().contains("step_started") {
        assert!(Instant::now() < until, "the step did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn interrupted(place: &Place, step: &str, signals: &[Signal], max: Duration) -> Seen {
    let child = place.start(&["ci", "--only", step]);
    if step == "stuck" {
        wait_for_start(place);
    } else {
        wait_for_process(place);
    }
    told_to_stop(place, child, signals, max)
}

/// A run whose output fills a pipe that nobody reads.
fn interrupted_unread(place: &Place) -> Seen {
    let (unread, writer) = std::io::pipe().expect("a pipe");
    let mut command = place.command(&["ci", "--only", "flood", "--verbose"]);
    let child = command.stdout(writer.try_clone().expect("a copy")).stderr(writer).spawn().expect("started");
    wait_for_process(place);
    let seen = told_to_stop(place, child, &[Signal::INT, Signal::INT], HURRIED_MAX);
    drop(unread);
    seen
}

fn told_to_stop(place: &Place, mut child: Child, signals: &[Signal], max: Duration) -> Seen {
    let started = Instant::now();
    for &each in signals {
        signal(&child, each);
        std::thread::sleep(Duration::from_millis(100));
    }
    let exit = loop {
        if let Some(exit) = child.try_wait().expect("it ends") {
            break exit;
        }
        if started.elapsed() > 4 * max {
            child.kill().expect("it runs");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = started.elapsed();
    let seen = newest_summary(place).map_or_else(
        || Seen::new(place, "no report", code(exit)),
        |text| {
            let summary: Summary = serde_json::from_str(&text).expect("a summary");
            let (recorded, exit) = (i32::from(summary.exit_code), code(exit));
            Seen::new(place, summary.status.to_string(), exit)
                .require(recorded == exit, &format!("the record says that it exits with {recorded}"))
        },
    );
    seen.require(took < max, &format!("it took {took:?}"))
}

fn newest_summary(place: &Place) -> Option<String> {
    let mut runs: Vec<_> = fs::read_dir(place.root.join("target/ci/runs")).ok()?.flatten().collect();
    runs.sort_by_key(fs::DirEntry::file_name);
    fs::read_to_string(runs.last()?.path().join("summary.json")).ok()
}

/// Kills the runner at moments that differ from run to run, then looks at what the next run makes of it.
fn killed(place: &Place) -> Seen {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").subsec_nanos();
    let mut seen = Seen { status: String::new(), exit: 0, wrong: Vec::new(), left: 0, containers: None };
    let temporary = place.root.join("temporary");
    fs::create_dir(&temporary).expect("made");
    for round in 0..KILLS {
        let mut command = place.command(&["ci", "--only", "ignores-signals", "session-silent", "fine"]);
        command.env("TMPDIR", &temporary).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("started");
        let moment =
            (seed.wrapping_mul(2_654_435_761).wrapping_add(round.wrapping_mul(0x9E37_79B9)) >> 8) % KILLED_WITHIN_MS;
        std::thread::sleep(Duration::from_millis(u64::from(moment)));
        child.kill().expect("it runs");
        child.wait().expect("it ended");
    }
    let output = place.command(&["ci", "--only", "fine"]).env("TMPDIR", &temporary).output().expect("started");
    seen.wrong.extend(fs::read_dir(&temporary).expect("a folder").flatten().map(|left| format!("{:?}", left.path())));
    seen.exit = code(output.status);
    seen.status = place.status("ci", "fine");
    let left = place.left_over();
    seen.left = left.len();
    seen.wrong.extend(left);
    let begun = |run: &fs::DirEntry| fs::metadata(run.path().join("events.ndjson")).is_ok_and(|file| file.len() > 0);
    let runs = fs::read_dir(place.root.join("target/ci/runs")).expect("runs").flatten();
    let unmarked = runs.filter(begun).filter(|run| !run.path().join("summary.json").exists()).count();
    seen.require(unmarked == 0, &format!("{unmarked} interrupted runs are not marked"))
}

/// Runs a shell line in which `$FAULTY` is the program; what the line prints last is the exit code.
fn shell(place: &Place, line: &str) -> (String, i32) {
    let mut command = Command::new("bash");
    command.args(["-c", line]).current_dir(&place.root).env("FAULTY", program("faulty")).stdin(Stdio::null());
    let output = command.output().expect("bash is installed");
    let shown = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let exit = String::from_utf8_lossy(&output.stdout).lines().last().and_then(|line| line.trim().parse().ok());
    (shown, exit.unwrap_or(-1))
}

fn told(shown: &str, text: &str) -> String {
    if shown.contains("panicked") {
        format!("panicked: {shown}")
    } else if shown.contains(text) {
        "told".to_owned()
    } else {
        format!("not told: {shown}")
    }
}

/// A disk of this size below `target`, in a name space of its own that goes away with the shell.
fn tiny_disk(place: &Place, kibibytes: u32, step: &str) -> Seen {
    fs::create_dir(place.root.join("target")).expect("made");
    let line = format!(
        "unshare --user --map-root-user --mount bash -c 'mount -t tmpfs -o size={kibibytes}k none target && $FAULTY ci --only {step}; echo $?'"
    );
    let (shown, exit) = shell(place, &line);
    Seen::new(place, told(&shown, "No space left on device"), exit)
}

fn two_at_once(place: &Place) -> Seen {
    let mut first = place.start(&["ci", "--only", "ignores-signals"]);
    wait_for_process(place);
    let second = place.run(&["ci", "--only", "fine"]);
    let still = !place.processes().is_empty();
    signal(&first, Signal::TERM);
    first.wait().expect("it ends");
    let status = told(&String::from_utf8_lossy(&second.stderr), "another run holds this checkout");
    Seen::new(place, status, code(second.status)).require(still, "the second run ended the first one's processes")
}

fn waits(place: &Place) -> Seen {
    let mut first = place.start(&["ci", "--only", "deadline"]);
    wait_for_process(place);
    let second = place.run(&["ci", "--only", "fine", "--wait"]);
    first.wait().expect("it ends");
    Seen::new(place, place.status("ci", "fine"), code(second.status))
}

/// The second run says whom it waits for, and stops waiting when it is told to.
fn waits_no_longer(place: &Place) -> Seen {
    let mut first = place.start(&["ci", "--only", "ignores-signals"]);
    wait_for_process(place);
    let mut second = place.command(&["ci", "--only", "fine", "--wait"]).spawn().expect("started");
    let mut shown = [0; 64];
    let count = second.stdout.as_mut().expect("a pipe").read(&mut shown).expect("readable");
    let started = Instant::now();
    signal(&second, Signal::INT);
    let exit = second.wait().expect("it ends");
    let took = started.elapsed();
    signal(&first, Signal::TERM);
    first.wait().expect("it ends");
    let status = told(&String::from_utf8_lossy(&shown[..count]), "waiting   for another run to end: 2");
    Seen::new(place, status, code(exit)).require(took < HURRIED_MAX, &format!("it took {took:?}"))
}

/// Twenty runs from the future: to a clock that was set back, this run is the oldest.
fn clock_set_back(place: &Place) -> Seen {
    for number in 0..25 {
        let run = place.root.join(format!("target/ci/runs/29990101T000000.{number:03}Z-1"));
        fs::create_dir_all(&run).expect("made");
    }
    let output = place.run(&["ci", "--only", "fine"]);
    Seen::new(place, place.status("ci", "fine"), code(output.status))
}

/// What stands under the names of the record of an earlier run is neither waited for nor followed.
fn hostile_record(place: &Place) -> Seen {
    assert_eq!(code(place.run(&["ci", "--only", "fine"]).status), 0);
    fs::write(place.root.join("precious"), "precious").expect("written");
    let line = "cd target/ci && run=$(readlink latest) && for name in summary.json events.ndjson; do rm $run/$name && mkfifo $run/$name; done \
        && mkdir -p runs/20200101T000000.000Z-1/steps runs/20200101T000001.000Z-1 runs/20200101T000002.000Z-1/summary.json \
        && mkfifo runs/20200101T000000.000Z-1/steps/log.txt runs/pipe runs/20200101T000000.000Z-1/abandoned \
        && ln -s ../../../../precious runs/20200101T000001.000Z-1/summary.json && ln -s / runs/20200101T000003.000Z-1 \
        && rm lock && ln -s ../../precious lock && cd ../.. && timeout --signal=KILL 60 $FAULTY ci --only fine >&2; echo $?";
    let (shown, exit) = shell(place, line);
    let precious = fs::read_to_string(place.root.join("precious"));
    Seen::new(place, place.status("ci", "fine"), exit)
        .require(precious.is_ok_and(|text| text == "precious"), "a link was followed")
        .require(!shown.contains("panicked"), &shown)
}

/// Named pipes where the runner is about to write its own files.
fn plants(place: &Place) -> Seen {
    let (shown, exit) = shell(place, "timeout --signal=KILL 60 $FAULTY ci --only plants >&2; echo $?");
    let step = place.root.join("target/ci/latest/steps/plants");
    let log = fs::read_to_string(step.join("log.txt")).unwrap_or_default();
    let output = fs::read_to_string(step.join("output.json")).unwrap_or_default();
    Seen::new(place, place.status("ci", "plants"), exit)
        .require(log.contains("into the log"), &shown)
        .require(output.contains("the output"), &output)
}

fn pipe_report(place: &Place) -> Seen {
    let (_, exit) = shell(place, "timeout --signal=KILL 60 $FAULTY ci --only pipe-report >&2; echo $?");
    let reason = place.reason("ci", "pipe-report");
    Seen::new(place, place.status("ci", "pipe-report"), exit).require(reason.contains("a named pipe"), &reason)
}

fn panics(place: &Place) -> Seen {
    let output = place.run(&["ci", "--only", "panics", "fine"]);
    let reason = place.reason("ci", "panics");
    Seen::new(place, place.status("ci", "panics"), code(output.status))
        .require(place.status("ci", "fine") == "passed", "the others did not go on")
        .require(reason.contains("panicked: boom at ") && reason.contains("faulty/main.rs:"), &reason)
}

fn thousand(place: &Place) -> Seen {
    let output = place.run(&["many"]);
    let count = place.summary("ci-other").map_or(0, |summary| summary.steps.len());
    Seen::new(place, place.status("ci-other", "step-999"), code(output.status))
        .require(count == 1000, "steps are missing")
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "SIGINT, child ignores signals",
        status: "cancelled",
        exit: 130,
        run: |place| interrupted(place, "ignores-signals", &[Signal::INT], INTERRUPTED_MAX),
    },
    Fault {
        name: "SIGTERM, child ignores signals",
        status: "cancelled",
        exit: 143,
        run: |place| interrupted(place, "ignores-signals", &[Signal::TERM], INTERRUPTED_MAX),
    },
    Fault {
        name: "SIGHUP: the terminal was closed",
        status: "cancelled",
        exit: 129,
        run: |place| interrupted(place, "ignores-signals", &[Signal::HUP], INTERRUPTED_MAX),
    },
    Fault {
        name: "SIGINT twice",
        status: "cancelled",
        exit: 130,
        run: |place| interrupted(place, "ignores-signals", &[Signal::INT, Signal::INT], HURRIED_MAX),
    },
    Fault {
        name: "SIGINT, step computes and hears nothing",
        status: "cancelled",
        exit: 130,
        run: |place| interrupted(place, "stuck", &[Signal::INT], INTERRUPTED_MAX),
    },
    Fault {
        name: "SIGINT twice, step hears nothing",
        status: "cancelled",
        exit: 130,
        run: |place| interrupted(place, "stuck", &[Signal::INT, Signal::INT], HURRIED_MAX),
    },
    Fault { name: "SIGINT twice, nobody reads the output", status: "cancelled", exit: 130, run: interrupted_unread },
    Fault { name: "SIGKILL at 40 random moments, then a run", status: "passed", exit: 0, run: killed },
    Fault { name: "two runs at once", status: "told", exit: 3, run: two_at_once },
    Fault { name: "two runs at once, the second waits", status: "passed", exit: 0, run: waits },
    Fault { name: "SIGINT while it waits for another run", status: "told", exit: 130, run: waits_no_longer },
    Fault { name: "pipes and links in the record of a run", status: "passed", exit: 0, run: hostile_record },
    Fault { name: "pipes where the runner writes", status: "passed", exit: 0, run: plants },
    Fault { name: "a pipe as a report", status: "error", exit: 3, run: pipe_report },
    Fault { name: "step panics", status: "error", exit: 3, run: panics },
    Fault { name: "1000 steps", status: "passed", exit: 0, run: thousand },
    Fault { name: "clock set back", status: "passed", exit: 0, run: clock_set_back },
    Fault {
        name: "run folder is removed during the run",
        status: "told",
        exit: 3,
        run: |place| {
            let output = place.run(&["ci", "--only", "removes-folder"]);
            let status = told(&String::from_utf8_lossy(&output.stderr), "the run's record is not complete");
            Seen::new(place, status, code(output.status))
        },
    },
    Fault {
        name: "a file stands in place of the run folder",
        status: "told",
        exit: 3,
        run: |place| {
            fs::create_dir_all(place.root.join("target/ci")).expect("made");
            fs::write(place.root.join("target/ci/runs"), "").expect("written");
            let output = place.run(&["ci", "--only", "fine"]);
            Seen::new(place, told(&String::from_utf8_lossy(&output.stderr), "target/ci/runs: "), code(output.status))
        },
    },
    Fault {
        name: "target is read-only",
        status: "told",
        exit: 3,
        run: |place| {
            fs::create_dir(place.root.join("target")).expect("made");
            let line = "unshare --user --map-root-user --mount bash -c 'mount -t tmpfs -o ro none target && $FAULTY ci --only fine; echo $?'";
            let (shown, exit) = shell(place, line);
            Seen::new(place, told(&shown, "Read-only file system"), exit)
        },
    },
    Fault { name: "disk is full before the run", status: "told", exit: 3, run: |place| tiny_disk(place, 4, "fine") },
    Fault {
        name: "disk fills while a step prints",
        status: "told",
        exit: 3,
        run: |place| tiny_disk(place, 2048, "flood"),
    },
    Fault {
        name: "output into a reader that goes away",
        status: "told",
        exit: 1,
        run: |place| {
            let (shown, exit) = shell(place, "$FAULTY ci --only code --verbose | head -n 1; echo ${PIPESTATUS[0]}");
            Seen::new(place, told(&shown, "start"), exit)
        },
    },
    Fault {
        name: "completions into a reader that goes away",
        status: "told",
        exit: 0,
        run: |place| {
            let (shown, exit) = shell(place, "$FAULTY completions bash | head -n 1; echo ${PIPESTATUS[0]}");
            Seen::new(place, told(&shown, "_xtask"), exit)
        },
    },
    Fault {
        name: "both outputs closed",
        status: "failed",
        exit: 1,
        run: |place| {
            let (_, exit) = shell(place, "$FAULTY ci --only code >&- 2>&- <&-; echo $?");
            Seen::new(place, place.status("ci", "code"), exit)
        },
    },
    Fault {
        name: "output into a full device",
        status: "failed",
        exit: 1,
        run: |place| {
            let (_, exit) = shell(place, "$FAULTY ci --only code >/dev/full 2>&1; echo $?");
            Seen::new(place, place.status("ci", "code"), exit)
        },
    },
    Fault {
        name: "no HOME, no PATH, no environment at all",
        status: "passed",
        exit: 0,
        run: |place| {
            let output = place.command(&["ci", "--only", "fine"]).env_clear().output().expect("started");
            Seen::new(place, place.status("ci", "fine"), code(output.status))
        },
    },
    Fault {
        name: "current folder was removed",
        status: "told",
        exit: 2,
        run: |place| {
            let line = "mkdir gone && cd gone && rmdir ../gone && $FAULTY ci --only fine; echo $?";
            let (shown, exit) = shell(place, line);
            Seen::new(place, told(&shown, "error: "), exit)
        },
    },
    Fault {
        name: "few file descriptors",
        status: "told",
        exit: 3,
        run: |place| {
            let (shown, exit) = shell(place, "ulimit -n 12; $FAULTY ci --only fine code; echo $?");
            Seen::new(place, told(&shown, "Too many open files"), exit)
        },
    },
    Fault {
        name: "started in a group of its own, without a terminal",
        status: "passed",
        exit: 0,
        run: |place| {
            let output = place.command(&["ci", "--only", "fine"]).process_group(0).output().expect("started");
            Seen::new(place, place.status("ci", "fine"), code(output.status))
        },
    },
];

#[test]
fn runs_that_are_disturbed() {
    table("faults of runs", FAULTS, Place::new);
}
