//! A resumed run loads what was green for the same files, runs the rest, and refuses anything else.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::model::{Code, Event, Finding, Status};
use cicd_core::pipeline::{Observer, Outside, Pipeline, RunError, RunOptions, Start, Summary, run};
use cicd_core::process::{Cancel, Discard, Invocation, execute};
use cicd_core::step::{Outcome, Workspace, step_fn};

struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &Event) {}
}

#[derive(Default)]
struct Seen {
    first_runs: AtomicUsize,
    second_is_fixed: AtomicBool,
}

fn pipeline(seen: &Arc<Seen>) -> Pipeline {
    let mut ci = Pipeline::new("resumed");
    let (counted, fixed) = (Arc::clone(seen), Arc::clone(seen));
    let first = ci.add(
        "first",
        step_fn(move |_, ()| Ok(Outcome::of(counted.first_runs.fetch_add(1, Ordering::SeqCst) + 41))).resume_key("41"),
        (),
    );
    let second = step_fn(move |_, number: usize| {
        let wrong = !fixed.second_is_fixed.load(Ordering::SeqCst);
        Ok(Outcome::of(number).findings(wrong.then(|| Finding::with_code(Code::from_static("X-1"), "not fixed yet"))))
    });
    ci.add("second", second, &first);
    ci
}

fn git(dir: &Utf8Path, args: &[&str]) {
    let git = which::which("git").expect("git is installed");
    let git = Utf8PathBuf::from_path_buf(git).expect("UTF-8");
    let call =
        Invocation::program(&git).args(["-c", "user.name=t", "-c", "user.email=t@example.org"]).args(args).dir(dir);
    let done = execute(&call, &git, &mut Discard, &Cancel::new().expect("descriptors")).expect("git ran");
    assert!(done.success(), "{}", done.stderr_text());
}

fn go(workspace: &Workspace, ci: &Pipeline, start: Start) -> Result<Summary, RunError> {
    let outside = Outside::gather(workspace, Vec::new()).expect("descriptors");
    run(ci, workspace, outside, &RunOptions { start, ..RunOptions::default() }, &mut Nobody)
}

#[test]
fn what_was_green_is_loaded_and_a_changed_file_is_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let root = Utf8Path::from_path(dir.path()).expect("UTF-8");
    fs::write(root.join(".gitignore"), "/target/\n").expect("written");
    fs::write(root.join("app.py"), "print()\n").expect("written");
    git(root, &["init", "--quiet"]);
    git(root, &["add", "."]);
    git(root, &["commit", "--quiet", "--message", "first"]);
    let (workspace, seen) = (Workspace::at(root), Arc::new(Seen::default()));
    let ci = pipeline(&seen);
    assert!(matches!(go(&workspace, &ci, Start::Resume), Err(RunError::Resume(_))), "there is nothing to resume yet");

    assert_eq!(go(&workspace, &ci, Start::Fresh).expect("ran").exit_code, 1);
    seen.second_is_fixed.store(true, Ordering::SeqCst);
    let resumed = go(&workspace, &ci, Start::Resume).expect("ran");
    assert_eq!((resumed.exit_code, resumed.complete), (0, false));
    assert_eq!(resumed.steps[0].status, Status::Passed);
    assert!(resumed.steps[0].loaded_from.is_some() && resumed.steps[1].loaded_from.is_none());
    assert_eq!(seen.first_runs.load(Ordering::SeqCst), 1, "the first step was not run again");

    fs::write(root.join("app.py"), "print(1)\n").expect("written");
    let refused = go(&workspace, &ci, Start::Resume).expect_err("the tree differs");
    assert!(refused.to_string().contains("app.py"), "{refused}");
}
