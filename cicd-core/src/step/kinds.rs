use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};

use super::{Context, StepError};
use crate::files::{self, Stamp};
use crate::formats::file_kind::{FileKind, kinds_of};

/// What the files of a run are, told once for all steps that ask. One that was written to since is told again.
#[derive(Debug, Default)]
pub(crate) struct Kinds(Mutex<BTreeMap<Utf8PathBuf, (Stamp, Vec<FileKind>)>>);

impl Context {
    /// The kinds of a file of the repository, by its name and by what is in it; none of what is no file.
    ///
    /// # Errors
    /// When it cannot be read: it may be of any kind then.
    pub fn kinds_of(&self, path: &Utf8Path) -> Result<Vec<FileKind>, StepError> {
        let full = self.path(path);
        if !full.is_file() {
            return Ok(Vec::new());
        }
        self.shared().kinds.of(path, &full).map_err(StepError::io("reading", path))
    }
}

impl Kinds {
    fn of(&self, path: &Utf8Path, full: &Utf8Path) -> io::Result<Vec<FileKind>> {
        let file = files::open(full)?;
        let stamp = Stamp::of(&file.metadata()?);
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, kinds)) = known().get(path).filter(|(read, _)| *read == stamp) {
            return Ok(kinds.clone());
        }
        let kinds = kinds_of(path, file)?;
        known().insert(path.to_owned(), (stamp, kinds.clone()));
        Ok(kinds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_once_for_its_kind_until_it_changes() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let full = Utf8Path::from_path(folder.path()).expect("UTF-8").join("tool");
        let kinds = Kinds::default();
        let of = || kinds.of("tool".into(), &full).expect("readable");
        std::fs::write(&full, "import os\n").expect("written");
        assert_eq!((of(), of()), (vec![FileKind::Python], vec![FileKind::Python]));
        // What is known is taken, not what lies there.
        let stamp = kinds.0.lock().expect("whole")[Utf8Path::new("tool")].0;
        kinds.0.lock().expect("whole").insert("tool".into(), (stamp, vec![FileKind::Rust]));
        assert_eq!(of(), [FileKind::Rust]);
        std::fs::write(&full, "FROM debian\n").expect("written");
        assert_eq!(of(), [FileKind::Dockerfile]);
        std::fs::remove_file(&full).expect("removed");
        assert!(kinds.of("tool".into(), &full).is_err());
    }
}
