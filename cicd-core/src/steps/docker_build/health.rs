use std::time::Duration;

use camino::Utf8Path;

use super::codes::ImageCode;
use crate::docker::{LABEL_OWNER, LABEL_RUN, docker, owner, removal_deadline};
use crate::formats::ImageConfig;
use crate::formats::printable::printable;
use crate::model::{Finding, Location};
use crate::process::{Exit, Invocation, ProcessError};
use crate::step::{Context, StepError};

/// A check that takes longer than this with nothing to talk to would not have said "healthy" either.
const CHECK_DEADLINE: Duration = Duration::from_secs(30);
/// What `docker run` itself ends with when the engine could not start the container.
const ENGINE_FAILED: i32 = 125;
/// A check needs little; one that takes more of the machine is stopped.
const MEMORY: &str = "512m";
const PROCESSES: &str = "256";

/// Runs the health check of an image where it has to fail: in a container in which the service was never started and which has no
/// network. One that passes there passes always.
pub(super) fn judge(
    cx: &Context,
    image: &str,
    config: &ImageConfig,
    dockerfile: &Utf8Path,
) -> Result<Option<Finding>, StepError> {
    let finding =
        |message: String| Some(Finding::new(ImageCode::HealthcheckEmpty, message).at(Location::file(dockerfile)));
    if config.health_check.first().is_some_and(|kind| kind == "NONE") {
        return Ok(finding("HEALTHCHECK NONE: the image says that nobody may ask for its health".to_owned()));
    }
    let Some(command) = config.health_command() else { return Ok(None) };
    let shown = printable(&command.join(" "));
    let Some((program, arguments)) = command.split_first() else { return Ok(None) };
    let name = format!("cicd-core-health-{}-{}", cx.shared().id, cx.step());
    let call = invocation(&name, cx.shared().id.as_str(), image, program).args(arguments);
    let captured = cx.run(&call);
    if !matches!(&captured, Ok(captured) if captured.exit != Exit::Code(ENGINE_FAILED)) {
        // The client is gone, but the container may go on.
        let gone = docker(["container", "rm", "--force", "--volumes"]).arg(&name).deadline(removal_deadline(cx));
        cx.clean_up(&gone)?;
    }
    let captured = match captured {
        Err(StepError::Process(ProcessError::TimedOut { .. })) => return Ok(None),
        captured => captured?,
    };
    match captured.exit {
        Exit::Code(0) => Ok(finding(format!("`{shown}` says healthy where nothing runs"))),
        // A user with a name that the image does not know is a finding of its own, and nothing of such an image can be run.
        Exit::Code(ENGINE_FAILED)
            if !config.user.starts_with(|c: char| c.is_ascii_digit()) && !config.user.is_empty() =>
        {
            Ok(None)
        }
        Exit::Code(code) if code == ENGINE_FAILED => {
            captured.require_success()?;
            Ok(None)
        }
        _ => Ok(None),
    }
}

fn invocation(name: &str, run: &str, image: &str, program: &str) -> Invocation {
    let owner = owner();
    docker([
        "run",
        "--rm",
        "--name",
        name,
        "--network",
        "none",
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
    ])
    .args(["--memory", MEMORY, "--pids-limit", PROCESSES, "--pull", "never"])
    .args(["--label", &format!("{LABEL_RUN}={run}"), "--label", &format!("{LABEL_OWNER}={owner}")])
    .args(["--entrypoint", program, image])
    .deadline(CHECK_DEADLINE)
}
