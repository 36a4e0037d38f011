use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use crate::formats::file_kind::{FileKind, name_on_github};
use crate::model::ByFolder;
use crate::model::by_key::counting;
use crate::process::Tool;
use crate::step::{Context, StepError};

/// Which files of the repository a scanner has to look at, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    pub(super) what: String,
    pub(super) kinds: Option<Vec<FileKind>>,
    pub(super) below: Utf8PathBuf,
    pub(super) named: Vec<Utf8PathBuf>,
    pub(super) reads: bool,
}

impl Selection {
    /// Every file, whatever it is. Its text is not read.
    #[must_use]
    pub fn every_file() -> Self {
        Self { what: "file".to_owned(), kinds: None, below: Utf8PathBuf::new(), named: Vec::new(), reads: false }
    }

    /// Every file of these kinds; `what` is how one is called, such as `Dockerfile`.
    #[must_use]
    pub fn of_kinds(what: &str, kinds: impl IntoIterator<Item = FileKind>) -> Self {
        Self { what: what.to_owned(), kinds: Some(kinds.into_iter().collect()), reads: true, ..Self::every_file() }
    }

    /// These files and no others: what an earlier step has selected and accounted for.
    #[must_use]
    pub fn exactly<'a>(what: &str, files: impl IntoIterator<Item = &'a Utf8Path>) -> Self {
        Self::of_kinds(what, []).and_named(files)
    }

    /// Those below this folder. Each one outside of it is a finding, unless it is left out with a justification.
    #[must_use]
    pub fn below(mut self, folder: impl Into<Utf8PathBuf>) -> Self {
        self.below = folder.into();
        if self.below == "." {
            self.below = Utf8PathBuf::new();
        }
        self
    }

    /// These files too, whatever their kind is. One that is not there is an error.
    #[must_use]
    pub fn and_named<'a>(mut self, files: impl IntoIterator<Item = &'a Utf8Path>) -> Self {
        self.named.extend(files.into_iter().map(Utf8Path::to_owned));
        self
    }

    /// How the lack of such files is told: `no Python file of app`.
    pub(super) fn none(&self) -> String {
        match self.below.as_str() {
            "" => format!("no {}", self.what),
            folder => format!("no {} of {folder}", self.what),
        }
    }

    pub(super) fn is_of_kind(&self, cx: &Context, path: &Utf8Path) -> Result<bool, StepError> {
        let Some(wanted) = &self.kinds else { return Ok(true) };
        if wanted.is_empty() {
            return Ok(false);
        }
        Ok(cx.kinds_of(path)?.iter().any(|kind| wanted.contains(kind)))
    }
}

/// A file that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file, relative to the workspace.
    pub path: Utf8PathBuf,
    /// Its text; what is no UTF-8 is replaced. Empty where the scanner takes every file.
    pub text: String,
}

/// The files that are looked at, and the tool that does.
#[derive(Debug, Clone)]
pub struct Sources {
    what: String,
    files: Vec<Source>,
    paths: BTreeSet<Utf8PathBuf>,
    tool: Tool,
}

impl Sources {
    /// Sources for tests of [`read`](super::Scanner::read) on recorded output.
    #[must_use]
    pub fn recorded(tool: &str, version: semver::Version, files: &[(&str, &str)]) -> Self {
        let source = |(path, text): &(&str, &str)| Source { path: (*path).into(), text: (*text).to_owned() };
        let tool = Tool { name: tool.to_owned(), path: tool.into(), version };
        Self::new("file".to_owned(), files.iter().map(source).collect(), tool)
    }

    pub(super) fn new(what: String, files: Vec<Source>, tool: Tool) -> Self {
        let paths = files.iter().map(|source| source.path.clone()).collect();
        Self { what, files, paths, tool }
    }

    /// How one of them is called.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// The files, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Source> {
        self.files.iter()
    }

    /// Their paths, in order, relative to the workspace.
    pub fn paths(&self) -> impl ExactSizeIterator<Item = &Utf8Path> {
        self.files.iter().map(|source| source.path.as_path())
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contains(&self, path: &Utf8Path) -> bool {
        self.paths.contains(path)
    }

    /// How many there are; never none while a tool runs.
    #[must_use]
    pub fn count(&self) -> usize {
        self.files.len()
    }

    /// The tool, as it was found.
    #[must_use]
    pub fn tool(&self) -> &Tool {
        &self.tool
    }

    /// Nothing, where each has the name under which GitHub reads a file of its kind.
    ///
    /// # Errors
    /// Otherwise: neither GitHub nor a tool takes it for what its name says.
    pub(crate) fn check_names_on_github(&self) -> Result<(), StepError> {
        match self.paths().find_map(|path| Some((path, name_on_github(path)?))) {
            None => Ok(()),
            Some((path, right)) => {
                let what = format!("neither GitHub nor {} reads {path}, by its name", self.tool.name);
                Err(StepError::not_looked(what, format!("name it {right}, or remove it")))
            }
        }
    }

    pub(super) fn all_paths(&self) -> &BTreeSet<Utf8PathBuf> {
        &self.paths
    }
}

/// Every file of the repository, each in one place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// What is looked at.
    pub(super) looked_at: Vec<Utf8PathBuf>,
    /// How many files are left out, for each rule that leaves out.
    pub(super) left_out: Vec<usize>,
    /// Those of the kind that lie outside of the folder.
    pub(super) outside: Vec<Utf8PathBuf>,
    /// How many are of another kind.
    pub(super) others: usize,
}

/// Puts every file in its place; `is_of_kind` looks into one that is not named.
pub(super) fn account(
    selection: &Selection,
    files: &[Utf8PathBuf],
    left_out: &[&Utf8Path],
    is_of_kind: impl Fn(&Utf8Path) -> Result<bool, StepError>,
) -> Result<Account, StepError> {
    let named: BTreeSet<&Utf8Path> = selection.named.iter().map(Utf8PathBuf::as_path).collect();
    let rules: ByFolder<'_> = left_out.iter().copied().collect();
    let mut account =
        Account { looked_at: Vec::new(), left_out: vec![0; left_out.len()], outside: Vec::new(), others: 0 };
    for path in files {
        counting::one();
        let is_named = named.contains(path.as_path());
        if !is_named && !is_of_kind(path)? {
            account.others += 1;
        } else if let Some(rule) = rules.first_above(path) {
            account.left_out[rule] += 1;
        } else if is_named || path.starts_with(&selection.below) {
            account.looked_at.push(path.clone());
        } else {
            account.outside.push(path.clone());
        }
    }
    Ok(account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::by_key::counting::is_linear;

    /// Files, those that are named and those that are left out in one number: none is searched for.
    #[test]
    fn long_lists_of_files_are_accounted_for_not_searched() {
        is_linear("files, a quarter each", 10, |count| {
            let path = |number: usize| Utf8PathBuf::from(format!("{}/f{number}", ["a", "b", "n", "o"][number % 4]));
            let files: Vec<_> = (0..count).map(path).collect();
            let of =
                |start: &str| files.iter().map(Utf8PathBuf::as_path).filter(|path| path.starts_with(start)).collect();
            let (named, left_out): (Vec<&Utf8Path>, Vec<&Utf8Path>) = (of("n"), of("o"));
            let selection = Selection::every_file().below("a").and_named(named);
            let account = account(&selection, &files, &left_out, |_| Ok(true)).expect("nothing is read");
            assert_eq!((account.looked_at.len(), account.outside.len()), (count / 2, count / 4));
            assert_eq!(account.left_out, vec![1; count / 4]);
        });
    }
}
