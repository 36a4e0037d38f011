//! What a step's process can do wrong, each in a whole run: the status, the exit code, and that nothing is left.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::{Fault, Place, Seen, code, contains, table};

/// The runner may have this much in memory, whatever its steps print.
const PEAK_KIBIBYTES_MAX: u64 = 64 << 10;

fn alone(place: &Place, step: &str) -> Seen {
    let output = place.run(&["ci", "--only", step]);
    Seen::new(place, place.status("ci", step), code(output.status))
}

/// A step that cannot start its process, and says why in these words.
fn told(place: &Place, step: &str, words: &str) -> Seen {
    let seen = alone(place, step);
    let reason = place.reason("ci", step);
    seen.require(reason.contains(words), &format!("not told so: {reason:.300}"))
}

/// A flood: bounded memory, and a log with every byte.
fn flood(place: &Place, step: &str, bytes_min: u64) -> Seen {
    let seen = alone(place, step);
    let peak = fs::read_to_string(place.root.join("peak")).expect("the peak was written");
    let kibibytes: u64 = peak.split_ascii_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
    let log = fs::metadata(place.root.join("target/ci/latest/steps").join(step).join("log.txt")).expect("a log");
    seen.require(kibibytes < PEAK_KIBIBYTES_MAX, &format!("the runner took {kibibytes} KiB"))
        .require(log.len() >= bytes_min, &format!("the log has {} bytes", log.len()))
}

fn hostile(place: &Place, args: &[&str]) -> Seen {
    let output = place.run(&[&["ci", "--only", "hostile", "--color", "never"], args].concat());
    let shown = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8_lossy(&shown);
    let commands = |line: &str| line.trim_start().starts_with("::") || line.contains("##");
    Seen::new(place, place.status("ci", "hostile"), code(output.status))
        .require(!shown.iter().any(|byte| byte.is_ascii_control() && *byte != b'\n'), "a control character was shown")
        .require(!text.lines().any(commands), "a line that a CI system obeys was shown")
        .require(contains(&place.log("hostile"), b"\xff\xfe\x00\rover\n\x1b]0;title\x07"), "the log is not as printed")
}

fn file(place: &Place, name: &str, bytes: &[u8], mode: u32) {
    let path = place.root.join(name);
    fs::write(&path, bytes).expect("written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("changed");
}

const FAULTS: &[Fault] = &[
    Fault { name: "nothing", status: "passed", exit: 0, run: |place| alone(place, "fine") },
    Fault { name: "exit code 7", status: "failed", exit: 1, run: |place| alone(place, "code") },
    Fault {
        name: "ends by a signal",
        status: "error",
        exit: 3,
        run: |place| {
            let seen = alone(place, "signal");
            let named = place.reason("ci", "signal").contains("SIGABRT");
            seen.require(named, "the signal is not named")
        },
    },
    Fault {
        name: "ignores INT and TERM until its deadline",
        status: "error",
        exit: 3,
        run: |place| {
            let seen = alone(place, "deadline");
            let told = place.reason("ci", "deadline").contains("timed out after 0.4 s");
            seen.require(told, "the time-out is not told")
        },
    },
    Fault {
        name: "closes its outputs and lives on",
        status: "error",
        exit: 3,
        run: |place| alone(place, "closes-output"),
    },
    Fault { name: "grandchild keeps the pipe", status: "error", exit: 3, run: |place| alone(place, "grandchild-pipe") },
    Fault { name: "grandchild is silent", status: "passed", exit: 0, run: |place| alone(place, "grandchild-silent") },
    Fault {
        name: "daemon in its own session keeps the pipe",
        status: "error",
        exit: 3,
        run: |place| alone(place, "session-pipe"),
    },
    Fault {
        name: "daemon in its own session is silent",
        status: "passed",
        exit: 0,
        run: |place| alone(place, "session-silent"),
    },
    Fault {
        name: "daemon that its parent's parent is given",
        status: "passed",
        exit: 0,
        run: |place| alone(place, "brother"),
    },
    Fault { name: "1 GB of lines", status: "passed", exit: 0, run: |place| flood(place, "flood", 1000 << 20) },
    Fault {
        name: "1 GB without a line end",
        status: "passed",
        exit: 0,
        run: |place| flood(place, "one-line", 1 << 30),
    },
    Fault {
        name: "invalid UTF-8, NUL, escapes, ::error::",
        status: "failed",
        exit: 1,
        run: |place| hostile(place, &[]),
    },
    Fault { name: "the same, shown live", status: "failed", exit: 1, run: |place| hostile(place, &["--verbose"]) },
    Fault {
        name: "reads its input",
        status: "passed",
        exit: 0,
        run: |place| {
            let seen = alone(place, "reads-input");
            let empty = contains(&place.log("reads-input"), b"0 bytes");
            seen.require(empty, "the input was not empty")
        },
    },
    Fault {
        name: "program is missing",
        status: "error",
        exit: 3,
        run: |place| {
            let seen = alone(place, "missing-program");
            seen.require(place.reason("ci", "missing-program").contains("there is no program"), "not told so")
        },
    },
    Fault {
        name: "tool is not installed",
        status: "error",
        exit: 3,
        run: |place| {
            let seen = alone(place, "missing-tool");
            seen.require(place.reason("ci", "missing-tool").contains("not found"), "not told so")
        },
    },
    Fault {
        name: "working directory is missing",
        status: "error",
        exit: 3,
        run: |place| {
            let seen = alone(place, "missing-dir");
            seen.require(place.reason("ci", "missing-dir").contains("/no/such/folder does not exist"), "not told so")
        },
    },
    Fault {
        name: "program is not executable",
        status: "error",
        exit: 3,
        run: |place| {
            file(place, "plain", b"no program", 0o644);
            let seen = alone(place, "not-executable");
            seen.require(place.reason("ci", "not-executable").contains("is not executable"), "not told so")
        },
    },
    Fault {
        name: "program is for another machine",
        status: "error",
        exit: 3,
        run: |place| {
            file(place, "foreign", b"\x7fELF\x02\x01\x01 not for this machine", 0o755);
            let seen = alone(place, "wrong-format");
            seen.require(place.reason("ci", "wrong-format").contains("not a program for this machine"), "not told so")
        },
    },
    Fault {
        name: "program is a folder",
        status: "error",
        exit: 3,
        run: |place| told(place, "a-folder", "is a folder, not a program"),
    },
    Fault {
        name: "interpreter of a script is missing",
        status: "error",
        exit: 3,
        run: |place| {
            file(place, "script", b"#!/no/such/interpreter\n", 0o755);
            told(place, "script", "what runs it is not; install the interpreter")
        },
    },
    Fault {
        name: "program is still being written",
        status: "error",
        exit: 3,
        run: |place| {
            file(place, "script", b"#!/bin/sh\nexit 0\n", 0o755);
            let held = fs::OpenOptions::new().append(true).open(place.root.join("script")).expect("opened");
            let seen = told(place, "script", "is still being written");
            drop(held);
            seen
        },
    },
    Fault {
        name: "argument with a NUL byte",
        status: "error",
        exit: 3,
        run: |place| told(place, "nul-argument", "nul byte found"),
    },
    Fault {
        name: "argument of 3 MB",
        status: "error",
        exit: 3,
        run: |place| {
            let seen =
                told(place, "long-argument", "was given 3145733 bytes of arguments, more than this system takes");
            let short = place.reason("ci", "long-argument").len() < 1024;
            seen.require(short, "the whole argument is in the message")
        },
    },
];

#[test]
fn processes_that_misbehave() {
    table("faults of processes", FAULTS, Place::new);
}
