use std::fs;
use std::io::{BufReader, Read};

use camino::{Utf8Path, Utf8PathBuf};

use super::files::{FileTree, read_file_system};
use super::{LABEL_OWNER, LABEL_RUN, QUERY_DEADLINE, docker, docker_tool, owner, removal_deadline, run_watched};
use crate::files;
use crate::process::Invocation;
use crate::step::{Context, ReadError, StepError};

/// The whole file system of an image as one archive, exported from a container that is never started. Container and archive
/// are removed whatever happens.
#[derive(Debug)]
pub(crate) struct ExportedImage {
    container: Container,
    path: Utf8PathBuf,
}

impl ExportedImage {
    /// Exports an image into the step's folder.
    ///
    /// # Errors
    /// When Docker cannot.
    pub(crate) fn of(cx: &Context, image: &str) -> Result<Self, StepError> {
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
        let this = Self { container: Container { cx: cx.clone(), id }, path: cx.dir().join("rootfs.tar") };
        run_watched(cx, &export(&this.container.id, &this.path))?.require_success()?;
        Ok(this)
    }

    /// All files of the image.
    ///
    /// # Errors
    /// When the archive is broken or holds far too much.
    pub(crate) fn files(&self) -> Result<FileTree, ReadError> {
        let open = || -> std::io::Result<Box<dyn Read>> { Ok(Box::new(BufReader::new(files::open(&self.path)?))) };
        read_file_system(open).map_err(|error| ReadError::new("the image's file system", error))
    }

    /// Removes the container, and says so when that fails.
    ///
    /// # Errors
    /// When Docker cannot.
    pub(crate) fn remove(&self) -> Result<(), StepError> {
        self.container.remove()
    }

    /// The command lines, for `--explain`.
    pub(crate) fn explain() -> Vec<Invocation> {
        vec![
            create("<image id>", "<run id>", "<owner>"),
            export("<container id>", Utf8Path::new("<step folder>/rootfs.tar")),
        ]
    }
}

fn create(image: &str, run: &str, owner: &str) -> Invocation {
    docker(["container", "create", "--network", "none"])
        .args(["--label", &format!("{LABEL_RUN}={run}"), "--label", &format!("{LABEL_OWNER}={owner}")])
        // The command is never run; an image without one could not be created otherwise.
        .args([image, "true"])
        .deadline(QUERY_DEADLINE)
}

fn export(container: &str, file: &Utf8Path) -> Invocation {
    docker(["container", "export", "--output"]).arg(file).arg(container)
}

impl Drop for ExportedImage {
    fn drop(&mut self) {
        // It is a copy of what is in the image; if it cannot be removed, it is only in the way.
        let _ = fs::remove_file(&self.path);
    }
}

#[derive(Debug)]
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
