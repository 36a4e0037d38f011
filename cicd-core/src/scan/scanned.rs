use camino::{Utf8Path, Utf8PathBuf};

use crate::model::{Judged, Subject};
use crate::step::{Extent, proof};

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
        /// Whether these are all of its kind, and not those alone that the commit adds or changes.
        whole: bool,
    }
}

impl Scanned {
    pub(super) fn new(tool: String, files: Vec<Utf8PathBuf>, commit: String, extent: Extent) -> Self {
        Self { tool, files, commit, whole: extent != Extent::LastCommit }
    }

    /// The paths of the files, in order.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &Utf8Path> {
        self.files.iter().map(Utf8PathBuf::as_path)
    }
}

impl Judged for Scanned {
    fn subject(&self) -> Subject {
        let subject = if self.whole { Subject::Commit } else { Subject::Changes };
        subject(self.commit.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_scan_of_everything_speaks_for_the_commit() {
        let subject = |extent| Scanned::new("tool".to_owned(), Vec::new(), "c0ffee".to_owned(), extent).subject();
        assert_eq!(subject(Extent::EveryFile), Subject::Commit("c0ffee".to_owned()));
        assert_eq!(subject(Extent::LastCommit), Subject::Changes("c0ffee".to_owned()));
    }
}
