use std::fmt;
use std::sync::{Arc, OnceLock};
use std::thread;

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
    /// Begins to check a folder, while whoever called goes on.
    #[must_use]
    pub fn start(folder: &Utf8Path, check: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        let guard =
            Self(Arc::new(Inner { folder: folder.to_owned(), verdict: OnceLock::new(), check: Box::new(check) }));
        let checking = guard.clone();
        // Without a thread it is checked by the first who asks.
        let _ = thread::Builder::new().name("guard".to_owned()).spawn(move || checking.verdict());
        guard
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Utf8Path {
        &self.0.folder
    }

    /// What the check came to; waits for its end.
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
