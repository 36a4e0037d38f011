use std::thread;
use std::time::Duration;

use super::BaseRecipe;
use crate::docker::{ImageDetails, docker, inspect_image, run_watched};
use crate::process::ProcessError;
use crate::step::{Context, StepError};

/// A base image has some ten megabytes; a network that cannot bring them in this time brings nothing that follows either.
const PULL_DEADLINE: Duration = Duration::from_secs(180);
/// A registry that drops one connection may answer the next.
const ATTEMPTS: u32 = 2;
const PAUSE: Duration = Duration::from_secs(1);

/// What the engine says when it could not talk to the registry. Anything else, such as "manifest unknown", "denied" or a
/// certificate that does not hold, is an answer, and no reason to use another image.
const UNREACHABLE: &[&str] = &[
    "no such host",
    "dial tcp",
    "i/o timeout",
    "TLS handshake timeout",
    "connection refused",
    "connection reset by peer",
    "network is unreachable",
    "no route to host",
    "Temporary failure in name resolution",
    "Client.Timeout exceeded",
    "context deadline exceeded",
    "502 Bad Gateway",
    "503 Service Unavailable",
    "504 Gateway Timeout",
];

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
    let mut attempt = 1;
    loop {
        cx.progress(format!("pulling {reference}"));
        let why = match run_watched(cx, &docker(["pull", "--"]).arg(&reference).deadline(PULL_DEADLINE)) {
            Ok(captured) if captured.success() => {
                let pulled = inspect_image(cx, &reference)?.ok_or_else(|| {
                    StepError::not_looked(
                        format!("the engine pulled {reference} and then did not have it"),
                        "look for something that removes images at the same time",
                    )
                })?;
                return Ok(Upstream::Here(Box::new(pulled)));
            }
            Ok(captured) if is_unreachable(&captured.stderr_text()) => last_line(&captured.stderr_text()),
            Ok(captured) => return Err(captured.require_success().map_or_else(Into::into, |_| unexpected())),
            Err(StepError::Process(ProcessError::TimedOut { deadline, .. })) => {
                return Ok(Upstream::Unreachable(format!("no answer within {} s", deadline.as_secs())));
            }
            Err(error) => return Err(error),
        };
        if attempt == ATTEMPTS {
            return Ok(Upstream::Unreachable(why));
        }
        attempt += 1;
        thread::sleep(PAUSE);
    }
}

fn unexpected() -> StepError {
    StepError::not_looked("a pull neither failed nor succeeded", "run the step again")
}

fn is_unreachable(stderr: &str) -> bool {
    UNREACHABLE.iter().any(|words| stderr.contains(words))
}

fn last_line(text: &str) -> String {
    text.lines().last().map_or_else(|| "no reason given".to_owned(), |line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_silent_registry_is_unreachable() {
        for silent in [
            "Error response from daemon: Get \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io on 10.0.0.1:53: no such host",
            "Error response from daemon: Get \"https://registry.example.org/v2/\": net/http: TLS handshake timeout",
        ] {
            assert!(is_unreachable(silent), "{silent}");
        }
        for answer in [
            "Error response from daemon: manifest for debian@sha256:0 not found: manifest unknown: manifest unknown",
            "Error response from daemon: pull access denied for x, repository does not exist or may require 'docker login'",
            "Error response from daemon: Get \"https://r/v2/\": x509: certificate signed by unknown authority",
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
            "",
        ] {
            assert!(!is_unreachable(answer), "{answer}");
        }
    }
}
