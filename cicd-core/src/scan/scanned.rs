use camino::{Utf8Path, Utf8PathBuf};

use crate::model::{Judged, Subject};
use crate::step::proof;

proof! {
    /// What a scanner has looked at. Only a [`Scan`](super::Scan) makes one.
    #[derive(Eq)]
    pub struct Scanned("scanned") {
        /// The tool, such as `bandit`.
        tool: String => &str,
        /// The files, relative to the workspace and sorted.
        files: Vec<Utf8PathBuf> => &[Utf8PathBuf],
        /// The commit whose files they are.
        commit: String => &str,
    }
}

impl Scanned {
    pub(super) fn new(tool: String, files: Vec<Utf8PathBuf>, commit: String) -> Self {
        Self { tool, files, commit }
    }

    /// The paths of the files, in order.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &Utf8Path> {
        self.files.iter().map(Utf8PathBuf::as_path)
    }
}

impl Judged for Scanned {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}
