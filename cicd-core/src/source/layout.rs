use std::fs::{self, FileTimes, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::Source;
use super::blob::{name_of, open_plain, read_name};
use super::kinds::{Kind, SourceFile};

/// Why files cannot be laid out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayoutError {
    /// A file is not the one that was gathered.
    #[error("{0} changed while the run went on")]
    Changed(Utf8PathBuf),
    /// A file is a pipe or a device.
    #[error("{0} is neither a file nor a link")]
    Special(Utf8PathBuf),
    /// The system refuses.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// How a folder and a file look in every layout, whatever the umask was when they were checked out.
const FOLDER_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;
const EXECUTABLE_MODE: u32 = 0o755;

impl Source {
    /// Copies the tracked files that `wanted` names from the workspace at `root` to the same places below `into`, and gives how many
    /// there were. Each is compared with what was gathered while it is copied. Modes and times are the commit's: two layouts of one
    /// commit are alike.
    ///
    /// # Errors
    /// When a file has changed since, is no file, or cannot be copied.
    pub fn lay_out(
        &self,
        root: &Utf8Path,
        into: &Utf8Path,
        wanted: &dyn Fn(&Utf8Path) -> bool,
    ) -> Result<usize, LayoutError> {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(self.committed_s);
        let mut folders: Vec<Utf8PathBuf> = Vec::new();
        let mut count = 0;
        for file in self.files().iter().filter(|file| file.tracked && wanted(&file.path)) {
            let to = into.join(&file.path);
            let io = |source| LayoutError::Io { path: file.path.clone(), source };
            make_folders(into, &file.path, &mut folders).map_err(io)?;
            let content = self.copy(file, &root.join(&file.path), &to, time).map_err(io)?;
            match content {
                Some(content) if content == file.content || file.content.starts_with("stamp-") => count += 1,
                Some(_) => return Err(LayoutError::Changed(file.path.clone())),
                None => return Err(LayoutError::Special(file.path.clone())),
            }
        }
        // Whatever is put into a folder sets its time.
        for folder in folders.iter().rev() {
            set_times(folder, self.committed_s).map_err(|source| LayoutError::Io { path: folder.clone(), source })?;
        }
        Ok(count)
    }

    /// Copies one, and gives the name of what it holds; nothing where it is no file.
    fn copy(&self, file: &SourceFile, from: &Utf8Path, to: &Utf8Path, time: SystemTime) -> io::Result<Option<String>> {
        let mode = match file.kind {
            Kind::Link => {
                let target = fs::read_link(from)?;
                symlink(&target, to)?;
                set_times(to, self.committed_s)?;
                return Ok(Some(name_of(self.format, target.as_os_str().as_encoded_bytes())));
            }
            Kind::Plain => FILE_MODE,
            Kind::Executable => EXECUTABLE_MODE,
            Kind::Folder | Kind::Special => return Ok(None),
        };
        let (mut read, metadata) = open_plain(from)?;
        let mut written = OpenOptions::new().write(true).create_new(true).mode(mode).open(to)?;
        let content = read_name(self.format, &mut read, metadata.len(), &mut written)?;
        written.flush()?;
        written.set_permissions(Permissions::from_mode(mode))?;
        written.set_times(FileTimes::new().set_modified(time).set_accessed(time))?;
        Ok(Some(content))
    }
}

/// Makes the folders above a file, and remembers them from the top down.
fn make_folders(into: &Utf8Path, path: &Utf8Path, made: &mut Vec<Utf8PathBuf>) -> io::Result<()> {
    let above: Vec<&Utf8Path> = path.ancestors().skip(1).filter(|folder| !folder.as_str().is_empty()).collect();
    for folder in above.into_iter().rev() {
        let folder = into.join(folder);
        match fs::create_dir(&folder) {
            Ok(()) => {
                fs::set_permissions(&folder, Permissions::from_mode(FOLDER_MODE))?;
                made.push(folder);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Sets the times of a folder or of a link itself.
fn set_times(path: &Utf8Path, seconds: u64) -> io::Result<()> {
    let time = Timespec { tv_sec: i64::try_from(seconds).map_err(io::Error::other)?, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path.as_std_path(), &times, AtFlags::SYMLINK_NOFOLLOW)?)
}
