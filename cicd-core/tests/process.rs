//! What happens to processes that do not behave, with a real program that does not.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::process::{
    Cancel, CancelReason, Captured, Discard, Exit, GRACE, Invocation, OutputSink, ProcessError, Stream, execute,
};
use rustix::process::Signal;

/// What the library promises beyond the deadline: two seconds of grace, one second for everything else.
const GRACE_AND_A_SECOND: Duration = GRACE.saturating_add(Duration::from_secs(1));

fn misbehave() -> Utf8PathBuf {
    let test = Utf8PathBuf::from_path_buf(std::env::current_exe().expect("this test's own path")).expect("UTF-8");
    let program = test.ancestors().nth(2).expect("target/debug").join("examples/misbehave");
    assert!(program.exists(), "{program} is missing: `cargo build --examples` makes it, as a plain `cargo test` does");
    program
}

fn invocation(args: &[&str]) -> Invocation {
    Invocation::program(misbehave()).args(args).deadline(Duration::from_secs(20))
}

fn run(invocation: &Invocation) -> Result<Captured, ProcessError> {
    execute(invocation, Utf8Path::new(invocation.program_name()), &mut Discard, &Cancel::new().expect("descriptors"))
}

fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn exit_codes_and_signals_are_told_apart() {
    assert_eq!(run(&invocation(&["exit", "0"])).expect("ran").exit, Exit::Code(0));
    assert_eq!(run(&invocation(&["exit", "7"])).expect("ran").exit, Exit::Code(7));
    let killed = run(&invocation(&["raise", "9"])).expect("ran");
    assert_eq!(killed.exit, Exit::Signal(9));
    assert!(killed.require_success().expect_err("a signal").to_string().contains("SIGKILL"));
}

#[test]
fn the_last_change_of_a_variable_counts() {
    let env = Invocation::program("/usr/bin/env").env("A", "1").env("A", "2").env("PATH", "/nowhere");
    let env = env.env_remove_prefix("A").env("B", "1").env_remove("B").env("GIT_DIR", "asked/for");
    let printed =
        execute(&env, "/usr/bin/env".into(), &mut Discard, &Cancel::new().expect("descriptors")).expect("ran");
    let mut lines: Vec<_> = printed.stdout_text().expect("text").lines().collect();
    lines.retain(|line| ["A=", "B=", "GIT_DIR=", "PATH="].iter().any(|name| line.starts_with(name)));
    lines.sort_unstable();
    assert_eq!(lines, ["A=2", "GIT_DIR=asked/for", "PATH=/nowhere"]);
}

#[test]
fn a_process_that_ignores_signals_is_gone_after_deadline_and_grace() {
    let started = Instant::now();
    let error = run(&invocation(&["ignore-signals"]).deadline(Duration::from_millis(300))).expect_err("a time-out");
    assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
    assert!(error.to_string().contains("timed out after 0.3 s"), "{error}");
    assert!(started.elapsed() < Duration::from_millis(300) + GRACE_AND_A_SECOND);
}

#[test]
fn a_process_that_is_stopped_is_not_waited_for() {
    let stop = Signal::STOP.as_raw().to_string();
    let error = run(&invocation(&["raise", &stop]).deadline(Duration::from_secs(600))).expect_err("it is killed");
    assert!(matches!(error, ProcessError::Stopped { .. }), "{error}");
    assert!(error.to_string().contains("asks the terminal for something"), "{error}");
}

#[test]
fn a_process_that_is_stopped_is_not_waited_for_whatever_its_children_say() {
    let ways = [["20", "stdout"], ["20", "stderr"], ["900", "stdout"], ["0", "stdout"]];
    std::thread::scope(|scope| {
        for [pause_ms, to] in ways {
            scope.spawn(move || {
                let call = invocation(&["stop-beside-chatter", pause_ms, to]).deadline(Duration::from_secs(600));
                let error = run(&call).expect_err("it is killed");
                assert!(matches!(error, ProcessError::Stopped { .. }), "{pause_ms} {to}: {error}");
            });
        }
    });
}

#[test]
fn closed_outputs_do_not_hide_a_process_that_lives_on() {
    let error = run(&invocation(&["close-output"]).deadline(Duration::from_millis(300))).expect_err("a time-out");
    assert!(matches!(error, ProcessError::TimedOut { .. }), "{error}");
}

#[test]
fn a_grandchild_that_keeps_the_pipe_is_killed_and_told() {
    let started = Instant::now();
    let error = run(&invocation(&["leave-grandchild"])).expect_err("something was left running");
    assert!(matches!(error, ProcessError::LeftRunning { exit: Exit::Code(0), .. }), "{error}");
    assert!(started.elapsed() < GRACE_AND_A_SECOND);
}

/// A sink that needs longer for a piece than a process that has ended may keep its pipes open.
struct Slow(usize);

impl OutputSink for Slow {
    fn write(&mut self, _: Stream, bytes: &[u8]) -> std::io::Result<()> {
        std::thread::sleep(Duration::from_millis(600));
        self.0 += bytes.len();
        Ok(())
    }

    fn finish(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn output_that_is_taken_slowly_is_taken_whole_and_nobody_is_blamed() {
    let mut sink = Slow(0);
    let line = "x".repeat(100 << 10);
    let call = invocation(&["say", &line]);
    let program = Utf8PathBuf::from(call.program_name());
    let captured = execute(&call, &program, &mut sink, &Cancel::new().expect("descriptors")).expect("nothing is left");
    assert_eq!((captured.exit, sink.0), (Exit::Code(0), 2 * (line.len() + 1)));
}

#[test]
fn output_that_is_taken_back_does_not_hide_the_deadline() {
    let call = invocation(&["take-back"]).deadline(Duration::from_millis(1500));
    let error =
        execute(&call, &misbehave(), &mut Slow(0), &Cancel::new().expect("descriptors")).expect_err("a time-out");
    assert!(matches!(&error, ProcessError::TimedOut { stderr, .. } if stderr.is_empty()), "{error}");
}

#[test]
fn a_grandchild_without_the_pipe_does_not_outlive_its_parent() {
    let captured = run(&invocation(&["leave-silent-grandchild"])).expect("ran");
    let pid: u32 = captured.stdout_text().expect("text").trim().parse().expect("a process id");
    let patience = Instant::now() + Duration::from_secs(2);
    while is_alive(pid) && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!is_alive(pid), "process {pid} was left behind");
}

#[test]
fn a_cancelled_process_stops_and_a_hurried_one_stops_at_once() {
    let cancel = Cancel::new().expect("descriptors");
    let stop = cancel.clone();
    let asker = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        stop.cancel(CancelReason::Signal(2));
        stop.hurry();
    });
    let started = Instant::now();
    let call = invocation(&["ignore-signals"]);
    let error = execute(&call, &misbehave(), &mut Discard, &cancel).expect_err("cancelled");
    assert!(matches!(error, ProcessError::Cancelled { reason: CancelReason::Signal(2), .. }), "{error}");
    assert!(started.elapsed() < GRACE, "a hurried stop has no grace");
    asker.join().expect("the asker");
    let error = execute(&call, &misbehave(), &mut Discard, &cancel).expect_err("nothing starts after a cancellation");
    assert!(matches!(error, ProcessError::Cancelled { .. }), "{error}");
}

#[test]
fn start_errors_are_told_apart() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = Utf8Path::from_path(dir.path()).expect("UTF-8");
    let missing = run(&Invocation::program(dir.join("nothing-here"))).expect_err("no program");
    assert!(matches!(missing, ProcessError::ProgramMissing { .. }), "{missing}");
    let no_dir = run(&invocation(&["exit", "0"]).dir(dir.join("no-such-folder"))).expect_err("no folder");
    assert!(matches!(no_dir, ProcessError::DirectoryMissing { .. }), "{no_dir}");
    let folder = run(&Invocation::program(dir)).expect_err("a folder");
    assert!(matches!(folder, ProcessError::IsFolder { .. }), "{folder}");
    let long = run(&invocation(&["exit", "0"]).arg("x".repeat(8 << 20))).expect_err("too long");
    assert!(matches!(long, ProcessError::ArgumentsTooLong { bytes, .. } if bytes > 8 << 20), "{long:.300}");
    let plain = dir.join("plain");
    fs::write(&plain, "no program").expect("written");
    let not_executable = run(&Invocation::program(&plain)).expect_err("not executable");
    assert!(matches!(not_executable, ProcessError::NotExecutable { .. }), "{not_executable}");
    let foreign = dir.join("foreign");
    fs::write(&foreign, b"\x7fELF\x02\x01\x01 not for this machine").expect("written");
    fs::set_permissions(&foreign, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("made executable");
    let wrong = run(&Invocation::program(&foreign)).expect_err("wrong format");
    assert!(matches!(wrong, ProcessError::WrongFormat { .. }), "{wrong}");
    fs::write(&foreign, b"#!/no/such/interpreter\n").expect("written");
    let no_interpreter = run(&Invocation::program(&foreign)).expect_err("no interpreter");
    assert!(matches!(no_interpreter, ProcessError::InterpreterMissing { .. }), "{no_interpreter}");
}

#[test]
fn input_is_empty_unless_given_and_bytes_are_kept_as_they_are() {
    assert_eq!(run(&invocation(&["read-input"])).expect("ran").stdout_text().expect("text"), "0 bytes\n");
    let given = invocation(&["read-input"]).stdin("x".repeat(200_000));
    assert_eq!(run(&given).expect("ran").stdout_text().expect("text"), "200000 bytes\n");
    let bytes = run(&invocation(&["bytes"])).expect("ran");
    assert_eq!(bytes.stdout, b"\xff\xfe\x00 no line end");
    assert!(matches!(bytes.stdout_text(), Err(ProcessError::OutputNotText { .. })));
}

#[test]
fn a_flood_of_output_is_counted_but_not_kept() {
    let captured = run(&invocation(&["flood", "256"]).stdout_bytes_max(1 << 20)).expect("ran");
    assert!(captured.stdout_bytes > 250 << 20);
    assert_eq!(captured.stdout.len(), 1 << 20);
    assert!(matches!(captured.stdout_text(), Err(ProcessError::OutputTooLong { .. })));
}

#[test]
fn a_report_of_an_earlier_run_is_never_taken_for_this_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let report = Utf8Path::from_path(dir.path()).expect("UTF-8").join("report.json");
    fs::write(&report, "{}").expect("written");
    let captured = run(&invocation(&["exit", "0"]).report(&report)).expect("ran");
    assert!(matches!(captured.report_bytes(), Err(ProcessError::NoReport { .. })));
}

#[test]
fn a_program_that_is_still_open_for_writing_is_waited_for() {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::from_path_buf(folder.path().join("program")).expect("UTF-8");
    let mut file = fs::File::create(&path).expect("created");
    file.write_all(b"#!/bin/sh\necho written\n").expect("written");
    file.set_permissions(fs::Permissions::from_mode(0o755)).expect("changed");
    let writer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        drop(file);
    });
    let captured = run(&Invocation::program(&path)).expect("started once it was closed");
    assert_eq!(captured.stdout_text().expect("text"), "written\n");
    writer.join().expect("ended");
}
