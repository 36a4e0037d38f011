use std::fs;
use std::io::Read;

use camino::Utf8PathBuf;

use super::distribution::{Distribution, read_distributions};
use crate::docker::{
    LABEL_OWNER, LABEL_RUN, QUERY_DEADLINE, docker, docker_tool, owner, removal_deadline, run_watched,
};
use crate::process::Invocation;
use crate::step::{Context, StepError};

pub(super) fn create(image: &str, run: &str, owner: &str) -> Invocation {
    docker(["container", "create", "--network", "none"])
        .args(["--label", &format!("{LABEL_RUN}={run}"), "--label", &format!("{LABEL_OWNER}={owner}")])
        // The command is never run; an image without one could not be created otherwise.
        .args([image, "true"])
        .deadline(QUERY_DEADLINE)
}

pub(super) fn export(container: &str, file: &camino::Utf8Path) -> Invocation {
    docker(["container", "export", "--output"]).arg(file).arg(container)
}

/// The Python packages of an image, read from a container that is never started. Container and archive are removed whatever
/// happens.
pub(super) fn packages_of(cx: &Context, image: &str) -> Result<Vec<Distribution>, StepError> {
    cx.require(&docker_tool())?;
    let created = cx.run_ok(&create(image, cx.shared().id.as_str(), &owner()))?;
    let id = created.stdout_text()?.trim().to_owned();
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id {
        return Err(StepError::not_looked(
            format!("docker created {id:?} instead of a container"),
            "see the step's log",
        ));
    }
    let archive = Archive { container: Container { cx: cx.clone(), id }, path: cx.dir().join("rootfs.tar") };
    run_watched(cx, &export(&archive.container.id, &archive.path))?.require_success()?;
    let open = || Ok(Box::new(std::io::BufReader::new(fs::File::open(&archive.path)?)) as Box<dyn Read>);
    let found = read_distributions(open)?;
    if found.is_empty() {
        return Err(StepError::not_looked(
            "the image holds no Python package",
            "check that it is the image with the application's dependencies",
        ));
    }
    archive.container.remove()?;
    Ok(found)
}

struct Archive {
    container: Container,
    path: Utf8PathBuf,
}

impl Drop for Archive {
    fn drop(&mut self) {
        // It is a copy of what is in the image; if it cannot be removed, it is only in the way.
        let _ = fs::remove_file(&self.path);
    }
}

struct Container {
    cx: Context,
    id: String,
}

impl Container {
    /// Removes it, even when the run has been cancelled.
    fn remove(&self) -> Result<(), StepError> {
        let call =
            docker(["container", "rm", "--force", "--volumes"]).arg(&self.id).deadline(removal_deadline(&self.cx));
        self.cx.clean_up(&call)?.require_success()?;
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Removing it twice is no error with `--force`; what is left after a failure has the run's label and is swept later.
        let _ = self.remove();
    }
}
