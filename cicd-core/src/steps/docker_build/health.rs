use std::time::Duration;

use camino::Utf8Path;

use super::codes::ImageCode;
use crate::docker::{LABEL_OWNER, LABEL_RUN, docker, owner, removal_deadline};
use crate::formats::ImageConfig;
use crate::formats::printable::printable;
use crate::model::{Finding, Location};
use crate::process::{Exit, Invocation, ProcessError};
use crate::step::{Context, StepError};

/// How long the engine lets a check run that says nothing of it.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// A check that may take longer is no check that anybody waits for, and a build does not wait for it either.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// What the engine needs to start a container, on a machine with much else to do: the check has all of its own time beside it.
const START: Duration = Duration::from_secs(10);
/// Waits for a line that never comes, without another program.
const IDLE: &str = "read -r _";
/// What `docker run` itself ends with when the engine could not start the container.
const ENGINE_FAILED: i32 = 125;
/// A check needs little; one that takes more of the machine is stopped.
const MEMORY: &str = "512m";
const PROCESSES: &str = "256";

/// Runs the health check of an image where it has to fail: alone in a container, and then, where the image has a shell, beside one that
/// does nothing and stands where the service would. One that passes there passes always. Both have a network, as the service has one in
/// production. A check that looks for what the entry point leaves behind passes in neither.
pub(super) fn judge(
    cx: &Context,
    image: &str,
    config: &ImageConfig,
    dockerfile: &Utf8Path,
) -> Result<Option<Finding>, StepError> {
    let finding =
        |message: String| Some(Finding::new(ImageCode::HealthcheckEmpty, message).at(Location::file(dockerfile)));
    // An image without one is a finding of its own.
    let Some(kind) = config.health_check.first().filter(|kind| *kind != "NONE") else { return Ok(None) };
    let command = config.health_command().into_iter().flatten().collect::<Vec<_>>();
    let shown = printable(&command.join(" "));
    let Some((program, arguments)) = command.split_first() else {
        return Ok(finding(format!("HEALTHCHECK {} names no command", printable(kind))));
    };
    let name = format!("cicd-core-health-{}-{}", cx.shared().id, cx.step());
    // What does not end within its own time is not healthy to the engine.
    let timeout = config.health_timeout.unwrap_or(TIMEOUT_DEFAULT);
    let run = cx.shared().id.as_str();
    let call = invocation(&["--rm"], &name, run, image, program).args(arguments);
    let call = call.deadline(timeout.min(TIMEOUT_MAX) + START);
    let captured = cx.run(&call);
    if !matches!(&captured, Ok(captured) if captured.exit != Exit::Code(ENGINE_FAILED)) {
        // The client is gone, but the container may go on.
        let gone = docker(["container", "rm", "--force", "--volumes"]).arg(&name).deadline(removal_deadline(cx));
        cx.clean_up(&gone)?;
    }
    let captured = match captured {
        Err(StepError::Process(ProcessError::TimedOut { .. })) if timeout <= TIMEOUT_MAX => return Ok(None),
        Err(StepError::Process(ProcessError::TimedOut { .. })) => {
            let (may, waited) = (timeout.as_secs(), TIMEOUT_MAX.as_secs());
            return Ok(finding(format!(
                "`{shown}` may take {may} s and did not end within {waited} s where nothing runs, so that nobody can tell what it says there"
            )));
        }
        captured => captured?,
    };
    match captured.exit {
        Exit::Code(0) => Ok(finding(format!("`{shown}` says healthy where nothing runs"))),
        // Nothing of an image can be run whose user has a name that it does not know, and so nobody can tell what the check says.
        Exit::Code(ENGINE_FAILED)
            if !config.user.starts_with(|c: char| c.is_ascii_digit()) && !config.user.is_empty() =>
        {
            let user = printable(&config.user);
            Ok(finding(format!("`{shown}` cannot be run: the engine starts nothing as the image's USER {user}")))
        }
        Exit::Code(code) if code == ENGINE_FAILED => {
            captured.require_success()?;
            Ok(None)
        }
        _ => {
            let shell = config.shell.first().map_or("/bin/sh", String::as_str);
            let idle = invocation(&["--detach", "--interactive"], &name, run, image, shell).args(["-c", IDLE]);
            let passes = passes_beside(cx, &idle, &name, &command, timeout.min(TIMEOUT_MAX) + START)?;
            Ok(finding(format!("`{shown}` says healthy beside a shell that does nothing")).filter(|_| passes))
        }
    }
}

/// Whether the check passes where something runs that is not the service. Where the image has no shell, nothing can stand there.
fn passes_beside(
    cx: &Context,
    idle: &Invocation,
    name: &str,
    command: &[String],
    deadline: Duration,
) -> Result<bool, StepError> {
    let started = cx.run(&idle.clone().deadline(START));
    let check = docker(["exec"]).arg(name).args(command).deadline(deadline);
    let answer = match &started {
        Ok(started) if started.success() => Some(cx.run(&check)),
        _ => None,
    };
    cx.clean_up(&docker(["container", "rm", "--force", "--volumes"]).arg(name).deadline(removal_deadline(cx)))?;
    started?;
    match answer {
        None | Some(Err(StepError::Process(ProcessError::TimedOut { .. }))) => Ok(false),
        Some(answer) => Ok(answer?.success()),
    }
}

fn invocation(how: &[&str], name: &str, run: &str, image: &str, program: &str) -> Invocation {
    let owner = owner();
    docker(["run"])
        .args(how.iter().copied())
        .args(["--name", name, "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--no-healthcheck"])
        .args(["--memory", MEMORY, "--pids-limit", PROCESSES, "--pull", "never"])
        .args(["--label", &format!("{LABEL_RUN}={run}"), "--label", &format!("{LABEL_OWNER}={owner}")])
        .args(["--entrypoint", program, image])
}
