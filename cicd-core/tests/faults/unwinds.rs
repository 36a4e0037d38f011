//! Code of a step that panics, wherever the runner calls any: each run ends, and its record says which step it was.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Fault, Place, Seen, code, table};

/// None of these runs waits for anything.
const ENDED_MAX: Duration = Duration::from_secs(60);
const AREA: &str = "ci-other";

/// Runs the step beside one that must not suffer from it; one that does not end is killed.
fn runs(place: &Place, step: &str, more: &[&str]) -> i32 {
    runs_with(place, step, more, "one")
}

/// The same where the variable that a step relies on has this value.
fn runs_with(place: &Place, step: &str, more: &[&str], relied_on: &str) -> i32 {
    let mut faulty = place.command(&[&["unwinds", "--jobs", "2", "--only", step, "fine"], more].concat());
    faulty.stdout(Stdio::null()).stderr(Stdio::null()).env("RELIED_ON", relied_on);
    let mut child = faulty.spawn().expect("started");
    let until = Instant::now() + ENDED_MAX;
    let exit = loop {
        match child.try_wait().expect("it is ours") {
            Some(exit) => break exit,
            None if Instant::now() > until => child.kill().expect("it runs"),
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    code(exit)
}

/// A run that is resumed from a green one, where the variable has another value or not.
fn resumed(place: &Place, step: &str, relied_on: &str) -> i32 {
    checked_out(place);
    assert_eq!(runs(place, step, &[]), 0, "the first run");
    runs_with(place, step, &["--resume"], relied_on)
}

fn checked_out(place: &Place) {
    for args in [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "-m", "first"]] {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=tests", "-c", "user.email=tests@example.org"]).args(args);
        assert!(git.current_dir(&place.root).status().expect("git is installed").success());
    }
}

/// Why a step was run again.
fn not_loaded(place: &Place, step: &str) -> String {
    let steps = place.summary(AREA).map(|summary| summary.steps).unwrap_or_default();
    let mut steps = steps.iter().filter(|report| report.name.as_str() == step);
    steps.find_map(|step| step.facts.get("not_loaded").map(ToString::to_string)).unwrap_or_default()
}

fn seen(place: &Place, step: &str, exit: i32) -> Seen {
    let recorded = place.summary(AREA).map_or(-1, |summary| i32::from(summary.exit_code));
    Seen::new(place, place.status(AREA, step), exit)
        .require(place.status(AREA, "fine") == "passed", "the step beside it")
        .require(recorded == exit, &format!("the record says {recorded}"))
}

fn panics(place: &Place, step: &str, words: &str) -> Seen {
    let exit = runs(place, step, &[]);
    let reason = place.reason(AREA, step);
    seen(place, step, exit).require(reason.contains("panicked") && reason.contains(words), &reason)
}

fn passes(place: &Place, step: &str) -> Seen {
    let exit = runs(place, step, &[]);
    seen(place, step, exit)
}

const UNWINDS: &[Fault] = &[
    Fault {
        name: "a payload that panics when it is dropped",
        status: "error",
        exit: 3,
        run: |place| panics(place, "payload", "not text"),
    },
    Fault { name: "the same in Serialize", status: "error", exit: 3, run: |place| panics(place, "saved", "not text") },
    Fault {
        name: "the same in exceptions_in_files",
        status: "error",
        exit: 3,
        run: |place| panics(place, "exceptions", "it did not look"),
    },
    Fault { name: "tools, asked again", status: "passed", exit: 0, run: |place| passes(place, "tools") },
    Fault { name: "secrets, asked again", status: "passed", exit: 0, run: |place| passes(place, "secrets") },
    Fault { name: "retry, asked again", status: "passed", exit: 0, run: |place| passes(place, "retry") },
    Fault { name: "relaxations, asked again", status: "passed", exit: 0, run: |place| passes(place, "relaxations") },
    Fault {
        name: "Drop of an output that passed",
        status: "error",
        exit: 3,
        run: |place| panics(place, "dropped", "when it was dropped"),
    },
    Fault {
        name: "Drop of an output that was denied",
        status: "error",
        exit: 3,
        run: |place| panics(place, "dropped-denied", "when it was dropped"),
    },
    Fault { name: "Display of an error", status: "error", exit: 3, run: |place| panics(place, "error-shown", "text") },
    Fault {
        name: "Drop of an error",
        status: "error",
        exit: 3,
        run: |place| panics(place, "error-dropped", "dropped"),
    },
    Fault { name: "Clone of an input", status: "error", exit: 3, run: |place| panics(place, "cloned", "cloned at ") },
    Fault {
        name: "Deserialize of an output, with --resume",
        status: "passed",
        exit: 0,
        run: |place| {
            checked_out(place);
            let first = runs(place, "loaded", &[]);
            let exit = runs(place, "loaded", &["--resume"]);
            let why = not_loaded(place, "loaded");
            seen(place, "loaded", exit)
                .require(first == 0, &format!("the first run ended with {first}"))
                .require(why.contains("panicked"), &why)
        },
    },
    Fault {
        name: "Drop of an output that is not to be loaded",
        status: "passed",
        exit: 0,
        run: |place| {
            let exit = resumed(place, "loaded-dropped", "another");
            let why = not_loaded(place, "loaded-dropped");
            seen(place, "loaded-dropped", exit).require(why.contains("environment"), &why)
        },
    },
    Fault {
        name: "Drop of an output that was loaded",
        status: "error",
        exit: 3,
        run: |place| {
            let exit = resumed(place, "loaded-dropped", "one");
            let reason = place.reason(AREA, "loaded-dropped");
            seen(place, "loaded-dropped", exit).require(reason.contains("when it was dropped"), &reason)
        },
    },
];

#[test]
fn no_code_of_a_step_that_panics_takes_its_run_along() {
    table("code of a step that panics", UNWINDS, Place::new);
}
