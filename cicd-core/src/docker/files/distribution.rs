use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use super::{FileTree, System};
use crate::formats::requirements::normalized_name;
use crate::formats::{LicenseTriple, hex, read_python_metadata};

/// A Python package found in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Distribution {
    /// Its `*.dist-info` folder (or `*.egg-info`), without a leading slash.
    pub(crate) folder: Utf8PathBuf,
    /// What it is, or why that cannot be told.
    pub(crate) content: Result<Content, String>,
}

/// What a package says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// Its name, as its author writes it.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// What it says of its licence.
    pub(crate) license: LicenseTriple,
    /// The SHA-256 of its licence files' listing; empty if it ships none.
    pub(crate) license_sha256: String,
    /// Licence files that it names but does not ship.
    pub(crate) missing_files: Vec<String>,
}

impl Content {
    pub(crate) fn normalized_name(&self) -> String {
        normalized_name(&self.name)
    }
}

/// Every Python package of a file system, apart from those of the system's own packages.
///
/// The digest of the licence files is that of the lines `<sha256>  <path>` of all of them, sorted by path, as
/// `sha256sum LICENSE … | sha256sum` in the `dist-info` folder gives it.
pub(crate) fn read_distributions(tree: &FileTree, system: &System) -> Vec<Distribution> {
    let mut folders: BTreeSet<&Utf8Path> = BTreeSet::new();
    for (path, _) in tree.iter() {
        let path = Utf8Path::new(path);
        if path.extension() == Some("egg-link") {
            folders.insert(path);
        }
        // The outermost folder: what a package carries inside its own metadata folder belongs to it.
        folders.extend(path.ancestors().filter(|path| is_info_folder(path)).last());
    }
    let judged = folders.into_iter().filter(|folder| {
        let places = [folder.to_path_buf(), folder.join("METADATA"), folder.join("PKG-INFO")];
        !places.iter().any(|path| system.owns(path.as_str()))
    });
    let mut all: Vec<_> =
        judged.map(|folder| Distribution { folder: folder.to_owned(), content: content(tree, folder) }).collect();
    refuse_twins(&mut all);
    all
}

fn is_info_folder(path: &Utf8Path) -> bool {
    matches!(path.extension(), Some("dist-info" | "egg-info")) || path.file_name() == Some("EGG-INFO")
}

fn content(tree: &FileTree, folder: &Utf8Path) -> Result<Content, String> {
    const EDITABLE: &str = "it is installed in editable mode, from a folder that is not part of it";
    if folder.extension() == Some("egg-link") {
        return Err(EDITABLE.to_owned());
    }
    let places = [folder.join("METADATA"), folder.join("PKG-INFO"), folder.to_owned()];
    let is_there = |path: &&Utf8PathBuf| tree.get(path.as_str()).is_some_and(|node| !node.is_folder());
    let Some(path) = places.iter().find(is_there) else { return Err("it has no METADATA".to_owned()) };
    let bytes = text(tree, path)?;
    let metadata =
        read_python_metadata(bytes).map_err(|error| format!("{}: {error}", path.file_name().unwrap_or("")))?;
    let editable = folder.join("direct_url.json");
    if tree.get(editable.as_str()).is_some() {
        let url: serde_json::Value =
            serde_json::from_slice(text(tree, &editable)?).map_err(|error| format!("direct_url.json: {error}"))?;
        if url.pointer("/dir_info/editable") == Some(&serde_json::Value::Bool(true)) {
            return Err(EDITABLE.to_owned());
        }
    }
    let (license_sha256, missing_files) = license_files(tree, folder, &metadata.license_files)?;
    let (name, version, license) = (metadata.name, metadata.version, metadata.license);
    Ok(Content { name, version, license, license_sha256, missing_files })
}

fn text<'a>(tree: &'a FileTree, path: &Utf8Path) -> Result<&'a [u8], String> {
    match tree.kept(path.as_str()) {
        Some(kept) => kept.as_deref().map_err(Clone::clone),
        None => Err("it is a link to something that is not in the image".to_owned()),
    }
}

fn license_files(tree: &FileTree, folder: &Utf8Path, named: &[String]) -> Result<(String, Vec<String>), String> {
    let mut listing = BTreeMap::new();
    let own = tree.get(folder.as_str()).filter(|node| !node.is_folder()).map(|_| folder.as_str());
    let inside = tree.below(folder.as_str()).filter(|(_, node)| !node.is_folder()).map(|(path, _)| path);
    for path in own.into_iter().chain(inside).map(Utf8Path::new) {
        let Ok(inside) = path.strip_prefix(folder) else { continue };
        let is_named =
            named.iter().any(|name| inside == name.as_str() || inside == Utf8Path::new("licenses").join(name));
        if is_named || inside.starts_with("licenses") || is_license_name(inside) {
            let bytes = text(tree, path).map_err(|problem| format!("{inside}: {problem}"))?;
            listing.insert(inside.to_owned(), hex(&Sha256::digest(bytes)));
        }
    }
    let missing = named.iter().filter(|name| {
        !listing.contains_key(Utf8Path::new(name)) && !listing.contains_key(&Utf8Path::new("licenses").join(name))
    });
    let missing = missing.cloned().collect();
    let lines: String = listing.iter().map(|(path, digest)| format!("{digest}  {path}\n")).collect();
    let digest = if lines.is_empty() { String::new() } else { hex(&Sha256::digest(lines.as_bytes())) };
    Ok((digest, missing))
}

/// Whether a file directly in the folder is a licence by its name, as packages without `License-File` ship it.
fn is_license_name(inside: &Utf8Path) -> bool {
    let name = inside.as_str().to_uppercase();
    !name.contains('/')
        && ["LICENSE", "LICENCE", "COPYING", "NOTICE", "AUTHORS"].iter().any(|start| name.starts_with(start))
}

/// Two packages of one name in one folder: which of them is imported, nobody can tell.
fn refuse_twins(all: &mut [Distribution]) {
    let key = |one: &Distribution| {
        let content = one.content.as_ref().ok()?;
        Some((one.folder.parent().map(Utf8Path::to_owned), content.normalized_name()))
    };
    let keys: Vec<_> = all.iter().map(key).collect();
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for key in keys.iter().flatten() {
        *counts.entry(key).or_default() += 1;
    }
    for (one, key) in all.iter_mut().zip(&keys) {
        if key.as_ref().is_some_and(|key| counts.get(key).is_some_and(|count| *count > 1)) {
            one.content = Err("there is a second package of this name in the same folder".to_owned());
        }
    }
}
