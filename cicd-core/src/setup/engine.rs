use std::ffi::OsString;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::thread;
use std::time::{Duration, Instant};

use camino::Utf8Path;

use super::shell::Shell;
use super::{Engine, Init, SetupError, plan};
use crate::docker::{docker_tool, unreachable};
use crate::files;
use crate::process::{Cancel, Discard, Invocation, ProcessError, Tool, Toolbox, execute};

/// Where the id of an engine that setup started is kept.
pub(super) const PID_FILE: &str = "/run/cicd-core-dockerd.pid";
/// Where the output of an engine that setup started goes.
pub(super) const LOG_FILE: &str = "/var/log/cicd-core-dockerd.log";

/// An engine that answers at all answers at once; this is for a machine under load.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// A first start prepares its storage; longer than this and it will not come.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// How often a starting engine is asked.
const START_POLL: Duration = Duration::from_millis(300);
/// How much of the end of the log is shown.
const LOG_TAIL_BYTES: u64 = 2000;

/// Asks the engine through the first client that can build.
pub(super) fn look(program: &str, host: Option<&OsString>, shell: &Shell<'_>) -> Engine {
    let why = match answer(shell) {
        Answer::Version(version) => return Engine::Ready { version },
        Answer::Silence(why) => why,
        Answer::NoClient => return Engine::Missing,
    };
    let host = host.filter(|host| !host.is_empty());
    match (host, shell.toolbox().locate(program)) {
        (Some(host), _) => Engine::Remote { host: host.to_string_lossy().into_owned(), why },
        (None, Some(_)) => Engine::Stopped { why },
        (None, None) => Engine::Missing,
    }
}

/// What became of the question for the engine's version.
enum Answer {
    Version(String),
    Silence(String),
    NoClient,
}

fn answer(shell: &Shell<'_>) -> Answer {
    let toolbox = shell.toolbox();
    match toolbox.find(&docker_tool(), shell.cancel) {
        Ok(client) => match version(&client, &toolbox, shell.cancel) {
            Ok(version) => Answer::Version(version),
            Err(why) => Answer::Silence(why),
        },
        Err(_) => Answer::NoClient,
    }
}

/// The version of the engine that a client reaches, or why it reaches none.
pub(crate) fn version(client: &Tool, toolbox: &Toolbox, cancel: &Cancel) -> Result<String, String> {
    let mut question = Invocation::program(&client.path)
        .args(["version", "--format", "{{.Server.Version}}"])
        .deadline(ANSWER_DEADLINE);
    question.search_path = Some(toolbox.search_path().to_owned());
    let captured = match execute(&question, &client.path, &mut Discard, cancel) {
        Ok(captured) => captured,
        Err(ProcessError::TimedOut { .. }) => return Err(format!("no answer after {} s", ANSWER_DEADLINE.as_secs())),
        Err(error) => return Err(error.to_string()),
    };
    let version = captured.stdout_text().map_err(|error| error.to_string())?.trim();
    if captured.success() && !version.is_empty() {
        return Ok(version.to_owned());
    }
    Err(unreachable(&captured.stderr_text()).0)
}

/// Starts the engine, unless it answers already, and waits until it answers.
pub(super) fn start(init: Init, program: &Utf8Path, shell: &mut Shell<'_>) -> Result<(), SetupError> {
    // Where services are started on installation, the engine is up by now.
    if let Answer::Version(version) = answer(shell) {
        return shell.say(&format!("the Docker engine {version} answers already"));
    }
    shell.run_ok(&plan::start(init, program))?;
    let started = Instant::now();
    loop {
        let why = match answer(shell) {
            Answer::Version(version) => return shell.say(&format!("the Docker engine {version} answers")),
            Answer::Silence(why) => why,
            Answer::NoClient => "no `docker` client that can build was found".to_owned(),
        };
        if started.elapsed() >= START_PATIENCE {
            let (log, tail) = match init {
                Init::Systemd => ("journalctl --unit docker.service".to_owned(), String::new()),
                Init::Other => (LOG_FILE.to_owned(), tail(LOG_FILE.into())),
            };
            return Err(SetupError::EngineSilent { seconds: START_PATIENCE.as_secs(), why, log, tail });
        }
        thread::sleep(START_POLL);
    }
}

fn tail(path: &Utf8Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = files::open(path)?;
        let start = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.take(LOG_TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    read().unwrap_or_else(|error| format!("(cannot be read: {error})"))
}
