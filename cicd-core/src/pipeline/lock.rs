use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::time::Duration;

use super::folder::area_path;
use crate::formats::printable::printable;
use crate::model::RunId;
use crate::process::Cancel;
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

/// How often a lock that another run holds is tried.
const LOCK_POLL: Duration = Duration::from_millis(100);

/// What goes on while a run waits for another one.
pub(super) struct Waiting<'a> {
    /// Ends the waiting.
    pub(super) cancel: &'a Cancel,
    /// Is told once who holds the checkout.
    pub(super) tell: &'a mut dyn FnMut(&str),
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
        waiting: &mut Waiting<'_>,
    ) -> Result<Self, StepError> {
        let folder = area_path(workspace, area);
        std::fs::create_dir_all(&folder).map_err(StepError::io("creating", &folder))?;
        let path = folder.join("lock");
        let io = || StepError::io("locking", path.clone());
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io())?;
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Err(io()(error)),
                Err(TryLockError::WouldBlock) => {}
            }
            if when_busy == WhenBusy::Stop {
                let what = format!("another run holds this checkout: {}", holder(&mut file).map_err(io())?);
                return Err(StepError::not_looked(what, "wait for it (--wait), or end that process"));
            }
            if !std::mem::replace(&mut told, true) {
                (waiting.tell)(&holder(&mut file).map_err(io())?);
            }
            if waiting.cancel.wait(LOCK_POLL) {
                return Err(StepError::not_looked("interrupted while another run held this checkout", "run it again"));
            }
        }
        name_holder(&mut file, &format!("{run}, process {}\n", std::process::id())).map_err(io())?;
        Ok(Self { _file: file })
    }
}

/// Who holds the lock, as it has written it.
fn holder(file: &mut File) -> io::Result<String> {
    let mut holder = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut holder)?;
    Ok(printable(&String::from_utf8_lossy(&holder)))
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
    use crate::process::CancelReason;

    fn acquire(
        workspace: &Workspace,
        when_busy: WhenBusy,
        cancel: &Cancel,
    ) -> (Result<RunLock, StepError>, Vec<String>) {
        let mut told = Vec::new();
        let mut tell = |holder: &str| told.push(holder.to_owned());
        let run = RunId::new(jiff::Timestamp::UNIX_EPOCH, 7);
        let lock = RunLock::acquire(workspace, "ci", &run, when_busy, &mut Waiting { cancel, tell: &mut tell });
        (lock, told)
    }

    #[test]
    fn a_second_run_is_told_who_holds_the_checkout() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let workspace = Workspace::at(camino::Utf8Path::from_path(dir.path()).expect("UTF-8"));
        let goes_on = Cancel::new().expect("descriptors");
        let holder = format!("19700101T000000.000Z-7, process {}", std::process::id());
        let first = acquire(&workspace, WhenBusy::Stop, &goes_on).0.expect("free");
        let error = acquire(&workspace, WhenBusy::Stop, &goes_on).0.expect_err("held");
        assert!(error.to_string().contains(&holder), "{error}");

        let interrupted = Cancel::new().expect("descriptors");
        interrupted.cancel(CancelReason::Signal(2));
        let (lock, told) = acquire(&workspace, WhenBusy::Wait, &interrupted);
        assert!(lock.is_err_and(|error| error.to_string().contains("interrupted")));
        assert_eq!(told, [holder]);

        let ends = std::thread::spawn(move || {
            std::thread::sleep(LOCK_POLL);
            drop(first);
        });
        acquire(&workspace, WhenBusy::Wait, &goes_on).0.expect("free in the end");
        ends.join().expect("the first run");
    }
}
