use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;

use super::kinds::Kind;
use crate::files::Stamp;

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lying {
    pub(super) kind: Kind,
    pub(super) size_bytes: u64,
    /// Tells it from a changed one without reading it.
    pub(super) stamp: Stamp,
}

/// What was found in the folders of a repository. All paths are relative to its top.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Tracked files, as they lie.
    pub(super) tracked: BTreeMap<String, Lying>,
    /// What lies beside them; folders are not entered.
    pub(super) beside: Vec<(String, Lying)>,
    /// Folders with a `.git` of their own.
    pub(super) nested: BTreeSet<String>,
    /// What cannot be looked into, and names that are not UTF-8, as they may be shown.
    pub(super) unreadable: Vec<String>,
}

/// What is known of a repository before it is looked at.
pub(super) struct Tracked<'a> {
    pub(super) files: BTreeSet<&'a str>,
    pub(super) submodules: BTreeSet<&'a str>,
    /// Every folder above one of those.
    pub(super) folders: BTreeSet<&'a str>,
}

impl<'a> Tracked<'a> {
    pub(super) fn new(files: BTreeSet<&'a str>, submodules: BTreeSet<&'a str>) -> Self {
        let mut folders = BTreeSet::new();
        for path in files.iter().chain(&submodules) {
            let mut path = *path;
            while let Some((folder, _)) = path.rsplit_once('/') {
                if !folders.insert(folder) {
                    break;
                }
                path = folder;
            }
        }
        Self { files, submodules, folders }
    }
}

/// Looks into every folder that holds a tracked file, through no link.
pub(super) fn tracked_folders(top: &Utf8Path, tracked: &Tracked<'_>) -> Seen {
    let mut seen = Seen::default();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for (path, lying) in read(top, &folder, &mut seen) {
            let name = path.as_str();
            if tracked.files.contains(name) {
                seen.tracked.insert(path, lying);
            } else if tracked.submodules.contains(name) && lying.kind == Kind::Folder {
                // Told by its entry in the commit.
            } else if lying.kind == Kind::Folder && tracked.folders.contains(name) {
                folders.push(path);
            } else {
                seen.beside.push((path, lying));
            }
        }
    }
    seen
}

/// Everything below a folder that holds no tracked file, up to `files_max` files; nothing where there are more. Folders that `skip`
/// names are listed and not entered.
pub(super) fn below(
    top: &Utf8Path,
    folder: &str,
    files_max: usize,
    skip: &dyn Fn(&str) -> bool,
    seen: &mut Seen,
) -> Option<Vec<(String, Lying)>> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    let mut entered = 0;
    while let Some(folder) = folders.pop() {
        entered += 1;
        let entries = read(top, &folder, seen);
        // Its files are another repository's.
        if seen.nested.contains(&folder) {
            continue;
        }
        for (path, lying) in entries {
            match lying.kind {
                Kind::Folder if !skip(&path) => folders.push(path),
                _ => found.push((path, lying)),
            }
        }
        if found.len() + entered > files_max {
            return None;
        }
    }
    Some(found)
}

/// The entries of a folder, without a `.git` of its own, which is told.
fn read(top: &Utf8Path, folder: &str, seen: &mut Seen) -> Vec<(String, Lying)> {
    let entries = match fs::read_dir(top.join(folder)).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(_) => {
            seen.unreadable.push(folder.to_owned());
            return Vec::new();
        }
    };
    let mut found = Vec::with_capacity(entries.len());
    let mut nested = false;
    for entry in entries {
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            let shown = name.as_encoded_bytes().escape_ascii().to_string();
            seen.unreadable.push(if folder.is_empty() { shown } else { format!("{folder}/{shown}") });
            continue;
        };
        if name == ".git" {
            nested = !folder.is_empty();
            continue;
        }
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        match lying(&entry) {
            Ok(lying) => found.push((path, lying)),
            Err(_) => seen.unreadable.push(path),
        }
    }
    if nested {
        seen.nested.insert(folder.to_owned());
    }
    found
}

fn lying(entry: &DirEntry) -> io::Result<Lying> {
    // Of the entry itself, not of what a link leads to.
    let metadata = entry.metadata()?;
    Ok(Lying { kind: kind(&metadata), size_bytes: metadata.len(), stamp: Stamp::of(&metadata) })
}

fn kind(metadata: &Metadata) -> Kind {
    let kind = metadata.file_type();
    if kind.is_dir() {
        Kind::Folder
    } else if kind.is_symlink() {
        Kind::Link
    } else if !kind.is_file() {
        Kind::Special
    } else if metadata.permissions().mode() & 0o100 != 0 {
        Kind::Executable
    } else {
        Kind::Plain
    }
}
