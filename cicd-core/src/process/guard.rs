use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use crate::files::Stamps;

/// A folder with programs, and the check that it holds what it should. It is made once; from then on the stamps of the files tell
/// whether anything was written since, each time that somebody asks: code that a run tests could alter what the run uses next.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    folder: Utf8PathBuf,
    programs: BTreeMap<Utf8PathBuf, Version>,
    checked: Mutex<Option<Checked>>,
    check: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

struct Checked {
    stamps: Stamps,
    verdict: Result<(), String>,
}

impl Guard {
    /// A folder that is checked once somebody asks for what is in it: a run reads no tool that it does not use. `programs` are the
    /// files in it that were asked for their version when they were installed, and what they said.
    #[must_use]
    pub fn new(
        folder: &Utf8Path,
        programs: BTreeMap<Utf8PathBuf, Version>,
        check: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let (folder, check) = (folder.to_owned(), Box::new(check));
        Self(Arc::new(Inner { folder, programs, checked: Mutex::default(), check }))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Utf8Path {
        &self.0.folder
    }

    /// The version that a program said when it was installed. It is the same now if the [`verdict`](Self::verdict) is good.
    pub(super) fn version(&self, program: &Utf8Path) -> Option<&Version> {
        self.0.programs.get(program)
    }

    /// What the check came to, and that nothing was written since; the first who asks makes it, and others wait for its end.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn verdict(&self) -> Result<(), String> {
        let mut checked = self.0.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.stamps();
        let known = match checked.take() {
            // Once it is not as it should be, nothing that comes later makes it good again.
            Some(known) if known.verdict.is_err() => known,
            Some(Checked { stamps, verdict }) => {
                let verdict = now.and_then(|now| match stamps.differing(&now) {
                    Some(path) => Err(format!("{path} was written to while the run went on")),
                    None => verdict,
                });
                Checked { stamps, verdict }
            }
            // Stamped before it is read: what changes meanwhile shows when it is asked for again.
            None => match now {
                Ok(stamps) => Checked { stamps, verdict: (self.0.check)() },
                Err(why) => Checked { stamps: Stamps::default(), verdict: Err(why) },
            },
        };
        checked.insert(known).verdict.clone()
    }

    /// Whether it was asked for, and something was written since.
    pub(crate) fn was_altered(&self) -> Option<String> {
        let is_used = self.0.checked.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if is_used { self.verdict().err() } else { None }
    }

    fn stamps(&self) -> Result<Stamps, String> {
        let mut stamps = Stamps::default();
        let read = stamps.add(&self.0.folder, &|_| false);
        read.map_err(|error| format!("{} cannot be read: {error}", self.0.folder))?;
        Ok(stamps)
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.0.folder).finish()
    }
}
