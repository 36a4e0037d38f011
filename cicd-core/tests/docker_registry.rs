//! `Push` and `PinnedBase` with a real registry on a loopback port.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod docker_support;
#[path = "docker_support/small_base.rs"]
mod small_base;

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use cicd_core::docker::{BaseOrigin, Fresh, Image, docker, require_image};
use cicd_core::model::{Event, Fact, Status};
use cicd_core::pipeline::{Observer, Pipeline, RunOptions, Selection, Summary, run};
use cicd_core::process::{Cancel, CancelReason, Discard, Invocation, execute};
use cicd_core::step::{Cleared, Handle, Judgement, Outcome, Step, step_fn};
use cicd_core::steps::{DockerBuild, PinnedBase, Push, Pushed};
use docker_support::Sandbox;

/// Debian's docker-registry, for as long as this lives.
struct Registry {
    address: SocketAddr,
    cancel: Cancel,
    thread: Option<JoinHandle<()>>,
}

const PASSWORD: &str = "canary-0123456789";
/// `user` with that password, in the only form the registry takes.
const HTPASSWD: &str = "user:$2y$05$abcdefghijklmnopqrstuuAtmY06dVhXVM/CvbA5CIlgA8EED7sgG\n";

impl Registry {
    fn start(sandbox: &Sandbox, auth: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port");
        let root = &sandbox.root;
        sandbox.write(
            "registry.yml",
            &format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {root}/target/registry}}}}\nhttp: {{addr: \"{address}\"}}\n{auth}"
            ),
        );
        let program = Utf8PathBuf::from("/usr/bin/docker-registry");
        assert!(
            program.exists(),
            "Debian's docker-registry is needed for these tests; `apt-get install docker-registry`"
        );
        let invocation =
            Invocation::program(&program).args(["serve", "registry.yml"]).dir(root).deadline(Duration::from_secs(300));
        let cancel = Cancel::new().expect("a pipe");
        let stop = cancel.clone();
        let thread = std::thread::spawn(move || {
            // It ends by being stopped, which is an error for anything else.
            let _ = execute(&invocation, &program, &mut Discard, &stop);
        });
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(30), "the registry does not answer on {address}");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { address, cancel, thread: Some(thread) }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.cancel.cancel(CancelReason::FailFast);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Unseen;

impl Observer for Unseen {
    fn event(&mut self, _: &Event) {}
}

fn sandbox() -> Sandbox {
    Sandbox::new(&[
        ("app/Dockerfile", "FROM scratch\nCOPY app.txt /app.txt\nUSER 1\nHEALTHCHECK CMD [\"/app.txt\"]\n"),
        ("app/app.txt", "hello\n"),
    ])
}

/// Builds an image and pushes it, if asked to.
fn pipeline(name: &str, push: Push) -> (Pipeline, Handle<Cleared<Pushed>>) {
    let mut ci = Pipeline::new("push-test");
    let image = ci.add("image", DockerBuild::context("app").image_name(name), ());
    // The simplest of gates: the image that it looked at.
    let looked = step_fn(|_, image: Image<Fresh>| Ok(Outcome::of(Judgement::of(&image, ()))));
    let looked = ci.add("looked", looked, &image);
    let cleared = ci.clear(&image, &looked);
    let pushed = ci.add("push", push, &cleared);
    (ci, pushed)
}

fn run_with(sandbox: &mut Sandbox, ci: &Pipeline, effects: &[&str], variables: &[(&str, &str)]) -> Summary {
    let effects = effects.iter().map(|&name| name.to_owned()).collect();
    let options = RunOptions { selection: Selection { effects, ..Selection::default() }, ..RunOptions::default() };
    let mut outside = sandbox.checkout();
    outside
        .environment
        .variables
        .extend(variables.iter().map(|&(name, value)| (OsString::from(name), OsString::from(value))));
    let summary = run(ci, &sandbox.workspace(), outside, &options, &mut Unseen).expect("a run");
    let built = summary.steps.iter().filter_map(|step| step.facts.get("image_id"));
    built.for_each(|id| sandbox.removes(&id.to_string()));
    summary
}

fn status(summary: &Summary, step: &str) -> (Status, Option<String>) {
    let report = summary.steps.iter().find(|report| report.name.as_str() == step).expect("the step");
    (report.status, report.reason.clone())
}

fn fact(summary: &Summary, step: &str, name: &str) -> String {
    let report = summary.steps.iter().find(|report| report.name.as_str() == step).expect("the step");
    report.facts.get(name).map(Fact::to_string).expect("the fact")
}

#[test]
fn a_cleared_image_is_pushed_when_asked_for_and_can_be_pulled_by_its_digest() {
    let mut sandbox = sandbox();
    let registry = Registry::start(&sandbox, "");
    let repository = format!("{}/flask-app", registry.address);
    let (ci, _) = pipeline("cicd-core-test-push", Push::to(&repository));

    let listed = run_with(&mut sandbox, &ci, &[], &[]);
    assert_eq!(status(&listed, "push").0, Status::Skipped, "an effect runs only when asked for");

    let summary = run_with(&mut sandbox, &ci, &["push"], &[]);
    assert_eq!(status(&summary, "push"), (Status::Passed, None));
    let reference = fact(&summary, "push", "reference");
    let id = fact(&summary, "push", "image_id");
    assert_eq!(id, fact(&summary, "image", "image_id"));
    assert!(reference.starts_with(&format!("{repository}@sha256:")), "{reference}");

    let cx = sandbox.context("pull");
    let commit = summary.commit.clone().expect("a checkout");
    for name in [format!("{repository}:{commit}"), fact(&summary, "image", "image")] {
        cx.run_ok(&docker(["image", "rm", "--", &name])).expect("removed");
    }
    cx.run_ok(&docker(["pull", "--", &reference])).expect("pulled");
    sandbox.removes(&reference);
    assert_eq!(require_image(&cx, &reference).expect("pulled").id, id);
}

#[test]
fn a_password_is_used_and_left_nowhere() {
    let mut sandbox = sandbox();
    sandbox.write("htpasswd", HTPASSWD);
    let auth = format!("auth: {{htpasswd: {{realm: test, path: {}/htpasswd}}}}\n", sandbox.root);
    let registry = Registry::start(&sandbox, &auth);
    let repository = format!("{}/flask-app", registry.address);

    let (anonymous, _) = pipeline("cicd-core-test-login", Push::to(&repository));
    let refused = run_with(&mut sandbox, &anonymous, &["push"], &[]);
    assert_eq!(status(&refused, "push").0, Status::Error);

    let (ci, _) = pipeline("cicd-core-test-login", Push::to(&repository).login("user", "REGISTRY_PASSWORD"));
    let summary = run_with(&mut sandbox, &ci, &["push"], &[("REGISTRY_PASSWORD", PASSWORD)]);
    assert_eq!(status(&summary, "push"), (Status::Passed, None));
    let runs = sandbox.root.join("target");
    let kept = files_with(&runs, PASSWORD);
    assert_eq!(kept, Vec::<Utf8PathBuf>::new());

    let missing = run_with(&mut sandbox, &ci, &["push"], &[]);
    let (status, reason) = status(&missing, "push");
    assert_eq!(status, Status::Error);
    assert!(reason.is_some_and(|reason| reason.contains("REGISTRY_PASSWORD")));
}

/// A registry's front door, which answers so many questions whether it is a registry with 503 before it lets anyone in.
struct BusyDoor {
    address: SocketAddr,
}

impl BusyDoor {
    fn before(registry: SocketAddr, refusals: usize) -> Self {
        let door = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = door.local_addr().expect("an address");
        let left = Arc::new(AtomicUsize::new(refusals));
        // It ends with the test program.
        std::thread::spawn(move || {
            for visitor in door.incoming().flatten() {
                let left = Arc::clone(&left);
                // A visitor who goes away in the middle is not what is tested here.
                std::thread::spawn(move || Self::open(visitor, registry, &left).ok());
            }
        });
        Self { address }
    }

    fn open(mut visitor: TcpStream, registry: SocketAddr, left: &AtomicUsize) -> std::io::Result<()> {
        let mut first = [0; 4];
        let known = visitor.peek(&mut first)?;
        // The engine tries TLS first, and goes on to plain HTTP when it is answered in that.
        let request = [&b"GET "[..], b"HEAD"].contains(&&first[..known]);
        if request && left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            BufReader::new(&visitor).lines().map_while(Result::ok).take_while(|line| !line.is_empty()).for_each(drop);
            visitor.write_all(b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(());
        }
        let (mut inside, mut out) = (TcpStream::connect(registry)?, visitor.try_clone()?);
        let mut answers = inside.try_clone()?;
        std::thread::spawn(move || std::io::copy(&mut answers, &mut out).and_then(|_| out.shutdown(Shutdown::Both)));
        std::io::copy(&mut visitor, &mut inside)?;
        inside.shutdown(Shutdown::Both)
    }
}

#[test]
fn a_base_from_a_registry_that_refuses_twice_is_flaky_and_one_that_is_never_had_is_an_error() {
    let mut sandbox = sandbox();
    let registry = Registry::start(&sandbox, "");
    let cx = sandbox.context("seed");
    // An archive without files makes an image without files.
    let name = format!("{}/busy:1", registry.address);
    cx.run_ok(&docker(["import", "-"]).arg(&name).stdin(vec![0; 1024])).expect("imported");
    let pushed = cx.run_ok(&docker(["image", "push", "--", &name])).expect("pushed");
    let pushed = pushed.stdout_text().expect("text").to_owned();
    let digest = pushed.split_whitespace().find(|word| word.starts_with("sha256:")).expect("a digest");
    cx.run_ok(&docker(["image", "rm", "--force", "--", &name])).expect("removed");

    for (refusals, expected, exit) in [(2, Status::Flaky, 0), (usize::MAX, Status::Error, 3)] {
        let door = BusyDoor::before(registry.address, refusals);
        let upstream = format!("{}/busy:1", door.address);
        sandbox.write("base.toml", &format!("upstream = \"{upstream}\"\ndigest = \"{digest}\"\n"));
        let mut ci = Pipeline::new("busy");
        ci.add("base", PinnedBase::from_file("base.toml"), ());
        let summary = run_with(&mut sandbox, &ci, &[], &[]);
        assert_eq!((status(&summary, "base").0, summary.exit_code), (expected, exit), "{:?}", status(&summary, "base"));
        let attempts = &summary.steps[0].attempts;
        let errors: Vec<_> = attempts.iter().filter_map(|attempt| attempt.error.as_deref()).collect();
        // Engines differ in how many refusals one attempt takes.
        let failed = if expected == Status::Flaky { 1..=2 } else { 3..=3 };
        assert!(failed.contains(&errors.len()), "{attempts:?}");
        assert!(errors.iter().all(|error| error.contains("503 Service Unavailable")), "{errors:?}");
        let log = std::fs::read_to_string(sandbox.root.join("target/ci/latest/steps/base/log.txt")).expect("a log");
        let heading = |number| log.contains(&format!("= attempt {number} of 3 ="));
        assert!((1..=attempts.len()).all(heading), "{log}");
        assert!(log.matches("503 Service Unavailable").count() >= errors.len(), "{log}");
        // The engine keeps it by its digest alone.
        let _ = cx.run(&docker(["image", "rm", "--force", "--"]).arg(format!("{}/busy@{digest}", door.address)));
    }
}

/// The files below a folder that hold a text, or its base64 together with the user's name.
fn files_with(folder: &camino::Utf8Path, text: &str) -> Vec<Utf8PathBuf> {
    let encoded = "dXNlcjpjYW5hcnktMDEyMzQ1Njc4OQ==";
    let mut found = Vec::new();
    for entry in folder.read_dir_utf8().expect("a folder") {
        let path = entry.expect("an entry").into_path();
        if path.is_dir() {
            found.extend(files_with(&path, text));
        } else {
            let bytes = std::fs::read(&path).expect("readable");
            let content = String::from_utf8_lossy(&bytes);
            if content.contains(text) || content.contains(encoded) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_base_is_pulled_by_its_digest_and_an_answer_is_no_reason_for_another() {
    let mut sandbox = sandbox();
    let registry = Registry::start(&sandbox, "");
    let base = sandbox.base("registry");
    let cx = sandbox.context("seed");
    let upstream = format!("{}/debian:bookworm-slim", registry.address);
    cx.run_ok(&docker(["image", "tag", "--", &base.reference, &upstream])).expect("tagged");
    let pushed = cx.run_ok(&docker(["image", "push", "--", &upstream])).expect("pushed");
    let digest = pushed
        .stdout_text()
        .expect("text")
        .split_whitespace()
        .find(|word| word.starts_with("sha256:"))
        .expect("a digest")
        .to_owned();
    cx.run_ok(&docker(["image", "rm", "--force", "--", &upstream, &base.id])).expect("removed");

    sandbox.write("base.toml", &format!("upstream = \"{upstream}\"\ndigest = \"{digest}\"\n"));
    let outcome = PinnedBase::from_file("base.toml").run(&sandbox.context("base"), ()).expect("pulled");
    sandbox.removes(outcome.value.reference());
    assert_eq!(outcome.value.origin(), BaseOrigin::Registry);
    assert_eq!(outcome.value.id(), base.id);
    assert_eq!(outcome.facts.get("way"), Some(&Fact::Text("registry".to_owned())));
    assert!(outcome.findings.is_empty());

    // A Dockerfile may build on it, through the input or by itself.
    sandbox.write(
        "app/Dockerfile",
        "ARG BASE\nFROM ${BASE}\nRUN echo x > /x\nUSER 1\nHEALTHCHECK CMD [\"/bin/cat\", \"/run/ready\"]\n",
    );
    let step = DockerBuild::context("app").image_name("cicd-core-test-pinned");
    let built =
        step.clone().base_arg("BASE").run(&sandbox.context("image"), outcome.value.clone().into()).expect("built");
    assert_eq!((built.findings.len(), built.value.bases().len()), (0, 1));
    let built =
        step.build_arg("BASE", outcome.value.reference()).run(&sandbox.context("image"), ().into()).expect("built");
    assert_eq!(built.findings, []);
    assert_eq!(built.value.bases()[0].origin(), BaseOrigin::Registry);

    let other = format!("sha256:{}", "0".repeat(64));
    sandbox.write("base.toml", &format!("upstream = \"{upstream}\"\ndigest = \"{other}\"\n[debootstrap]\nsuite = \"bookworm\"\nvariant = \"minbase\"\n"));
    let error =
        PinnedBase::from_file("base.toml").run(&sandbox.context("base"), ()).expect_err("no such image").to_string();
    assert!(error.contains("manifest unknown"), "{error}");

    drop(registry);
    sandbox.write("base.toml", &format!("upstream = \"{upstream}\"\ndigest = \"{other}\"\n"));
    let error =
        PinnedBase::from_file("base.toml").run(&sandbox.context("base"), ()).expect_err("unreachable").to_string();
    assert!(error.contains("connection refused") && error.contains("[debootstrap]"), "{error}");
}
