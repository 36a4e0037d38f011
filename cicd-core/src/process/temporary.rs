//! Temporary folders that the next run finds again: whoever is killed removes nothing.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::process::{Pid, geteuid, test_kill_process};
use tempfile::TempDir;

use super::has_ended;

/// What the name of each begins with.
const PREFIX: &str = "cicd-core-";
/// Nobody else reads what is being judged, or what a tool writes before secrets are removed from it.
const OWNER_ONLY: u32 = 0o700;
/// A folder for temporary files with more entries than this is not searched to its end: the sweep is no reason to wait.
const ENTRIES_MAX: usize = 100_000;

/// A temporary folder named `cicd-core-<area>-<process>-<start of the process>-<random>`, which only this user reads. It goes with
/// this value; where the process was killed, [`sweep_temporary`] of a later one removes it.
///
/// ```
/// use camino::Utf8Path;
/// use cicd_core::process::{Temporary, sweep_temporary};
///
/// # let folder = tempfile::tempdir()?;
/// # let folder = Utf8Path::from_path(folder.path()).ok_or("a name in UTF-8")?;
/// let temporary = Temporary::new_in(folder, "staged")?;
/// assert_eq!(sweep_temporary(folder), 0, "its process lives");
/// let path = temporary.path().to_owned();
/// drop(temporary);
/// assert!(!path.exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Temporary {
    folder: TempDir,
    path: Utf8PathBuf,
    /// The lock tells a process in another process namespace that this one lives. The system lets go of it when it dies.
    _lock: File,
}

impl Temporary {
    /// A new folder in `parent`. `area` says what it is for, in lower-case letters.
    ///
    /// # Errors
    /// When it cannot be made, or its path is not UTF-8.
    pub fn new_in(parent: &Utf8Path, area: &str) -> io::Result<Self> {
        let pid = std::process::id();
        let start = start_tick(pid).unwrap_or(0);
        let folder = tempfile::Builder::new()
            .prefix(&format!("{PREFIX}{area}-{pid}-{start}-"))
            .permissions(Permissions::from_mode(OWNER_ONLY))
            .tempdir_in(parent)?;
        // As tools will print it.
        let path = Utf8PathBuf::from_path_buf(folder.path().canonicalize()?).map_err(|path| {
            io::Error::other(format!("{} is not UTF-8; set TMPDIR to another folder", path.display()))
        })?;
        let lock = open_folder(&path)?;
        // A sweep holds it for a moment at most. On a file system without locks it is not swept at all.
        let _ = lock.lock();
        Ok(Self { folder, path, _lock: lock })
    }

    /// The folder, without links in its path.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Removes the folder, and tells when that fails, which dropping it does not.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn close(self) -> io::Result<()> {
        self.folder.close()
    }
}

/// Removes the temporary folders in `parent` whose process is gone, and gives how many there were. Only real folders of this user
/// are removed; what cannot be is tried again by the next sweep.
pub fn sweep_temporary(parent: &Utf8Path) -> usize {
    let Ok(entries) = parent.read_dir_utf8() else { return 0 };
    let found = entries.take(ENTRIES_MAX).flatten().filter(|entry| is_over(entry.file_name(), entry.path()));
    found.filter(|entry| fs::remove_dir_all(entry.path()).is_ok()).count()
}

/// Whether a folder is one of ours and its process is gone.
fn is_over(name: &str, path: &Utf8Path) -> bool {
    let Some((pid, start)) = parse(name) else { return false };
    let ours = path.symlink_metadata().is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw());
    if !ours || is_running(pid, start) {
        return false;
    }
    // Another process namespace has its own numbers, but the lock is the kernel's. Where nothing can be locked, only the number
    // would speak, and the number of another namespace says nothing.
    open_folder(path).is_ok_and(|folder| folder.try_lock().is_ok())
}

/// The process of a folder's name and its start.
fn parse(name: &str) -> Option<(Pid, u64)> {
    let mut parts = name.strip_prefix(PREFIX)?.rsplitn(4, '-');
    let (_random, start, pid, _area) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some((Pid::from_raw(pid.parse().ok()?)?, start.parse().ok()?))
}

fn is_running(pid: Pid, start: u64) -> bool {
    let exists = test_kill_process(pid).map_or_else(|error| error != rustix::io::Errno::SRCH, |()| true);
    // A later process with the same number has another start; one that cannot be told counts as the same.
    // One that has ended and that nobody has asked how still has its number, and its start.
    exists && !has_ended(pid) && start_tick(pid.as_raw_nonzero().get().unsigned_abs()).is_none_or(|now| now == start)
}

/// When a process started, in ticks since the machine did.
fn start_tick(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the start is the 20th field after it.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Opens a folder and nothing else: a link or a pipe of that name is an error.
fn open_folder(path: &Utf8Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::NOFOLLOW;
    OpenOptions::new().read(true).custom_flags(i32::try_from(flags.bits()).map_err(io::Error::other)?).open(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// No process has it: the kernel's own limit is lower.
    const NOBODY: u32 = 99_999_999;

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().expect("a folder");
        let parent = Utf8Path::from_path(parent.path()).expect("UTF-8");
        let living = Temporary::new_in(parent, "staged").expect("made");
        assert_eq!(fs::metadata(living.path()).expect("there").permissions().mode() & 0o777, OWNER_ONLY);
        let own = std::process::id();
        let gone = [format!("cicd-core-staged-{NOBODY}-5-abc"), format!("cicd-core-context-{own}-1-abc")];
        let stays = [
            "cicd-core-staged-x-5-abc".to_owned(),
            format!("other-staged-{NOBODY}-5-abc"),
            format!("cicd-core-{NOBODY}-5"),
            "cicd-core-staged-AbC123".to_owned(),
        ];
        for name in gone.iter().chain(&stays) {
            fs::create_dir_all(parent.join(name).join("below")).expect("made");
        }
        let elsewhere = tempfile::tempdir().expect("a folder");
        let link = parent.join(format!("cicd-core-staged-{NOBODY}-6-abc"));
        symlink(elsewhere.path(), &link).expect("linked");
        let locked = parent.join(format!("cicd-core-staged-{NOBODY}-7-abc"));
        fs::create_dir(&locked).expect("made");
        let lock = open_folder(&locked).expect("opened");
        lock.try_lock().expect("locked");

        assert_eq!(sweep_temporary(parent), gone.len());
        assert!(gone.iter().all(|name| !parent.join(name).exists()));
        assert!(stays.iter().all(|name| parent.join(name).join("below").exists()));
        assert!(
            living.path().exists() && link.symlink_metadata().is_ok() && elsewhere.path().exists() && locked.exists()
        );
        // Not only closed: a process that another test is about to start may have a copy.
        lock.unlock().expect("unlocked");
        assert_eq!(sweep_temporary(parent), 1, "its holder is gone, whatever namespace it was in");
        assert_eq!(sweep_temporary(&parent.join("nowhere")), 0);
    }
}
