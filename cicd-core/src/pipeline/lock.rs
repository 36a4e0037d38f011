use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use camino::Utf8Path;

use super::folder::area_path;
use crate::files::Folder;
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

/// How long a run that would not wait tries for all that: one that was killed a moment ago lets go of its lock when its process is
/// gone, which may be later than whoever killed it knows.
const ENDING_PATIENCE: Duration = Duration::from_secs(1);

/// What goes on while a run waits for another one.
pub(super) struct Waiting<'a> {
    /// Ends the waiting.
    pub(super) cancel: &'a Cancel,
    /// Is told once who holds the checkout.
    pub(super) tell: &'a mut dyn FnMut(&str),
}

/// The file in which the holder of the lock is named. The lock itself is on the folder that it is in, so that nothing that happens
/// to the file lets a second run in.
const HOLDER: &str = "lock";

/// What is locked where the file system locks no folders, as NFS.
const LOCKED: &str = "locked";

/// No holder's name is longer.
const HOLDER_BYTES_MAX: u64 = 4096;

/// One run at a time in one checkout. The system lets go of the lock when its holder dies, however it dies, so it is never stale.
#[derive(Debug)]
pub(super) struct RunLock {
    locked: File,
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // A process that is about to be started has a copy of the descriptor: closing ours alone would leave the folder locked.
        // Where that fails, closing it is all that is left.
        let _ = self.locked.unlock();
    }
}

impl RunLock {
    pub(super) fn acquire(
        workspace: &Workspace,
        area: &str,
        run: &RunId,
        when_busy: WhenBusy,
        waiting: &mut Waiting<'_>,
    ) -> Result<Self, StepError> {
        let path = area_path(workspace, area);
        let io = || StepError::io("locking", path.clone());
        let mut told = false;
        let started = Instant::now();
        loop {
            std::fs::create_dir_all(&path).map_err(StepError::io("creating", &path))?;
            // Whoever has `target/ci` on another disk may link it there.
            let path = path.canonicalize_utf8().map_err(io())?;
            let area = Folder::open(&path).map_err(io())?;
            let folder = area.as_file().map_err(io())?;
            match locked(&area).map_err(io())? {
                Some(locked) if is_at(&folder, &path) => {
                    let holder = format!("{run}, process {}\n", std::process::id());
                    area.create(HOLDER).and_then(|mut file| file.write_all(holder.as_bytes())).map_err(io())?;
                    return Ok(Self { locked });
                }
                // It was removed and made again since it was opened: the lock is one of nothing.
                Some(_) => continue,
                None => {}
            }
            if when_busy == WhenBusy::Stop && started.elapsed() >= ENDING_PATIENCE {
                let what = format!("another run holds this checkout: {}", holder(&area));
                return Err(StepError::not_looked(what, "wait for it (--wait), or end that process"));
            }
            if when_busy == WhenBusy::Wait && !std::mem::replace(&mut told, true) {
                (waiting.tell)(&holder(&area));
            }
            if waiting.cancel.wait(LOCK_POLL) {
                return Err(StepError::not_looked("interrupted while another run held this checkout", "run it again"));
            }
        }
    }

    /// The lock of another area than that of this run, if nobody holds it.
    pub(super) fn free(area: &Utf8Path) -> Option<Self> {
        let area = Folder::open(area).ok()?;
        Some(Self { locked: locked(&area).ok()?? })
    }
}

/// What holds the lock as long as it is open; nothing where another process holds it.
fn locked(area: &Folder) -> io::Result<Option<File>> {
    let folder = area.as_file()?;
    let locked = match folder.try_lock() {
        Err(TryLockError::Error(_)) => area.lockable(LOCKED)?,
        Err(TryLockError::WouldBlock) => return Ok(None),
        Ok(()) => return Ok(Some(folder)),
    };
    match locked.try_lock() {
        Err(TryLockError::Error(error)) => Err(error),
        Err(TryLockError::WouldBlock) => Ok(None),
        Ok(()) => Ok(Some(locked)),
    }
}

fn is_at(folder: &File, path: &Utf8Path) -> bool {
    let place = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let (ours, there) = (folder.metadata().map(place), std::fs::metadata(path).map(place));
    matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
}

/// Who holds the lock, as it has written it.
fn holder(area: &Folder) -> String {
    match area.read(HOLDER, HOLDER_BYTES_MAX) {
        Ok(holder) => printable(&String::from_utf8_lossy(&holder)),
        Err(error) => format!("an unknown process ({HOLDER}: {error})"),
    }
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

    #[test]
    fn nothing_that_happens_to_the_lock_file_lets_a_second_run_in_or_is_followed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let workspace = Workspace::at(Utf8Path::from_path(dir.path()).expect("UTF-8"));
        let goes_on = Cancel::new().expect("descriptors");
        let file = area_path(&workspace, "ci").join("lock");
        let precious = workspace.path("precious");
        std::fs::write(&precious, "precious").expect("written");
        std::fs::create_dir_all(area_path(&workspace, "ci")).expect("made");
        std::os::unix::fs::symlink(&precious, &file).expect("linked");
        let first = acquire(&workspace, WhenBusy::Stop, &goes_on).0.expect("free");
        let held = |what: &str| {
            let error = acquire(&workspace, WhenBusy::Stop, &goes_on).0.expect_err(what);
            assert!(error.to_string().contains("another run holds this checkout"), "{what}: {error}");
        };
        held("as it is");
        std::fs::remove_file(&file).expect("there");
        held("removed");
        std::fs::write(&file, "x").expect("written");
        held("replaced by another file");
        std::fs::remove_file(&file).expect("there");
        std::os::unix::fs::symlink(&precious, &file).expect("linked");
        held("replaced by a link");
        assert_eq!(std::fs::read_to_string(&precious).expect("there"), "precious");
        drop(first);
        // Who removes the folder takes the lock with it; the new folder has a lock of its own, which is held in turn.
        let second = acquire(&workspace, WhenBusy::Stop, &goes_on).0.expect("free");
        std::fs::remove_dir_all(area_path(&workspace, "ci")).expect("removed");
        let _third = acquire(&workspace, WhenBusy::Stop, &goes_on).0.expect("another folder");
        drop(second);
        held("the new folder");
    }
}
