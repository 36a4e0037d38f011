//! Whether folders were renamed: whoever moves one away, another one into its place and back again leaves no trace in the files below it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};

use crate::files::Stamp;

/// The folders on the way to files.
#[derive(Debug)]
pub(super) enum Folders {
    /// The system tells of each that is renamed.
    #[cfg(target_os = "linux")]
    Watched(Mutex<watch::Watch>),
    /// Where it does not, as where somebody has used up its watches: a folder in which nothing came or went, and that changed all the same,
    /// was renamed. What comes or goes in it meanwhile hides that.
    Stamped(BTreeMap<Utf8PathBuf, Stamp>),
}

impl Folders {
    /// Those that hold one of these files of a workspace, and every one above.
    pub(super) fn of<'a>(root: &Utf8Path, files: impl Iterator<Item = &'a Utf8Path>) -> Self {
        let mut inside = BTreeSet::from([Utf8Path::new("")]);
        for file in files {
            // Whatever is above one that is known is known.
            let _ = file.ancestors().skip(1).all(|folder| inside.insert(folder));
        }
        let inside: Vec<Utf8PathBuf> = inside.into_iter().map(|folder| join(root, folder)).collect();
        let above: Vec<&Utf8Path> = root.ancestors().skip(1).collect();
        #[cfg(target_os = "linux")]
        if let Ok(watch) = watch::Watch::new(&inside, &above) {
            return Self::Watched(Mutex::new(watch));
        }
        Self::stamped(inside.iter().map(Utf8PathBuf::as_path).chain(above))
    }

    fn stamped<'a>(folders: impl Iterator<Item = &'a Utf8Path>) -> Self {
        Self::Stamped(folders.filter_map(|folder| Some((folder.to_owned(), Stamp::read(folder).ok()?))).collect())
    }

    /// Those that were renamed since, whether or not they are back.
    pub(super) fn renamed(&self) -> BTreeSet<Utf8PathBuf> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Watched(watch) => watch.lock().unwrap_or_else(PoisonError::into_inner).renamed(),
            Self::Stamped(then) => {
                let renamed = |(folder, then): &(&Utf8PathBuf, &Stamp)| {
                    Stamp::read(folder).map_or(true, |now| then.was_renamed(&now))
                };
                then.iter().filter(renamed).map(|(folder, _)| folder.clone()).collect()
            }
        }
    }
}

/// A folder without a slash at its end.
fn join(root: &Utf8Path, folder: &Utf8Path) -> Utf8PathBuf {
    if folder.as_str().is_empty() { root.to_owned() } else { root.join(folder) }
}

#[cfg(target_os = "linux")]
mod watch {
    use std::collections::{BTreeMap, BTreeSet};
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;

    use camino::{Utf8Path, Utf8PathBuf};
    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
    use rustix::io::Errno;

    /// Each of what is told takes 16 bytes, and there is seldom any.
    const BUFFER_BYTES: usize = 4096;

    /// What the system tells of folders.
    #[derive(Debug)]
    pub(in crate::source) struct Watch {
        told: OwnedFd,
        folders: BTreeMap<i32, Utf8PathBuf>,
        renamed: BTreeSet<Utf8PathBuf>,
    }

    impl Watch {
        pub(super) fn new(inside: &[Utf8PathBuf], above: &[&Utf8Path]) -> Result<Self, Errno> {
            let told = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            let mut folders = BTreeMap::new();
            let flags = WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
            let all = inside.iter().map(|folder| (folder.as_path(), true));
            for (folder, is_inside) in all.chain(above.iter().map(|folder| (*folder, false))) {
                match inotify::add_watch(&told, folder.as_str(), flags) {
                    Ok(number) => {
                        folders.insert(number, folder.to_owned());
                    }
                    // Who may not look into it cannot rename it either, as a rule.
                    Err(Errno::ACCESS) if !is_inside => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(Self { told, folders, renamed: BTreeSet::new() })
        }

        /// Those that were renamed so far. Where that is no longer known, all of them.
        pub(super) fn renamed(&mut self) -> BTreeSet<Utf8PathBuf> {
            let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
            let mut reader = Reader::new(&self.told, &mut buffer);
            loop {
                match reader.next() {
                    Ok(event) if event.events().contains(ReadFlags::MOVE_SELF) => {
                        self.renamed.extend(self.folders.get(&event.wd()).cloned());
                    }
                    Ok(event) if !event.events().contains(ReadFlags::QUEUE_OVERFLOW) => {}
                    Err(Errno::AGAIN) => return self.renamed.clone(),
                    Err(Errno::INTR) => {}
                    Ok(_) | Err(_) => {
                        self.renamed.extend(self.folders.values().cloned());
                        return self.renamed.clone();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_folder_that_was_renamed_and_is_back_is_told_without_a_watch_too() {
        let dir = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(dir.path()).expect("UTF-8");
        fs::create_dir_all(root.join("a/b")).expect("made");
        let (inner, away) = (root.join("a/b"), root.join("away"));
        let stamped = || Folders::stamped([root, &root.join("a"), &inner].into_iter());
        let tick = || {
            // The system's clock of files may be coarser than two changes of them.
            let probe = root.join("probe");
            let changed = |path: &Utf8Path| Stamp::read(path).expect("stamped").changed_ns();
            while {
                fs::write(&probe, "").expect("written");
                changed(&probe) <= changed(&inner)
            } {}
        };
        let folders = stamped();
        tick();
        assert_eq!(folders.renamed(), BTreeSet::new());
        fs::write(inner.join("new"), "").expect("written");
        assert_eq!(folders.renamed(), BTreeSet::new());
        let folders = stamped();
        tick();
        fs::rename(&inner, &away).expect("moved");
        assert_eq!(folders.renamed(), BTreeSet::from([inner.clone()]));
        fs::rename(&away, &inner).expect("moved back");
        assert_eq!(folders.renamed(), BTreeSet::from([inner.clone()]));
        let folders = stamped();
        fs::rename(&inner, &away).expect("moved");
        fs::create_dir(&inner).expect("made");
        assert_eq!(folders.renamed(), BTreeSet::from([inner]));
    }
}
