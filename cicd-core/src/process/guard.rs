use std::fmt;
use std::sync::{Arc, OnceLock};

use camino::{Utf8Path, Utf8PathBuf};

/// A folder with programs, and the check that it holds what it should, made once.
#[derive(Clone)]
pub struct Guard(Arc<Inner>);

struct Inner {
    folder: Utf8PathBuf,
    verdict: OnceLock<Result<(), String>>,
    check: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl Guard {
    /// A folder that is checked once somebody asks for what is in it: a run reads no tool that it does not use.
    #[must_use]
    pub fn new(folder: &Utf8Path, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner { folder: folder.to_owned(), verdict: OnceLock::new(), check: Box::new(check) }))
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Utf8Path {
        &self.0.folder
    }

    /// What the check came to; the first who asks makes it, and others wait for its end.
    ///
    /// # Errors
    /// What is not as it should be.
    pub fn verdict(&self) -> Result<(), String> {
        self.0.verdict.get_or_init(|| (self.0.check)()).clone()
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guard").field(&self.0.folder).finish()
    }
}
