//! A planted secret: every byte that a run writes or prints is searched for it, however the run ends.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Place, code, contains};

/// With characters that JSON, URLs and shells write differently.
const CANARY: &str = "c\"4n/ry%v4lu3 +ok";
const IN_FILE: &str = "-----BEGIN KEY-----\nZm9vYmFyYmF6cXV4MDEyMzQ1Njc4OQ\n-----END KEY-----";
const PRINTED: &str = "printed-canary-8c1f";

/// Every form in which a secret may not be found: as it is, each line of it, and as encodings write it.
fn forms() -> Vec<String> {
    let mut forms: Vec<String> = IN_FILE.lines().map(str::to_owned).collect();
    for secret in [CANARY, IN_FILE, PRINTED] {
        forms.push(secret.to_owned());
        forms.push(secret.replace('"', "\\\""));
        forms.push(STANDARD.encode(secret).trim_end_matches('=').to_owned());
        // What base64 makes of it behind `user:`; the first and the last characters also hold bits of its neighbours.
        let basic = STANDARD.encode(format!("user:{secret}"));
        forms.push(basic[8..basic.len() - 4].to_owned());
    }
    forms.push("c%224n%2Fry%25v4lu3%20%2Bok".to_owned());
    forms.push("c%224n%2Fry%25v4lu3+%2Bok".to_owned());
    forms
}

fn run(args: &[&str], variables: &[(&str, &str)]) -> (Place, Output) {
    let place = Place::new();
    // Outside the run's folder: here it may stand.
    fs::write(place.root.join("canary-file"), format!("{IN_FILE}\n")).expect("written");
    let mut command = place.command(args);
    command.env("CANARY", CANARY).env("CANARY_PRINTED", PRINTED).env_remove("GITHUB_ACTIONS");
    let output = command.envs(variables.iter().copied()).output().expect("started");
    (place, output)
}

/// Every file of the runs, and both outputs without the commands that tell GitHub what to mask.
fn traces(place: &Place, output: &Output) -> Vec<(String, Vec<u8>)> {
    let unmasked = |bytes: &[u8]| {
        let lines = bytes.split_inclusive(|&byte| byte == b'\n');
        lines.filter(|line| !line.starts_with(b"::add-mask::")).flatten().copied().collect::<Vec<u8>>()
    };
    let mut traces =
        vec![("stdout".to_owned(), unmasked(&output.stdout)), ("stderr".to_owned(), unmasked(&output.stderr))];
    traces.extend(files(&place.root.join("target")));
    traces.extend(step_summary(&place.root));
    traces
}

/// Every file below a folder, with its path.
fn files(folder: &Utf8Path) -> Vec<(String, Vec<u8>)> {
    let mut traces = Vec::new();
    let mut open: Vec<Utf8PathBuf> = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in folder.read_dir_utf8().expect("a folder").flatten() {
            let kind = entry.file_type().expect("a kind");
            if kind.is_dir() {
                open.push(entry.into_path());
            } else if kind.is_file() {
                traces.push((entry.path().to_string(), fs::read(entry.path()).expect("read")));
            }
        }
    }
    traces
}

fn step_summary(root: &Utf8Path) -> Option<(String, Vec<u8>)> {
    Some(("step summary".to_owned(), fs::read(root.join("step-summary.md")).ok()?))
}

fn shown(place: &Place, output: &Output) -> Vec<String> {
    shown_of(&forms().into_iter().map(String::into_bytes).collect::<Vec<_>>(), &traces(place, output))
}

fn shown_of(forms: &[Vec<u8>], traces: &[(String, Vec<u8>)]) -> Vec<String> {
    let found = |bytes: &[u8]| forms.iter().filter(|form| contains(bytes, form)).cloned().collect::<Vec<_>>();
    traces
        .iter()
        .map(|(name, bytes)| (name, [found(bytes), found(name.as_bytes())].concat()))
        .filter(|(_, found)| !found.is_empty())
        .map(|(name, found)| {
            let found: Vec<_> = found.iter().map(|form| String::from_utf8_lossy(form)).collect();
            format!("{name} shows {found:?}")
        })
        .collect()
}

/// With everything that some encoder writes otherwise.
const DIFFICULT: &str = "c\"4n'ry%v4&lu3 +ok</>\\=ä€x";

/// How a run that shows every form ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Passes,
    Fails,
    Interrupted,
    /// The step computes, and hears nothing.
    Abandoned,
    Killed,
}

/// What encoders make of the secret.
fn every_form() -> Vec<Vec<u8>> {
    let script = include_str!("../data/forms.py");
    let mut python = Command::new("python3");
    let output = python.args(["-c", script, "list"]).env("CANARY", DIFFICULT).output().expect("python3 is installed");
    let forms: BTreeMap<String, String> = serde_json::from_slice(&output.stdout).expect("JSON");
    let byte = |pair: &[u8]| u8::from_str_radix(&String::from_utf8_lossy(pair), 16).expect("hex");
    forms.into_values().map(|hex| hex.as_bytes().chunks(2).map(byte).collect()).collect()
}

#[test]
fn every_form_of_a_secret_is_shown_nowhere_however_the_run_ends() {
    let forms = every_form();
    assert!(forms.len() > 40, "{} forms", forms.len());
    for end in [End::Passes, End::Fails, End::Interrupted, End::Abandoned, End::Killed] {
        let place = Place::new();
        fs::write(place.root.join("canary-file"), format!("{IN_FILE}\n")).expect("written");
        let done = place.root.join("done");
        let step = if end == End::Abandoned { "every-form-stuck" } else { "every-form" };
        let how = match end {
            End::Fails => "fail",
            End::Interrupted | End::Killed => "wait",
            End::Passes | End::Abandoned => "",
        };
        let mut command = place.command(&["canary", "--only", step, "--verbose"]);
        command.env("CANARY", DIFFICULT).env("CANARY_PRINTED", PRINTED).env("DONE", &done).env("END", how);
        let mut child = command.env_remove("GITHUB_ACTIONS").spawn().expect("started");
        let (stdout, stderr) = (child.stdout.take().expect("a pipe"), child.stderr.take().expect("a pipe"));
        let readers = [std::thread::spawn(|| read_all(stdout)), std::thread::spawn(|| read_all(stderr))];
        if !matches!(end, End::Passes | End::Fails) {
            let until = Instant::now() + Duration::from_secs(60);
            while !done.exists() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            assert!(done.exists(), "{end:?}: the step has not shown everything");
            let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("not zero");
            kill_process(pid, if end == End::Killed { Signal::KILL } else { Signal::INT }).expect("it runs");
        }
        child.wait().expect("it ends");
        if end == End::Killed {
            let run = place.root.join("target/ci-other/runs").read_dir_utf8().expect("runs").next();
            let run = run.expect("a run").expect("a run").into_path();
            let mode = fs::metadata(&run).expect("there").permissions().mode();
            assert_eq!(mode & 0o077, 0, "others can look into what a killed run left: {mode:o}");
            // Of another pipeline, which knows none of these secrets.
            assert_eq!(code(place.run(&["ci", "--only", "fine"]).status), 0);
            assert!(run.join("summary.json").exists(), "the record is completed");
        }
        let mut traces = files(&place.root.join("target"));
        traces.extend(readers.map(|reader| ("output".to_owned(), reader.join().expect("read"))));
        assert_eq!(shown_of(&forms, &traces), Vec::<String>::new(), "{end:?}");
    }
}

fn read_all(mut pipe: impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    pipe.read_to_end(&mut bytes).expect("readable");
    bytes
}

#[test]
fn processes_see_no_secret_that_their_step_did_not_declare() {
    let place = Place::new();
    fs::write(place.root.join("canary-file"), format!("{IN_FILE}\n")).expect("written");
    let mut command = place.command(&["canary", "--only", "undeclared", "finds-it"]);
    command.env("CANARY", DIFFICULT).env("CANARY_PRINTED", PRINTED).env("HOME", "/").env_remove("GITHUB_ACTIONS");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let forms = every_form();
    let mut seen = Vec::new();
    while child.try_wait().expect("it can be asked").is_none() {
        // The arguments of every process that the run has started.
        let lines = place.processes().into_iter().map(|line| ("arguments".to_owned(), line.into_bytes()));
        seen.extend(shown_of(&forms, &lines.collect::<Vec<_>>()));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(seen, Vec::<String>::new());
    let log = fs::read_to_string(place.root.join("target/ci-other/latest/steps/undeclared/log.txt")).expect("a log");
    assert!(log.contains("inherited: nothing home"), "{log}");
}

#[test]
fn a_secret_is_shown_nowhere_however_the_run_ends() {
    for (step, status, exit) in [
        ("shows-it", "passed", 0),
        ("finds-it", "failed", 1),
        ("drips-it", "error", 3),
        ("argument", "error", 3),
        ("panics", "error", 3),
        ("times-out", "error", 3),
    ] {
        for extra in [&[][..], &["--verbose"]] {
            let (place, output) = run(&[&["canary", "--only", step], extra].concat(), &[]);
            let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(
                (place.status("ci-other", step).as_str(), code(output.status)),
                (status, exit),
                "{step}: {stdout}"
            );
            assert_eq!(shown(&place, &output), Vec::<String>::new(), "{step} {extra:?}");
            if step == "argument" {
                let reason = place.reason("ci-other", step);
                assert!(reason.contains("the secret CANARY is in the arguments of"), "{reason}");
            } else {
                let redacted = |bytes: &[u8]| contains(bytes, b"***");
                assert!(
                    traces(&place, &output).iter().any(|(_, bytes)| redacted(bytes)),
                    "{step} showed nothing at all"
                );
            }
        }
    }
}

#[test]
fn github_is_told_what_to_mask_before_anything_else() {
    let on_github = |place: &Place| place.root.join("step-summary.md");
    let (place, output) = run(&["canary"], &[("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", "step-summary.md")]);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let masks: Vec<&str> = stdout.lines().take_while(|line| line.starts_with("::add-mask::")).collect();
    let of = |value: &str| format!("::add-mask::{}", value.replace('%', "%25"));
    let expected: Vec<String> = [CANARY].into_iter().chain(IN_FILE.lines()).chain([PRINTED]).map(of).collect();
    assert_eq!(masks, expected);
    assert!(on_github(&place).exists(), "the step summary was written");
    assert_eq!(shown(&place, &output), Vec::<String>::new());
}

#[test]
fn explaining_shows_no_secret_and_a_command_line_with_one_is_never_run() {
    for args in [&["canary", "--explain"][..], &["explained", "--explain"]] {
        let (place, output) = run(args, &[]);
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(code(output.status), 0, "{stdout}");
        assert!(forms().iter().all(|form| !stdout.contains(form.as_str())), "{stdout}");
        assert!(!place.root.join("target").exists(), "explaining runs nothing");
    }
    let (place, output) = run(&["explained"], &[]);
    assert_eq!((place.status("ci-other", "argument").as_str(), code(output.status)), ("error", 3));
    assert!(place.root.join("target/ci-other/latest/summary.json").exists());
    assert!(!place.root.join("target/ci-other/latest/steps/argument").exists(), "it was refused before it started");
    assert_eq!(shown(&place, &output), Vec::<String>::new());
}

#[test]
fn a_secret_that_cannot_be_kept_is_refused_before_anything_runs() {
    for (value, why) in [("12345", "fewer than 6 characters"), ("", "fewer than 6 characters")] {
        let (place, output) = run(&["canary", "--only", "finds-it"], &[("CANARY", value)]);
        assert_eq!((place.status("ci-other", "finds-it").as_str(), code(output.status)), ("error", 3));
        let reason = place.reason("ci-other", "finds-it");
        assert!(reason.contains(why), "{reason}");
    }
    let place = Place::new();
    let output = place
        .command(&["canary", "--only", "finds-it"])
        .env_remove("CANARY")
        .env("CANARY_PRINTED", PRINTED)
        .output()
        .expect("started");
    let reason = place.reason("ci-other", "finds-it");
    assert_eq!(code(output.status), 3);
    assert!(reason.contains("CANARY, which is not set") && reason.contains("canary-file cannot be had"), "{reason}");
}

#[test]
fn a_file_with_a_secret_is_gone_when_the_step_is() {
    let (place, output) = run(&["canary", "--only", "shows-it"], &[]);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("handed on: true"), "{stdout}");
    let folder = place.root.join("target/ci-other/latest/steps/shows-it/secrets");
    assert_eq!(fs::read_dir(folder).expect("it was made").count(), 0);
}
