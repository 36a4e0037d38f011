use std::time::Duration;

use super::BaseRecipe;
use crate::docker::{ImageDetails, docker, inspect_image, run_watched};
use crate::process::ProcessError;
use crate::step::{Context, StepError};

/// A base image has some ten megabytes; a network that cannot bring them in this time brings nothing that follows either.
const PULL_DEADLINE: Duration = Duration::from_secs(180);

/// Where the upstream image is.
#[derive(Debug)]
pub(super) enum Upstream {
    /// In the engine, by its digest.
    Here(Box<ImageDetails>),
    /// Nowhere to be had, and why.
    Unreachable(String),
}

/// Makes sure that the engine has the upstream image, by its digest.
pub(super) fn pull(cx: &Context, recipe: &BaseRecipe) -> Result<Upstream, StepError> {
    let reference = recipe.pinned();
    if let Some(details) = inspect_image(cx, &reference)? {
        return Ok(Upstream::Here(Box::new(details)));
    }
    cx.progress(format!("pulling {reference}"));
    let error = match run_watched(cx, &docker(["pull", "--"]).arg(&reference).deadline(PULL_DEADLINE))
        .and_then(|captured| Ok(captured.require_success()?))
        .map_err(StepError::by_network)
    {
        Ok(_) => {
            let pulled = inspect_image(cx, &reference)?.ok_or_else(|| {
                StepError::not_looked(
                    format!("the engine pulled {reference} and then did not have it"),
                    "look for something that removes images at the same time",
                )
            })?;
            return Ok(Upstream::Here(Box::new(pulled)));
        }
        Err(error) => error,
    };
    // Anything but a network's failure, such as "manifest unknown" or "denied", is an answer, and no reason to use another image.
    let other_way = recipe.packages.is_some();
    match error {
        // Another image is the last resort, but where there is no way to a registry there will be none in a second.
        StepError::Transient { cause, error } if !cx.is_last_attempt() && (cause.is_of_a_server() || !other_way) => {
            Err(error.caused_by(Some(cause)))
        }
        StepError::Transient { error, .. } => match *error {
            StepError::Process(ProcessError::Exited { stderr, .. }) => Ok(Upstream::Unreachable(last_line(&stderr))),
            StepError::Process(ProcessError::TimedOut { deadline, .. }) => {
                Ok(Upstream::Unreachable(format!("no answer within {} s", deadline.as_secs())))
            }
            error => Err(error),
        },
        error => Err(error),
    }
}

fn last_line(text: &str) -> String {
    text.lines().last().map_or_else(|| "no reason given".to_owned(), |line| line.trim().to_owned())
}
