use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;

use camino::Utf8Path;

/// Tells a file from a changed one without reading it. The system sets the time of the last change by itself, so that whoever puts a
/// file back as it was leaves a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    size_bytes: u64,
    mode: u32,
    modified: (i64, i64),
    changed: (i64, i64),
    inode: (u64, u64),
}

impl Stamp {
    pub(crate) fn of(found: &Metadata) -> Self {
        Self {
            size_bytes: found.len(),
            mode: found.mode(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
            inode: (found.dev(), found.ino()),
        }
    }

    /// Whether a folder is another one now, or nothing came to it or went and it changed all the same: that is what being renamed leaves.
    pub(crate) fn was_renamed(&self, now: &Self) -> bool {
        self.inode != now.inode || (self.changed != now.changed && self.modified == now.modified)
    }

    /// When the system last changed it, in whatever way.
    #[cfg(test)]
    pub(crate) fn changed_ns(&self) -> (i64, i64) {
        self.changed
    }

    /// That of what lies there now, without following a link.
    pub(crate) fn read(path: &Utf8Path) -> io::Result<Self> {
        Ok(Self::of(&fs::symlink_metadata(path)?))
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size_bytes, mode, modified, changed, inode } = self;
        let (device, inode) = inode;
        write!(f, "{size_bytes}-{mode:o}-{}.{}-{}.{}-{device}.{inode}", modified.0, modified.1, changed.0, changed.1)
    }
}

/// The stamps of everything below some folders, in the order in which the system lists them: those of tens of thousands of files are
/// compared many times, and are the same each time but one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stamps(Vec<(String, Stamp)>);

impl Stamps {
    /// Adds every file and link at or below a path; folders whose names `skip` tells are not entered. Folders themselves have none:
    /// what comes and goes in them does.
    pub(crate) fn add(&mut self, path: &Utf8Path, skip: &dyn Fn(&OsStr) -> bool) -> io::Result<()> {
        let metadata = fs::symlink_metadata(path)?;
        if !metadata.is_dir() {
            self.0.push((path.to_string(), Stamp::of(&metadata)));
            return Ok(());
        }
        let mut open = vec![path.to_owned()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let name = entry.file_name();
                // What has no name in UTF-8 is told apart by the rest of it.
                let path = folder.join(name.to_string_lossy().as_ref());
                if !entry.file_type()?.is_dir() {
                    // Asked of the open folder, which spares the system the way to it.
                    self.0.push((path.into_string(), Stamp::of(&entry.metadata()?)));
                } else if !skip(&name) {
                    open.push(path);
                }
            }
        }
        Ok(())
    }

    /// All of them in the order of their paths.
    pub(crate) fn by_path(&self) -> BTreeMap<&str, &Stamp> {
        self.0.iter().map(|(path, stamp)| (path.as_str(), stamp)).collect()
    }

    /// The first path that is not the same in both.
    pub(crate) fn differing<'a>(&'a self, other: &'a Self) -> Option<&'a Utf8Path> {
        if self == other {
            return None;
        }
        let (before, after) = (self.by_path(), other.by_path());
        let changed = before.iter().find(|(path, stamp)| after.get(*path) != Some(stamp));
        let added = || after.iter().find(|(path, _)| !before.contains_key(*path));
        changed.or_else(added).map(|(path, _)| Utf8Path::new(*path))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::FileTimes;
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_is_put_back_as_it_was_leaves_a_trace() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = Utf8Path::from_path(folder.path()).expect("UTF-8");
        let (file, other) = (folder.join("lib/a.py"), folder.join("lib/b.py"));
        fs::create_dir_all(folder.join("lib/__pycache__")).expect("made");
        fs::write(&file, "one").expect("written");
        let stamps = || {
            let mut stamps = Stamps::default();
            stamps.add(folder, &|name| name == "__pycache__").expect("read");
            stamps
        };
        let before = stamps();
        fs::write(folder.join("lib/__pycache__/a.pyc"), "x").expect("written");
        assert_eq!(before.differing(&stamps()), None);
        let times = fs::metadata(&file).expect("there").modified().expect("a time");
        let restore = || {
            let open = fs::File::options().write(true).open(&file).expect("opened");
            open.set_times(FileTimes::new().set_modified(times).set_accessed(SystemTime::now())).expect("set");
        };
        let changes: [&dyn Fn(); 3] = [
            &|| {
                fs::write(&file, "two").expect("written");
                fs::write(&file, "one").expect("written");
                restore();
            },
            &|| {
                fs::rename(&file, &other).expect("moved");
                fs::write(&file, "two").expect("written");
                fs::rename(&other, &file).expect("moved back");
            },
            &|| {
                fs::remove_file(&file).expect("removed");
                fs::write(&file, "one").expect("written");
                restore();
            },
        ];
        for change in changes {
            let before = stamps();
            // The system's clock of files may be coarser than two changes of them.
            while fs::metadata(&file).expect("there").ctime_nsec() == tick(folder) {}
            change();
            assert_eq!(before.differing(&stamps()), Some(file.as_path()));
        }
        let before = stamps();
        fs::write(&other, "").expect("written");
        assert_eq!(before.differing(&stamps()), Some(other.as_path()));
        assert_eq!(stamps().differing(&before), Some(other.as_path()));
    }

    /// What the system would stamp a file with now.
    fn tick(folder: &Utf8Path) -> i64 {
        let probe = folder.join("lib/__pycache__/probe");
        fs::write(&probe, "").expect("written");
        fs::metadata(&probe).expect("there").ctime_nsec()
    }
}
