//! Whether folders were renamed: whoever moves one away, another one into its place and back again leaves no trace in the files below it.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use crate::files::Stamp;

/// The folders on the way to files.
#[derive(Debug)]
pub(super) enum Folders {
    /// The system tells of each that is renamed.
    #[cfg(target_os = "linux")]
    Watched(watch::Watch),
    /// Where it does not, as where somebody has used up its watches: a folder in which nothing came or went, and that changed all the same,
    /// was renamed. What comes or goes in it meanwhile hides that.
    Stamped {
        /// None of a folder that was not there to be stamped.
        then: BTreeMap<Utf8PathBuf, Option<Stamp>>,
        /// Why they are not watched where the system could do it.
        why: Option<String>,
    },
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
        let why = match watch::Watch::new(&inside, &above) {
            Ok(watch) => return Self::Watched(watch),
            Err(error) => Some(error.to_string()),
        };
        #[cfg(not(target_os = "linux"))]
        let why = None;
        Self::stamped(inside.iter().map(Utf8PathBuf::as_path).chain(above), why)
    }

    fn stamped<'a>(folders: impl Iterator<Item = &'a Utf8Path>, why: Option<String>) -> Self {
        let then = folders.map(|folder| (folder.to_owned(), Stamp::read(folder).ok())).collect();
        Self::Stamped { then, why }
    }

    /// What is to be said where less is seen than the system could tell.
    pub(super) fn note(&self) -> Option<String> {
        let Self::Stamped { why: Some(why), .. } = self else { return None };
        Some(format!(
            "a folder that is renamed and put back while something comes or goes in it is not seen, as the system cannot watch it ({why}); \
             end what holds inotify watches, or raise fs.inotify.max_user_instances and max_user_watches"
        ))
    }

    /// Those that were renamed since, whether or not they are back.
    pub(super) fn renamed(&self) -> BTreeSet<Utf8PathBuf> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Watched(watch) => watch.renamed(),
            Self::Stamped { then, .. } => {
                let renamed = |(folder, then): &(&Utf8PathBuf, &Option<Stamp>)| match (then, Stamp::read(folder)) {
                    (Some(then), Ok(now)) => then.was_renamed(&now),
                    _ => true,
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
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use camino::{Utf8Path, Utf8PathBuf};
    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
    use rustix::io::Errno;

    /// Each of what is told takes 16 bytes, and there is seldom any.
    const BUFFER_BYTES: usize = 4096;

    /// One for the process: a user may have 128 of them, and one for each look at the files would use them up.
    static TOLD: Mutex<Option<Told>> = Mutex::new(None);

    fn told() -> MutexGuard<'static, Option<Told>> {
        TOLD.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the system tells of folders, whoever asked it to.
    struct Told {
        by: OwnedFd,
        folders: BTreeMap<i32, Known>,
        /// How often something was not told.
        lost: u64,
    }

    #[derive(Default)]
    struct Known {
        watches: usize,
        renames: u64,
    }

    impl Told {
        fn begin() -> Result<Self, Errno> {
            let by = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            Ok(Self { by, folders: BTreeMap::new(), lost: 0 })
        }

        fn take(&mut self) {
            let mut buffer = [MaybeUninit::uninit(); BUFFER_BYTES];
            let mut reader = Reader::new(&self.by, &mut buffer);
            loop {
                match reader.next() {
                    Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => self.lost += 1,
                    Ok(event) if event.events().contains(ReadFlags::MOVE_SELF) => {
                        self.folders.entry(event.wd()).and_modify(|known| known.renames += 1);
                    }
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(Errno::AGAIN) => return,
                    Err(_) => {
                        self.lost += 1;
                        return;
                    }
                }
            }
        }
    }

    /// Folders that the system tells of, each with how often it had been renamed before.
    #[derive(Debug)]
    pub(in crate::source) struct Watch {
        folders: Vec<(i32, Utf8PathBuf, u64)>,
        lost: u64,
    }

    impl Watch {
        pub(super) fn new(inside: &[Utf8PathBuf], above: &[&Utf8Path]) -> Result<Self, Errno> {
            // Before the lock, so that it is dropped behind it: dropping it takes the lock too.
            let mut watch = Self { folders: Vec::new(), lost: 0 };
            let mut told = told();
            let told = match &mut *told {
                Some(told) => told,
                none => none.insert(Told::begin()?),
            };
            told.take();
            watch.lost = told.lost;
            let flags = WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW;
            let all = inside.iter().map(|folder| (folder.as_path(), true));
            for (folder, is_inside) in all.chain(above.iter().map(|folder| (*folder, false))) {
                match inotify::add_watch(&told.by, folder.as_str(), flags) {
                    // The same number for a folder that is watched already.
                    Ok(number) => {
                        let known = told.folders.entry(number).or_default();
                        known.watches += 1;
                        watch.folders.push((number, folder.to_owned(), known.renames));
                    }
                    // Who may not look into it cannot rename it either, as a rule.
                    Err(Errno::ACCESS) if !is_inside => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(watch)
        }

        /// Those that were renamed so far. Where that is no longer known, all of them.
        pub(super) fn renamed(&self) -> BTreeSet<Utf8PathBuf> {
            let mut told = told();
            let told = told.as_mut().map(|told| {
                told.take();
                &*told
            });
            let told = told.filter(|told| told.lost == self.lost);
            let renames = |number: &i32| told.and_then(|told| Some(told.folders.get(number)?.renames));
            let renamed = self.folders.iter().filter(|(number, _, then)| renames(number) != Some(*then));
            renamed.map(|(_, folder, _)| folder.clone()).collect()
        }
    }

    impl Drop for Watch {
        fn drop(&mut self) {
            let mut all = told();
            let Some(told) = &mut *all else { return };
            for (number, ..) in &self.folders {
                let Some(known) = told.folders.get_mut(number) else { continue };
                known.watches -= 1;
                if known.watches == 0 {
                    told.folders.remove(number);
                    // A folder that was removed is not watched any more.
                    let _ = inotify::remove_watch(&told.by, *number);
                }
            }
            if told.folders.is_empty() {
                *all = None;
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
        let stamped = || Folders::stamped([root, &root.join("a"), &inner].into_iter(), None);
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
    #[test]
    fn a_folder_that_could_not_be_looked_at_is_not_unchanged() {
        let nowhere = Utf8Path::new("/nowhere/at/all");
        let folders = Folders::stamped([nowhere].into_iter(), Some("no more files".to_owned()));
        assert_eq!(folders.renamed(), BTreeSet::from([nowhere.to_owned()]));
        assert!(folders.note().is_some_and(|note| note.contains("(no more files)")));
        assert_eq!(Folders::stamped([nowhere].into_iter(), None).note(), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn looks_at_the_same_folders_take_no_watches_from_each_other() {
        /// More than the instances that a user may have by default.
        const LOOKS: usize = 200;
        let dir = tempfile::tempdir().expect("a folder");
        let root = Utf8Path::from_path(dir.path()).expect("UTF-8").canonicalize_utf8().expect("a place");
        fs::create_dir_all(root.join("a")).expect("made");
        fs::create_dir_all(root.join("b")).expect("made");
        let files = ["a/1", "b/1"].map(Utf8Path::new);
        let look = || Folders::of(&root, files.into_iter());
        let moved = |name: &str| {
            fs::rename(root.join(name), root.join("away")).expect("moved");
            fs::rename(root.join("away"), root.join(name)).expect("moved back");
            BTreeSet::from([root.join(name)])
        };
        let mut looks: Vec<Folders> = (0..LOOKS).map(|_| look()).collect();
        assert!(looks.iter().all(|look| look.note().is_none() && look.renamed().is_empty()));
        let a = moved("a");
        let later = look();
        assert!(looks.iter().all(|look| look.renamed() == a) && later.renamed().is_empty());
        looks.truncate(1);
        let b = moved("b");
        assert_eq!((looks[0].renamed(), later.renamed()), (&a | &b, b));
        drop((looks, later));
        assert!(look().renamed().is_empty(), "a look knows nothing of what was before it");
    }
}
