use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};

use super::folder::area_path;
use crate::model::RunId;
use crate::step::{StepError, Workspace};

/// What a second run in the same checkout does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenBusy {
    /// Says who holds the lock and ends.
    #[default]
    Stop,
    /// Waits until the other run has ended.
    Wait,
}

/// One run at a time in one checkout. The system lets go of the lock when its holder dies, however it dies, so it is never stale.
#[derive(Debug)]
pub(super) struct RunLock {
    _file: File,
}

impl RunLock {
    pub(super) fn acquire(
        workspace: &Workspace,
        area: &str,
        run: &RunId,
        when_busy: WhenBusy,
    ) -> Result<Self, StepError> {
        let folder = area_path(workspace, area);
        std::fs::create_dir_all(&folder).map_err(StepError::io("creating", &folder))?;
        let path = folder.join("lock");
        let io = || StepError::io("locking", path.clone());
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io())?;
        match (file.try_lock(), when_busy) {
            (Ok(()), _) => {}
            (Err(TryLockError::WouldBlock), WhenBusy::Wait) => file.lock().map_err(io())?,
            (Err(TryLockError::WouldBlock), WhenBusy::Stop) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(io())?;
                let what = format!("another run holds this checkout: {}", holder.trim());
                return Err(StepError::not_looked(what, "wait for it (--wait), or end that process"));
            }
            (Err(TryLockError::Error(error)), _) => return Err(io()(error)),
        }
        name_holder(&mut file, &format!("{run}, process {}\n", std::process::id())).map_err(io())?;
        Ok(Self { _file: file })
    }
}

fn name_holder(file: &mut File, holder: &str) -> io::Result<()> {
    file.rewind()?;
    file.write_all(holder.as_bytes())?;
    // Most holders are named in as many bytes, and cutting a file off costs as much as starting a process.
    if file.metadata()?.len() > holder.len() as u64 {
        file.set_len(holder.len() as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_run_is_told_who_holds_the_checkout() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let workspace = Workspace::at(camino::Utf8Path::from_path(dir.path()).expect("UTF-8"));
        let run = RunId::new(jiff::Timestamp::UNIX_EPOCH, 7);
        let first = RunLock::acquire(&workspace, "ci", &run, WhenBusy::Stop).expect("free");
        let error = RunLock::acquire(&workspace, "ci", &run, WhenBusy::Stop).expect_err("held");
        assert!(error.to_string().contains(run.as_str()), "{error}");
        drop(first);
        RunLock::acquire(&workspace, "ci", &run, WhenBusy::Stop).expect("free again");
    }
}
