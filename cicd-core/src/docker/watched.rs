use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;

use super::{ANSWER_DEADLINE, docker, docker_tool};
use crate::process::{Cancel, CancelReason, Captured, Discard, Invocation, ProcessError, execute};
use crate::step::{Context, StepError, is_full};

/// How often the engine is asked whether it is still there. Asking costs it less than a millisecond.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// So many questions in a row without an answer mean that it is stuck; a busy disk may hold up one.
const SILENCES_MAX: u32 = 2;
/// How soon a cancelled run is heard, and the end of the call.
const POLL: Duration = Duration::from_millis(20);

/// Runs a call of `docker` that may take long, such as a build: an engine that stops answering meanwhile ends it within half a
/// minute, and not at the call's own deadline of up to an hour.
///
/// # Errors
/// As [`Context::run`], and when the engine stopped answering.
pub(crate) fn run_watched(cx: &Context, invocation: &Invocation) -> Result<Captured, StepError> {
    let tool = cx.require(&docker_tool())?;
    // Heard by this call alone: a stuck engine is no reason to cancel the run.
    let stop = Cancel::new().map_err(StepError::io("making a pipe in", cx.dir_unmade()))?;
    let over = AtomicBool::new(false);
    let watcher = Watcher { cx, docker: &tool.path, stop: &stop, over: &over };
    let result = thread::scope(|scope| {
        scope.spawn(|| watcher.watch());
        let result = cx.run_until(invocation, &stop);
        over.store(true, Ordering::SeqCst);
        result
    });
    match result {
        Err(StepError::Process(ProcessError::Cancelled { command, .. })) => match cx.shared().cancel.reason() {
            Some(reason) => Err(ProcessError::Cancelled { command, reason }.into()),
            None => Err(silent(&format!("while it was asked to `{command}`"))),
        },
        result => result,
    }
}

/// The engine took a question and gave no answer.
pub(crate) fn silent(when: &str) -> StepError {
    StepError::not_looked(
        format!("the Docker engine did not answer within {} s {when}", ANSWER_DEADLINE.as_secs()),
        "look into its log, restart it (`sudo systemctl restart docker`), and run again: what is left is removed then",
    )
}

struct Watcher<'a> {
    cx: &'a Context,
    docker: &'a camino::Utf8Path,
    stop: &'a Cancel,
    over: &'a AtomicBool,
}

impl Watcher<'_> {
    fn watch(&self) {
        let run = &self.cx.shared().cancel;
        let storage = self.storage();
        let mut has_room = true;
        let mut silences = 0;
        let mut asked = Instant::now();
        while !self.over.load(Ordering::SeqCst) {
            if let Some(reason) = run.reason() {
                self.stop.cancel(reason);
                if run.is_urgent() {
                    self.stop.hurry();
                }
            } else if asked.elapsed() >= ASK_EVERY || silences > 0 {
                silences = if self.answers() { 0 } else { silences + 1 };
                asked = Instant::now();
                if silences >= SILENCES_MAX {
                    self.stop.cancel(CancelReason::FailFast);
                    return;
                }
            }
            // Looked at all the time: the builder removes what a failed instruction has written before anybody hears of it.
            if let Some(storage) = storage.as_deref().filter(|storage| has_room && is_full(storage)) {
                has_room = false;
                self.cx.no_room(format!("nothing more fitted into {storage}, where the Docker engine keeps images"));
            }
            thread::sleep(POLL);
        }
    }

    /// Where the engine keeps its images, if that is a folder of this machine.
    fn storage(&self) -> Option<Utf8PathBuf> {
        let question = docker(["info", "--format", "{{json .DockerRootDir}}"]).deadline(ANSWER_DEADLINE);
        let answer = execute(&question, self.docker, &mut Discard, self.stop).ok().filter(Captured::success)?;
        let folder: Utf8PathBuf = serde_json::from_slice(&answer.stdout).ok()?;
        folder.is_absolute().then_some(folder)
    }

    /// Whether it gave an answer, if only that it is not there: the call itself sees that too.
    fn answers(&self) -> bool {
        let question = docker(["version", "--format", "{{.Server.Version}}"]).deadline(ANSWER_DEADLINE);
        let answer = execute(&question, self.docker, &mut Discard, &self.cx.shared().cancel);
        !matches!(answer, Err(ProcessError::TimedOut { .. }))
    }
}
