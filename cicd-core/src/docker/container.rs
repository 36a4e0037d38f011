use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};

use super::ready::{HttpProbe, health_probe};
use super::{LABEL_OWNER, LABEL_RUN, QUERY_DEADLINE, docker, owner, removal_deadline};
use crate::formats::{ContainerInspect, HealthCommand};
use crate::model::RunId;
use crate::process::{Invocation, ProcessError};
use crate::step::{Context, StepError};

/// Slow enough not to be load itself, fast enough that nobody waits for it.
const POLL: Duration = Duration::from_millis(100);
/// An engine that cannot start a container in this time is not well.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// After an engine has said nothing for as long as a log may take, removal is tried, but not waited for.
const LAST_TRY_DEADLINE: Duration = Duration::from_millis(500);
/// A log is kept up to this size by the engine, so that a container that prints without end fills no disk.
const LOG_SIZE_MAX: &str = "16m";
/// What a small service may use; a leak shows in the test and not on the machine.
const MEMORY_MIB_DEFAULT: u32 = 512;
/// Enough for a server with many threads, and the end of a fork bomb.
const PROCESSES_MAX: &str = "512";
/// The last lines of a log that a message shows.
const LOG_LINES_SHOWN: usize = 20;

/// A container to run for a while: what is in it and when it is ready.
///
/// It runs as in production and not more: read-only but for a small `/tmp`, without capabilities or new privileges, with limits on
/// memory and processes, and reachable on a free port of the loopback interface only.
#[derive(Debug, Clone)]
pub struct ContainerSpec {
    image: String,
    port: u16,
    env: Vec<(String, String)>,
    memory_mib: u32,
    ready_path: String,
    ready_status: u16,
    ready_within: Duration,
}

impl ContainerSpec {
    /// A container of an image (its id) that listens on a TCP port.
    #[must_use]
    pub fn new(image: impl Into<String>, port: u16) -> Self {
        Self {
            image: image.into(),
            port,
            env: Vec::new(),
            memory_mib: MEMORY_MIB_DEFAULT,
            ready_path: "/".to_owned(),
            ready_status: 200,
            ready_within: Duration::from_secs(60),
        }
    }

    /// The same container of another image.
    #[must_use]
    pub fn image(mut self, id: impl Into<String>) -> Self {
        self.image = id.into();
        self
    }

    /// Sets a variable. It is shown in the log; this is not for secrets.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Sets how much memory it may use, in MiB.
    #[must_use]
    pub fn memory_mib(mut self, memory: u32) -> Self {
        self.memory_mib = memory;
        self
    }

    /// Sets what it must answer before it is ready.
    #[must_use]
    pub fn ready_when(mut self, path: impl Into<String>, status: u16) -> Self {
        (self.ready_path, self.ready_status) = (path.into(), status);
        self
    }

    /// Sets how long it may take until it is ready.
    #[must_use]
    pub fn ready_within(mut self, time: Duration) -> Self {
        self.ready_within = time;
        self
    }

    /// The command line that starts it, for a run and the place of its process.
    #[must_use]
    pub fn invocation(&self, name: &str, run: &str, owner: &str) -> Invocation {
        let mut start = docker(["run", "--detach", "--pull", "never"])
            .args([
                "--name",
                name,
                "--label",
                &format!("{LABEL_RUN}={run}"),
                "--label",
                &format!("{LABEL_OWNER}={owner}"),
            ])
            .deadline(START_DEADLINE)
            .args(["--read-only", "--tmpfs", "/tmp:size=64m", "--cap-drop", "ALL"])
            .args(["--security-opt", "no-new-privileges", "--pids-limit", PROCESSES_MAX])
            .args(["--memory", &format!("{}m", self.memory_mib)])
            .args(["--log-driver", "json-file", "--log-opt", &format!("max-size={LOG_SIZE_MAX}")])
            // The image's health command is run by `start`, at once and not on a timer that would go off during a measurement.
            .arg("--no-healthcheck")
            .args(["--publish", &format!("127.0.0.1::{}", self.port)]);
        for (name, value) in &self.env {
            start = start.args(["--env", &format!("{name}={value}")]);
        }
        start.arg(&self.image)
    }

    /// Starts it and waits until it is ready: until the image's own health command succeeds inside (where the image has one) and
    /// the ready path answers outside.
    ///
    /// # Errors
    /// When it cannot be started, ends early or is not ready in time, with the last lines of its log. It is removed then.
    pub fn start(&self, cx: &Context) -> Result<Container, StepError> {
        let until = Instant::now() + self.ready_within;
        let health = self.health_command(cx)?;
        // From here on there may be something to remove, even if the engine is interrupted while it makes it.
        let mut container = Container::named(cx)?;
        cx.run_ok(&self.invocation(&container.name, cx.shared().id.as_str(), &owner()))?;
        let inspect = container.inspect()?;
        if !inspect.state.running {
            return Err(container.not_ready("ended before it was ready", &inspect.state.summary()));
        }
        let Some(port) = inspect.loopback_port(self.port) else {
            return Err(container.not_ready("has no published port", &inspect.state.summary()));
        };
        container.address = SocketAddr::from(([127, 0, 0, 1], port));
        self.wait(&container, health.as_ref(), until)?;
        Ok(container)
    }

    fn health_command(&self, cx: &Context) -> Result<Option<HealthCommand>, StepError> {
        let query = docker(["image", "inspect", "--format", "{{json .Config}}", &self.image]).deadline(QUERY_DEADLINE);
        let captured = cx.run_ok(&query)?;
        HealthCommand::read(captured.stdout_text()?).map_err(|error| {
            StepError::not_looked(
                format!("the configuration of image {} cannot be read: {error}", self.image),
                "report this with the version of the engine",
            )
        })
    }

    fn wait(&self, container: &Container, health: Option<&HealthCommand>, until: Instant) -> Result<(), StepError> {
        let http = HttpProbe { address: container.address, path: &self.ready_path, status: self.ready_status };
        let mut healthy = health.is_none();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let problem = match health {
                Some(command) if !healthy => health_probe(&container.cx, &container.name, command, left)?,
                _ => http.look(left),
            };
            match problem {
                None if healthy => return Ok(()),
                // Now that it is healthy inside, it has to answer outside.
                None => {
                    healthy = true;
                    continue;
                }
                Some(problem) => {
                    let state = container.inspect()?.state;
                    if !state.running {
                        return Err(container.not_ready("ended before it was ready", &state.summary()));
                    }
                    if until <= Instant::now() {
                        let after = format!("is not ready after {} s", self.ready_within.as_secs_f32());
                        return Err(container.not_ready(&after, &problem));
                    }
                }
            }
            thread::sleep(POLL.min(until.saturating_duration_since(Instant::now())));
        }
    }
}

/// A running container. It is removed when this value goes, whatever the reason: an error, a panic or a cancelled run.
#[derive(Debug)]
pub struct Container {
    cx: Context,
    name: String,
    address: SocketAddr,
    log_path: Utf8PathBuf,
    removed: bool,
}

impl Container {
    fn named(cx: &Context) -> Result<Self, StepError> {
        Ok(Self {
            cx: cx.clone(),
            name: unused_name(&cx.shared().id, cx.step().as_str()),
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            log_path: unused_log(cx.dir())?,
            removed: false,
        })
    }

    /// Where it is reached.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its log will be once it is removed: `container.log` in the step's folder, `container-2.log` for the second one.
    #[must_use]
    pub fn log_path(&self) -> &Utf8Path {
        &self.log_path
    }

    /// What it is doing now.
    ///
    /// # Errors
    /// When the engine does not say.
    pub fn inspect(&self) -> Result<ContainerInspect, StepError> {
        let query = docker(["inspect", "--type", "container", "--format", "{{json .}}", &self.name]);
        let captured = self.cx.run_ok(&query.deadline(QUERY_DEADLINE))?;
        ContainerInspect::read(captured.stdout_text()?).map_err(|error| {
            StepError::not_looked(
                format!("the state of container {} cannot be read: {error}", self.name),
                "report this with the version of the engine",
            )
        })
    }

    /// The last lines that it wrote, or why they cannot be shown.
    #[must_use]
    pub fn last_lines(&self) -> String {
        let logs = docker(["logs", "--tail", &LOG_LINES_SHOWN.to_string(), &self.name]).deadline(QUERY_DEADLINE);
        match self.cx.run(&logs) {
            Ok(captured) => {
                let stdout = String::from_utf8_lossy(&captured.stdout);
                let lines = [stdout.trim_end(), captured.stderr_text().trim_end()].join("\n").trim().to_owned();
                if lines.is_empty() { "(it wrote nothing)".to_owned() } else { lines }
            }
            Err(error) => format!("(its log cannot be shown: {error})"),
        }
    }

    /// Saves its log in [`log_path`](Self::log_path) and removes it with its volumes.
    ///
    /// # Errors
    /// When it is still there afterwards, or the log could not be kept.
    pub fn remove(mut self) -> Result<(), StepError> {
        self.put_away()
    }

    fn put_away(&mut self) -> Result<(), StepError> {
        self.removed = true;
        let deadline = removal_deadline(&self.cx);
        let logs = docker(["logs", "--timestamps", &self.name]).deadline(deadline);
        let kept = self.cx.keep_output(&logs, &self.log_path);
        let silent = matches!(kept, Err(StepError::Process(ProcessError::TimedOut { .. })));
        let deadline = if silent { LAST_TRY_DEADLINE } else { deadline };
        let remove = docker(["rm", "--force", "--volumes", &self.name]).deadline(deadline);
        let removed = self.cx.clean_up(&remove)?;
        // Its exit code says different things in different versions; what counts is whether the container is there.
        let filter = format!("name=^/?{}$", self.name);
        let list = docker(["ps", "--all", "--quiet", "--filter", &filter]).deadline(deadline);
        let left = self.cx.clean_up(&list)?.require_success()?;
        if !left.stdout_text()?.trim().is_empty() {
            return Err(StepError::not_looked(
                format!("container {} cannot be removed: {}", self.name, removed.stderr_text()),
                format!("remove it with `docker rm --force {}`", self.name),
            ));
        }
        kept.map(drop)
    }

    fn not_ready(&self, what: &str, detail: &str) -> StepError {
        StepError::not_looked(
            format!("the container {what}: {detail}"),
            format!("the last lines of its log:\n{}", self.last_lines()),
        )
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if !self.removed
            && let Err(error) = self.put_away()
        {
            self.cx.progress(format!("left behind: {error}"));
        }
    }
}

/// A file for a log that no other container of the step has: it is taken by being made.
fn unused_log(dir: &Utf8Path) -> Result<Utf8PathBuf, StepError> {
    let mut number = 1;
    loop {
        let name = if number == 1 { "container.log".to_owned() } else { format!("container-{number}.log") };
        let path = dir.join(name);
        match File::create_new(&path) {
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(StepError::io("creating", path)(error)),
        }
    }
}

/// A name that no other container of this machine has: runs differ by their id, containers of one run by step and number.
fn unused_name(run: &RunId, step: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("cicd-core-{run}-{step}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_confined_and_carries_its_run() {
        let line =
            ContainerSpec::new("sha256:abc", 8080).env("MODE", "a b").invocation("it", "run-1", "here").to_string();
        for part in [
            "--label 'dev.cicd-core.run=run-1'",
            "--read-only",
            "--cap-drop ALL",
            "--security-opt no-new-privileges",
            "--memory 512m",
            "--pids-limit 512",
            "--publish 127.0.0.1::8080",
            "--pull never",
            "'MODE=a b'",
        ] {
            assert!(line.contains(part), "{part} is not in {line}");
        }
        assert!(line.ends_with(" sha256:abc"), "{line}");
    }

    #[test]
    fn each_container_of_a_step_has_a_log_of_its_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let names = [(); 3].map(|()| unused_log(dir).expect("made").file_name().map(str::to_owned));
        assert_eq!(names, ["container.log", "container-2.log", "container-3.log"].map(|name| Some(name.to_owned())));
        assert!(unused_log(&dir.join("missing")).is_err());
    }

    #[test]
    fn names_differ_and_are_such_as_the_engine_takes() {
        let run = RunId::new(jiff::Timestamp::UNIX_EPOCH, 4711);
        let (first, second) = (unused_name(&run, "load"), unused_name(&run, "load"));
        assert_ne!(first, second);
        assert!(first.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')), "{first}");
    }
}
