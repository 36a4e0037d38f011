use std::time::Duration;

use serde::Deserialize;

use super::silent;
use crate::formats::printable::printable;
use crate::process::{Invocation, ProcessError, ToolRequirement};
use crate::step::{Context, ReadError, StepError};

/// An engine that is well says in milliseconds who it is; one that needs longer is stuck, and would hang whatever asks it next.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// A question about one thing is answered in milliseconds; where it takes as long as this, the engine is stuck.
pub(crate) const QUERY_DEADLINE: Duration = ANSWER_DEADLINE;

/// Removal is tried for this long; what stays is left to the next run.
const REMOVE_DEADLINE: Duration = ANSWER_DEADLINE;

/// Less where the run is being cancelled: whoever cancels it kills it five seconds later at the earliest, and its record has to be
/// written by then.
const REMOVE_DEADLINE_CANCELLED: Duration = Duration::from_millis(1500);

/// Nobody listens there, so that what is asked of the client alone is answered by it alone: it may ask the engine before it
/// prints a mere version, and would wait for one that is stuck.
const NO_ENGINE: &str = "unix:///dev/null";

/// Docker, as the steps need it: able to build with BuildKit, whether by itself or through buildx.
///
/// The first `docker` on `PATH` may be a client without any builder; it is passed over.
#[must_use]
pub fn docker_tool() -> ToolRequirement {
    ToolRequirement::new("docker", ">=20.10")
        .probe(["build", "--help"], [("DOCKER_BUILDKIT", "1"), ("DOCKER_HOST", NO_ENGINE)])
}

/// Why no engine answers, in one line, and what to do about it, from what the client wrote to standard error.
#[must_use]
pub(crate) fn unreachable(said: &str) -> (String, &'static str) {
    let lines = || reasons(said);
    let refused = |line: &&str| line.to_lowercase().contains("permission denied");
    match lines().find(refused) {
        Some(line) => (
            format!("this user may not use the Docker engine: {}", printable(line)),
            "add yourself to the group docker (`sudo usermod --append --groups docker \"$USER\"`, then log in again), or point DOCKER_HOST at an engine of your own",
        ),
        None => (
            format!(
                "the Docker engine does not answer: {}",
                printable(lines().next().unwrap_or("the client gave no reason"))
            ),
            "start it (`sudo systemctl start docker`), or point DOCKER_HOST at one that runs; `cargo xtask doctor` tells more",
        ),
    }
}

/// What a client says of an engine that it cannot reach. Where it gets no answer, it prints its template's own complaint last, and an
/// old one nothing else, which says nothing of the reason.
pub(crate) fn reasons(said: &str) -> impl Iterator<Item = &str> {
    said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("template:"))
}

/// How long the engine may take to remove something that a step has made.
pub(crate) fn removal_deadline(cx: &Context) -> Duration {
    if cx.shared().cancel.is_cancelled() { REMOVE_DEADLINE_CANCELLED } else { REMOVE_DEADLINE }
}

/// A call of `docker` with BuildKit on and without the client's own messages.
#[must_use]
pub fn docker<const N: usize>(args: [&str; N]) -> Invocation {
    Invocation::tool("docker").env("DOCKER_BUILDKIT", "1").env("DOCKER_CLI_HINTS", "false").args(args)
}

/// The Docker engine that answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct EngineInfo {
    /// Its version.
    pub version: String,
    /// The operating system of its containers, such as `linux`.
    pub os: String,
    /// The architecture, such as `amd64`.
    #[serde(rename = "Arch")]
    pub architecture: String,
}

impl EngineInfo {
    /// The platform it builds for unless told otherwise, such as `linux/amd64`.
    #[must_use]
    pub fn platform(&self) -> String {
        format!("{}/{}", self.os, self.architecture)
    }
}

/// Asks the engine who it is.
///
/// # Errors
/// When it does not answer, or not as an engine.
pub fn engine_info(cx: &Context) -> Result<EngineInfo, StepError> {
    let question = docker(["version", "--format", "{{json .Server}}"]).deadline(ANSWER_DEADLINE);
    let captured = match cx.run(&question) {
        Err(StepError::Process(ProcessError::TimedOut { .. })) => return Err(silent("when it was asked who it is")),
        captured => captured?,
    };
    if !captured.success() {
        let (problem, fix) = unreachable(&captured.stderr_text());
        return Err(StepError::not_looked(problem, fix));
    }
    let info = serde_json::from_slice(&captured.stdout)
        .map_err(|error| ReadError::new("the answer of the Docker engine", error))?;
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_may_not_be_used_is_told_from_one_that_is_not_there() {
        for refused in [
            "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: dial unix: connect: permission denied\ntemplate: :1:7: executing \"\" at <.Server>: nil pointer evaluating",
            "template: :1:2: nil pointer\n\nERROR: permission denied while trying to connect to the docker API at unix:///var/run/docker.sock",
            "dial unix /run/user/1000/docker.sock: connect: Permission denied",
        ] {
            let (problem, fix) = unreachable(refused);
            assert!(
                problem.contains("may not use the Docker engine")
                    && problem.to_lowercase().contains("permission denied"),
                "{problem}"
            );
            assert!(!problem.contains("template") && !problem.contains("nil pointer"), "{problem}");
            assert!(fix.contains("group docker"), "{fix}");
        }
        for silent in [
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?\ntemplate: :1:7: nil pointer",
            "",
            "template: :1:7: nil pointer evaluating",
        ] {
            let (problem, fix) = unreachable(silent);
            assert!(
                problem.starts_with("the Docker engine does not answer: ") && !problem.contains("nil pointer"),
                "{problem}"
            );
            assert!(fix.contains("systemctl start docker"), "{fix}");
        }
    }
}
