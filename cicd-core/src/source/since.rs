use camino::{Utf8Path, Utf8PathBuf};

use super::Source;
use super::blob::name_of;
use super::kinds::{Kind, SourceFile};
use crate::files::Stamp;

impl Source {
    /// The files below `root` that somebody has written to since they were gathered, or put back since, and the folders that were renamed:
    /// their bytes may be as they were, but nobody knows what was read meanwhile.
    pub(crate) fn written_since(&self, root: &Utf8Path) -> Vec<Utf8PathBuf> {
        let changed = |file: &&SourceFile| Stamp::read(&root.join(&file.path)).ok() != Some(file.stamp);
        let written = self.files().iter().filter(changed).map(|file| file.path.clone());
        written.chain(self.folders.renamed()).collect()
    }

    /// What [`Self::written_since`] cannot see where the system could tell it.
    pub(crate) fn unseen(&self) -> Option<String> {
        self.folders.note()
    }

    /// Whether a path of the workspace is on the list.
    pub(crate) fn lists(&self, path: &Utf8Path) -> bool {
        self.files().binary_search_by(|file| file.path.as_path().cmp(path)).is_ok()
    }

    /// Whether these bytes, read from a path of the workspace, are those that were gathered; true for what is not on the list.
    pub(crate) fn agrees(&self, path: &Utf8Path, bytes: &[u8]) -> bool {
        let Ok(place) = self.files().binary_search_by(|file| file.path.as_path().cmp(path)) else { return true };
        let file = &self.files()[place];
        // Too large a file is known by its stamp; what a link leads to is asked for under its own name.
        file.kind == Kind::Link || file.content.starts_with("stamp-") || name_of(self.format, bytes) == file.content
    }
}

/// A few of them, and how many more.
pub(crate) fn named(paths: &[Utf8PathBuf]) -> String {
    const NAMED_MAX: usize = 5;
    let more = paths.len().saturating_sub(NAMED_MAX);
    let named: Vec<&str> = paths.iter().take(NAMED_MAX).map(|path| path.as_str()).collect();
    let named = named.join(", ");
    if more > 0 { format!("{named} and {more} more") } else { named }
}
