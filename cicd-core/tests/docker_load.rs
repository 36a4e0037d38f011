//! The load test, containers and the readiness check with a real engine.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;
use cicd_core::docker::{ContainerSpec, ImageUnderTest, LABEL_OWNER, LABEL_RUN, docker, docker_tool, owner};
use cicd_core::model::{Judged, RunId, Subject};
use cicd_core::pipeline::{Alone, Outside, alone};
use cicd_core::process::{CancelReason, ProcessError};
use cicd_core::step::{Outcome, Step, StepError, Workspace};
use cicd_core::steps::{LoadReport, LoadTest, LoadTestBuilder, Readiness};

#[path = "docker_support/server_image.rs"]
mod server_image;

use server_image::file_system;

/// A machine that others use too may disturb a measurement; it says so then, and is repeated. A valid one is never repeated.
const ATTEMPTS: usize = 3;

/// A run in a folder of its own, and the images it has made.
struct Sandbox {
    _dir: tempfile::TempDir,
    cx: Alone,
    images: Vec<String>,
}

impl Sandbox {
    fn new(step: &str) -> Self {
        Self::with_tools(step, &[])
    }

    fn with_tools(step: &str, folders: &[Utf8PathBuf]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("UTF-8");
        let cx = unused_run(|| {
            let outside = Outside::without_git(folders.to_vec()).expect("a pipe");
            alone(&Workspace::at(&root), step, outside).expect("a context")
        });
        Self { _dir: dir, cx, images: Vec::new() }
    }

    fn docker<const N: usize>(&self, args: [&str; N]) -> String {
        self.cx.require(&docker_tool()).expect("Docker with BuildKit is needed; `cargo xtask setup` installs it");
        let captured = self.cx.run_ok(&docker(args)).unwrap_or_else(|error| panic!("{error}"));
        captured.stdout_text().expect("text").trim().to_owned()
    }

    /// An image that holds `hello_server` and what it is linked to, and runs it with these words. No registry is needed.
    fn image(&mut self, words: &str, health: &str) -> ImageUnderTest {
        let tar = self.cx.dir().join("image.tar");
        fs::write(&tar, file_system("hello_server")).expect("written");
        let command = format!("CMD [\"/hello_server\", \"0.0.0.0:8080\"{words}]");
        let args = ["import", "--change", &command, "--change", health, "--change", "USER 10001", tar.as_str()];
        let id = self.docker(args);
        self.images.push(id.clone());
        let image = serde_json::json!({
            "id": id, "name": "hello:test", "size_bytes": 1, "user": "10001", "labels": {}, "platform": "linux/amd64",
            "commit": "0123456789abcdef0123456789abcdef01234567", "dirty": false, "bases": [],
        });
        serde_json::from_value(image).expect("an image")
    }

    fn containers(&self) -> String {
        let filter = format!("label={LABEL_RUN}={}", self.cx.shared().id);
        self.docker(["ps", "--all", "--quiet", "--filter", &filter])
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        for image in &self.images {
            // The test has its verdict already.
            let _ = self.cx.clean_up(&docker(["image", "rm", "--force", image]));
        }
    }
}

/// A run that no other test of this process has the id of, even if both begin in the same millisecond.
fn unused_run(begin: impl Fn() -> Alone) -> Alone {
    static TAKEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    loop {
        let cx = begin();
        if TAKEN.lock().expect("no test panics here").insert(cx.shared().id.to_string()) {
            return cx;
        }
    }
}

const HEALTH: &str = r#"HEALTHCHECK --interval=30s --timeout=3s CMD ["/hello_server", "health", "127.0.0.1:8080"]"#;
const NO_HEALTH: &str = "HEALTHCHECK NONE";

fn load() -> LoadTestBuilder {
    let second = Duration::from_secs(1);
    LoadTest::get("/").rate(50.0).during(second).warm_up(second / 2).timeout(second * 2).threshold("p(99)<100")
}

fn run(sandbox: &Sandbox, load: LoadTestBuilder, image: &ImageUnderTest) -> Result<Outcome<LoadReport>, StepError> {
    let step = load.build().expect("a load test");
    let mut result = step.run(&sandbox.cx, image.clone());
    for _ in 1..ATTEMPTS {
        match &result {
            Err(error) if error.to_string().contains("invalid measurement") => {
                result = step.run(&sandbox.cx, image.clone());
            }
            _ => break,
        }
    }
    assert_eq!(sandbox.containers(), "", "a container is left");
    result
}

fn codes<T>(outcome: &Outcome<T>) -> Vec<&str> {
    outcome.findings.iter().map(|finding| finding.code.as_str()).collect()
}

#[test]
fn a_fast_image_keeps_the_rules_and_is_what_was_judged() {
    let mut sandbox = Sandbox::new("load");
    let image = sandbox.image("", HEALTH);
    let outcome = run(&sandbox, load().threshold("rate>=40").threshold("error_rate<1%"), &image).expect("measured");
    assert_eq!(codes(&outcome), [""; 0], "{:?}", outcome.findings);
    assert_eq!(outcome.value.subject(), Subject::Image(image.id));
    assert_eq!((outcome.value.measurement().planned, outcome.value.measurement().completed), (50, 50));
    assert!(outcome.facts.headline().is_some_and(|line| line.contains("req/s, p99 ") && line.chars().count() <= 48));
    assert_eq!(outcome.attachments.len(), 2);
    for attachment in &outcome.attachments {
        assert!(fs::metadata(attachment).is_ok_and(|file| file.len() > 0), "{attachment}");
    }
    let log = fs::read_to_string(sandbox.cx.dir().join("container.log")).expect("kept");
    assert!(log.contains("listening on 0.0.0.0:8080"), "{log}");
}

#[test]
fn an_endpoint_that_sleeps_500_ms_fails() {
    let mut sandbox = Sandbox::new("load");
    let image = sandbox.image(r#", "slow", "500""#, NO_HEALTH);
    let outcome = run(&sandbox, load(), &image).expect("measured");
    assert_eq!(codes(&outcome), ["LOAD-001"]);
    let message = &outcome.findings[0].message;
    assert!(message.starts_with("`p(99)<100` is broken: p(99) is 5"), "{message}");
}

#[test]
fn a_container_that_ends_early_is_an_error_with_its_last_words() {
    let mut sandbox = Sandbox::new("load");
    for health in [HEALTH, NO_HEALTH] {
        let image = sandbox.image(r#", "exit", "3""#, health);
        let error = run(&sandbox, load(), &image).expect_err("it ended").to_string();
        assert!(error.contains("ended before it was ready: ended with exit code 3"), "{error}");
        assert!(error.contains("the setting GREETING is missing"), "{error}");
    }
}

#[test]
fn a_container_that_is_never_healthy_is_an_error_in_time() {
    let mut sandbox = Sandbox::new("load");
    for (health, part) in [(HEALTH, "its health command"), (NO_HEALTH, "GET / on 127.0.0.1:")] {
        let image = sandbox.image(r#", "silent""#, health);
        let started = Instant::now();
        let error =
            run(&sandbox, load().ready_within(Duration::from_secs(2)), &image).expect_err("not ready").to_string();
        assert!(error.contains("is not ready after 2 s") && error.contains(part), "{error}");
        assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
    }
}

#[test]
fn a_container_that_listens_elsewhere_is_told_so() {
    let mut sandbox = Sandbox::new("load");
    let image = sandbox.image("", NO_HEALTH);
    let wrong = load().port(9999).ready_within(Duration::from_secs(1));
    let error = run(&sandbox, wrong, &image).expect_err("nobody listens").to_string();
    assert!(error.contains("does it listen on 0.0.0.0?"), "{error}");
}

#[test]
fn a_server_that_ends_under_load_fails() {
    let mut sandbox = Sandbox::new("load");
    let image = sandbox.image(r#", "end-after", "40""#, NO_HEALTH);
    let outcome = run(&sandbox, load(), &image).expect("measured");
    assert!(codes(&outcome).contains(&"LOAD-002") && codes(&outcome).contains(&"LOAD-003"), "{:?}", outcome.findings);
    let ended = outcome.findings.iter().find(|finding| finding.code.as_str() == "LOAD-003").expect("a finding");
    assert!(ended.message.contains("exit code 9"), "{}", ended.message);
    assert!(ended.help.as_deref().is_some_and(|help| help.contains("too much to do")), "{:?}", ended.help);
}

#[test]
fn a_cancelled_load_leaves_no_container() {
    let mut sandbox = Sandbox::new("load");
    let image = sandbox.image("", NO_HEALTH);
    let step = load().during(Duration::from_secs(120)).build().expect("a load test");
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_secs(3));
            sandbox.cx.shared().cancel.cancel(CancelReason::FailFast);
        });
        step.run(&sandbox.cx, image).expect_err("cancelled")
    });
    assert!(matches!(error, StepError::Process(ProcessError::Cancelled { .. })), "{error}");
    // The cancelled run can ask nothing any more.
    let other = Sandbox::new("look");
    let filter = format!("label={LABEL_RUN}={}", sandbox.cx.shared().id);
    assert_eq!(other.docker(["ps", "--all", "--quiet", "--filter", &filter]), "");
}

#[test]
fn a_panic_leaves_no_container() {
    let mut sandbox = Sandbox::new("load");
    let image = sandbox.image("", NO_HEALTH);
    let spec = ContainerSpec::new(image.id, 8080);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let container = spec.start(&sandbox.cx).expect("ready");
        assert!(container.address().ip().is_loopback());
        assert_ne!(sandbox.containers(), "");
        panic!("as if a step had a bug");
    }));
    assert!(result.is_err());
    assert_eq!(sandbox.containers(), "");
}

#[test]
fn readiness_removes_what_is_left_of_runs_that_are_over_and_nothing_else() {
    let mut sandbox = Sandbox::new("ready");
    let image = sandbox.image("", NO_HEALTH);
    let now = jiff::Timestamp::now();
    // No process has the highest number there is.
    let over = format!("{LABEL_RUN}={}", RunId::new(now, i32::MAX as u32));
    let alive = format!("{LABEL_RUN}={}", RunId::new(now, std::process::id()));
    let name = format!("cicd-core-test-{}", std::process::id());
    let (volume_over, volume_alive) = (format!("{name}-over"), format!("{name}-alive"));
    let here = format!("{LABEL_OWNER}={}", owner());
    sandbox.docker(["volume", "create", "--label", &over, "--label", &here, &volume_over]);
    sandbox.docker(["volume", "create", "--label", &alive, "--label", &here, &volume_alive]);
    let network_over = sandbox.docker(["network", "create", "--label", &over, "--label", &here, &volume_over]);
    let mount = format!("{volume_over}:/data");
    let stays = sandbox.docker(["run", "--detach", "--label", &alive, "--label", &here, &image.id]);
    let goes = sandbox.docker([
        "run",
        "--detach",
        "--label",
        &over,
        "--label",
        &here,
        "--network",
        &network_over,
        "--volume",
        &mount,
        &image.id,
    ]);

    let outcome = Readiness::new().containers_max(100).run(&sandbox.cx, ());
    let exists =
        |kind: &str, id: &str| sandbox.cx.run(&docker([kind, "inspect", id])).is_ok_and(|captured| captured.success());
    let left = [exists("container", &goes), exists("network", &network_over), exists("volume", &volume_over)];
    let kept = [exists("container", &stays), exists("volume", &volume_alive)];
    let crowded = Readiness::new().containers_max(0).run(&sandbox.cx, ());
    sandbox.docker(["rm", "--force", &stays]);
    sandbox.docker(["volume", "rm", &volume_alive]);

    let outcome = outcome.expect("looked");
    assert_eq!((left, kept), ([false; 3], [true; 2]));
    assert_eq!(codes(&outcome), [""; 0], "{:?}", outcome.findings);
    assert!(outcome.value.leftovers_removed() >= 3 && outcome.value.containers_running() >= 1, "{:?}", outcome.value);
    let crowded = crowded.expect_err("too many").to_string();
    assert!(crowded.starts_with("READY-001: ") && crowded.contains(" app containers run, at most 0 may"), "{crowded}");
}

#[test]
fn readiness_without_an_answer_is_an_error() {
    for (script, part) in [
        ("echo 'Cannot connect to the Docker daemon' >&2; exit 1", "Cannot connect to the Docker daemon"),
        ("echo '\"\"'; echo 'error during connect' >&2", "error during connect"),
        ("sleep 60", "the Docker engine did not answer within 10 s"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let folder_path = Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8");
        let fake = folder_path.join("docker");
        let probes = "case \"$1\" in build) exit 0;; --version) echo 'Docker version 28.0.0'; exit 0;; esac";
        fs::write(&fake, format!("#!/bin/sh\n{probes}\n{script}\n")).expect("written");
        fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
        let sandbox = Sandbox::with_tools("ready", &[folder_path]);
        let error = Readiness::new().run(&sandbox.cx, ()).expect_err("no engine").to_string();
        assert!(error.contains(part), "{error}");
    }
}
