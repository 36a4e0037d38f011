use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::{AtomicU64, Ordering};

use camino::Utf8Path;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode};

use super::open::{not_regular, read_to_end};

/// A folder with more entries is no folder of reports; looking through it would take all memory.
const ENTRIES_MAX: usize = 1_000_000;
/// Folders below this depth are moved up before they are removed, or the descriptors would run out.
const DEPTH_MAX: usize = 64;

/// Makes the names of unfinished files of this process differ.
static NEXT: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
thread_local! {
    /// What was put on disk, in order.
    pub(crate) static ORDER: std::cell::RefCell<Vec<String>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Lets a test see in which order things are put on disk.
fn note(what: impl FnOnce() -> String) {
    #[cfg(test)]
    ORDER.with_borrow_mut(|order| order.push(what()));
    #[cfg(not(test))]
    let _ = what;
}

/// Puts what was written into a file on disk.
pub(crate) fn sync(file: &File, name: &str) -> io::Result<()> {
    file.sync_all()?;
    note(|| format!("sync {name}"));
    Ok(())
}

/// What something in a folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Folder,
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// Something in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) kind: Kind,
    /// The size, as it is told: a file of this size need not take so much room.
    pub(crate) bytes: u64,
    /// Whether the file has another name too, here or elsewhere.
    pub(crate) has_other_names: bool,
    pub(crate) mode: RawMode,
}

/// An open folder. What is done in it is done in this very one, wherever its name leads meanwhile, and no link in it is followed.
#[derive(Debug)]
pub(crate) struct Folder(OwnedFd);

impl Folder {
    /// Opens a folder; the last part of the path is no link.
    pub(crate) fn open(path: &Utf8Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::openat(CWD, path.as_str(), folder_flags(), Mode::empty())?))
    }

    /// Opens a folder in this one.
    pub(crate) fn child(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        Ok(Self(rustix::fs::openat(&self.0, name.as_ref(), folder_flags(), Mode::empty())?))
    }

    /// Makes a folder in this one if there is none, and opens it.
    pub(crate) fn make(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.0, name.as_ref(), Mode::from_raw_mode(0o777)) {
            Err(rustix::io::Errno::EXIST) | Ok(()) => self.child(name),
            Err(error) => Err(error.into()),
        }
    }

    /// The folder itself, such as to lock it.
    pub(crate) fn as_file(&self) -> io::Result<File> {
        Ok(File::from(self.0.try_clone()?))
    }

    /// What is in it.
    pub(crate) fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for found in Dir::read_from(&self.0)? {
            let found = found?;
            let name = OsStr::from_bytes(found.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if entries.len() == ENTRIES_MAX {
                return Err(io::Error::other(format!("a folder has more than {ENTRIES_MAX} entries")));
            }
            match self.entry(name) {
                // It was removed since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                entry => entries.push(entry?),
            }
        }
        Ok(entries)
    }

    /// What has this name.
    pub(crate) fn entry(&self, name: impl AsRef<OsStr>) -> io::Result<Entry> {
        let stat = rustix::fs::statat(&self.0, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Folder,
            FileType::Symlink => Kind::Link,
            _ => Kind::Other,
        };
        Ok(Entry {
            name: name.as_ref().to_owned(),
            kind,
            bytes: u64::try_from(stat.st_size).unwrap_or(0),
            has_other_names: stat.st_nlink > 1,
            mode: stat.st_mode & 0o7777,
        })
    }

    /// Opens a regular file for reading; anything else is an error, and nothing is waited for.
    pub(crate) fn file(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        let regular = |kind| match kind {
            Kind::File => Ok(()),
            Kind::Folder => Err(not_regular("a folder")),
            Kind::Link => Err(not_regular("a link")),
            Kind::Other => Err(not_regular("a named pipe, a socket or a device")),
        };
        regular(self.entry(&name)?.kind)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.0, name.as_ref(), flags, Mode::empty())?);
        if !file.metadata()?.is_file() {
            return Err(not_regular("something else by now"));
        }
        Ok(file)
    }

    /// The whole of a regular file.
    pub(crate) fn read(&self, name: impl AsRef<OsStr>, bytes_max: u64) -> io::Result<Vec<u8>> {
        read_to_end(self.file(name)?, bytes_max)
    }

    /// Starts a new file; whatever had its name is removed, and nothing that has another name too is written to.
    pub(crate) fn create(&self, name: impl AsRef<OsStr>) -> io::Result<File> {
        match rustix::fs::unlinkat(&self.0, name.as_ref(), AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        self.create_new(name.as_ref(), 0o666)
    }

    /// Opens a regular file to lock it, and makes it if there is none.
    pub(crate) fn lockable(&self, name: &str) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o666))?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular("something else")) }
    }

    /// Starts a file that nothing has the name of.
    pub(crate) fn create_new(&self, name: &OsStr, mode: RawMode) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(mode))?))
    }

    /// Writes a file so that nobody ever reads half of it, whoever else writes it at the same time, and so that it is there after
    /// a loss of power once this has returned.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let unfinished = unfinished_name(name);
        let mut file = self.create_new(unfinished.as_ref(), 0o666)?;
        let written =
            file.write_all(bytes).and_then(|()| sync(&file, name)).and_then(|()| self.rename(&unfinished, name));
        if written.is_err() {
            // What is wrong is told already.
            let _ = self.remove_name(&unfinished);
        }
        written?;
        self.sync()
    }

    /// Points a link at a path, at once.
    pub(crate) fn link(&self, name: &str, target: &str) -> io::Result<()> {
        let unfinished = unfinished_name(name);
        rustix::fs::symlinkat(target, &self.0, &unfinished)?;
        let renamed = self.rename(&unfinished, name);
        if renamed.is_err() {
            let _ = self.remove_name(&unfinished);
        }
        renamed?;
        self.sync()
    }

    /// Where a link points to.
    pub(crate) fn link_target(&self, name: impl AsRef<OsStr>) -> io::Result<OsString> {
        let target = rustix::fs::readlinkat(&self.0, name.as_ref(), Vec::new())?;
        Ok(OsStr::from_bytes(target.to_bytes()).to_owned())
    }

    /// Puts the names in it on disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match rustix::fs::fsync(&self.0) {
            // A file system that cannot do it for folders needs it not.
            Err(rustix::io::Errno::INVAL) | Ok(()) => {
                note(|| "sync folder".to_owned());
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn rename(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        rustix::fs::renameat(&self.0, from.as_ref(), &self.0, to.as_ref())?;
        note(|| format!("name {}", to.as_ref().display()));
        Ok(())
    }

    /// Sets who may do what with something that is no link.
    pub(crate) fn set_mode(&self, name: impl AsRef<OsStr>, mode: RawMode) -> io::Result<()> {
        Ok(rustix::fs::chmodat(&self.0, name.as_ref(), Mode::from_raw_mode(mode), AtFlags::empty())?)
    }

    /// Removes a name that is not a folder's.
    pub(crate) fn remove_name(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.0, name.as_ref(), AtFlags::empty())?)
    }

    /// Removes whatever has this name, folders of any depth and without permissions too.
    pub(crate) fn remove(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        // What is nested too deeply is moved up to here, and goes next.
        let mut open = vec![name.as_ref().to_owned()];
        while let Some(name) = open.pop() {
            self.remove_in(self, &name, 0, &mut open)?;
        }
        Ok(())
    }

    fn remove_in(&self, folder: &Self, name: &OsStr, depth: usize, moved: &mut Vec<OsString>) -> io::Result<()> {
        let entry = match folder.entry(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entry => entry?,
        };
        if entry.kind != Kind::Folder {
            return folder.remove_name(name);
        }
        if depth == DEPTH_MAX {
            let new: OsString = unfinished_name("removed").into();
            rustix::fs::renameat(&folder.0, name, &self.0, &new)?;
            moved.push(new);
            return Ok(());
        }
        if entry.mode & 0o700 != 0o700 {
            folder.set_mode(name, 0o700)?;
        }
        let inside = folder.child(name)?;
        for entry in inside.entries()? {
            self.remove_in(&inside, &entry.name, depth + 1, moved)?;
        }
        Ok(rustix::fs::unlinkat(&folder.0, name, AtFlags::REMOVEDIR)?)
    }
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

pub(crate) fn unfinished_name(name: &str) -> String {
    // A name may have 255 bytes.
    let name: String = name.chars().take(40).collect();
    format!(".{name}.{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::files::{FILE_BYTES_MAX, open, read, read_text, sha256};

    fn place() -> (tempfile::TempDir, Folder, camino::Utf8PathBuf) {
        let dir = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(dir.path()).expect("UTF-8").to_owned();
        (dir, Folder::open(&path).expect("opened"), path)
    }

    fn fifo(path: &Utf8Path) {
        rustix::fs::mknodat(CWD, path.as_str(), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a pipe");
    }

    #[test]
    fn whatever_stands_in_place_of_a_file_is_neither_waited_for_nor_followed() {
        let (_dir, folder, path) = place();
        fs::write(path.join("elsewhere"), "untouched").expect("written");
        for name in ["pipe", "link", "dangling", "folder", "device", "many-names"] {
            match name {
                "pipe" => fifo(&path.join(name)),
                "link" => symlink(path.join("elsewhere"), path.join(name)).expect("linked"),
                "dangling" => symlink("nowhere", path.join(name)).expect("linked"),
                "folder" => fs::create_dir(path.join(name)).expect("made"),
                "device" => symlink("/dev/zero", path.join(name)).expect("linked"),
                _ => fs::hard_link(path.join("elsewhere"), path.join(name)).expect("linked"),
            }
            let read = folder.read(name, FILE_BYTES_MAX);
            assert_eq!(read.is_ok(), name == "many-names", "{name}: {read:?}");
            let replaced = folder.replace(name, b"new").and_then(|()| folder.read(name, 3));
            assert_eq!(replaced.is_ok(), name != "folder", "{name}: {replaced:?}");
            assert_eq!(fs::read_to_string(path.join("elsewhere")).expect("there"), "untouched", "{name}");
        }
        for name in ["pipe", "link"] {
            fs::remove_file(path.join(name)).expect("removed");
        }
        fifo(&path.join("pipe"));
        symlink(path.join("elsewhere"), path.join("link")).expect("linked");
        for name in ["pipe", "link"] {
            folder.create(name).and_then(|mut file| file.write_all(b"log")).expect("started");
        }
        assert_eq!(fs::read_to_string(path.join("elsewhere")).expect("there"), "untouched");
        fifo(&path.join("another"));
        assert!(read(path.join("another"), 9).expect_err("a pipe").to_string().contains("a named pipe"));
        for place in [path.join("another"), path.join("folder"), path.join("missing"), "/dev/zero".into()] {
            let doors: [&dyn Fn() -> io::Result<()>; 3] =
                [&|| open(&place).map(drop), &|| read_text(&place, FILE_BYTES_MAX).map(drop), &|| {
                    sha256(&place).map(drop)
                }];
            assert!(doors.iter().all(|door| door().is_err()), "{place}");
        }
        assert!(read(Utf8Path::new("/dev/zero"), 9).expect_err("a device").to_string().contains("a device"));
        assert!(folder.read("elsewhere", 3).expect_err("too large").to_string().contains("more than the 3"));
        assert!(
            fs::read_dir(&path)
                .expect("a folder")
                .flatten()
                .all(|entry| !entry.file_name().as_bytes().starts_with(b"."))
        );
    }

    #[test]
    fn folders_of_any_depth_and_without_permissions_are_removed() {
        let (_dir, folder, path) = place();
        let mut deep = path.join("deep");
        for _ in 0..200 {
            deep.push("d");
        }
        fs::create_dir_all(&deep).expect("made");
        fs::write(deep.join("file"), "x").expect("written");
        fs::create_dir(path.join("deep/closed")).expect("made");
        fs::write(path.join("deep/closed/file"), "x").expect("written");
        fs::set_permissions(path.join("deep/closed"), fs::Permissions::from_mode(0o0)).expect("closed");
        symlink("/", path.join("deep/link")).expect("linked");
        folder.remove("deep").expect("removed");
        assert_eq!(folder.entries().expect("a folder"), Vec::new());
    }
}
