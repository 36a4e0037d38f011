use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use camino::{Utf8Path, Utf8PathBuf};
use sha2::{Digest as _, Sha256};

use crate::formats::requirements::normalized_name;
use crate::formats::{LicenseTriple, hex, read_python_metadata};
use crate::step::ReadError;

/// Metadata and licence files are text; what is larger is something else.
const FILE_BYTES_MAX: u64 = 8 << 20;
/// An image with more files of interest was made to exhaust a reader.
const FILES_MAX: usize = 100_000;

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

/// Reads every Python package out of a file system as `docker export` writes it.
///
/// The digest of the licence files is that of the lines `<sha256>  <path>` of all of them, sorted by path, as
/// `sha256sum LICENSE … | sha256sum` in the `dist-info` folder gives it.
///
/// # Errors
/// When the archive is broken or holds far too much.
pub(crate) fn read_distributions(
    archive: impl Fn() -> std::io::Result<Box<dyn Read>>,
) -> Result<Vec<Distribution>, ReadError> {
    let broken = |error: std::io::Error| ReadError::new("the image's file system", error);
    let mut found = Found::default();
    let mut links = BTreeMap::new();
    each(archive().map_err(broken)?, |path, entry| {
        if !is_wanted(path) {
            return Ok(());
        }
        let kind = entry.header().entry_type();
        if kind.is_file() {
            found.keep(path.to_owned(), read_file(entry)?);
        } else if kind.is_hard_link() || kind.is_symlink() {
            let target = entry.link_name()?.and_then(|name| Utf8PathBuf::from_path_buf(name.into_owned()).ok());
            let folder = path.parent().unwrap_or(Utf8Path::new(""));
            links.insert(path.to_owned(), target.map(|target| resolve(folder, &target, kind.is_hard_link())));
        }
        if found.files.len() + links.len() > FILES_MAX {
            return Err(std::io::Error::other(format!("more than {FILES_MAX} files of Python packages")));
        }
        Ok(())
    })
    .map_err(broken)?;
    // A file may be the second name of one that is not of interest itself, such as one in an installer's cache.
    let targets: BTreeSet<_> = links.values().flatten().cloned().collect();
    let mut contents = BTreeMap::new();
    if !targets.is_empty() {
        each(archive().map_err(broken)?, |path, entry| {
            if targets.contains(path) && entry.header().entry_type().is_file() {
                contents.insert(path.to_owned(), read_file(entry)?);
            }
            Ok(())
        })
        .map_err(broken)?;
    }
    for (path, target) in links {
        let content = target.and_then(|target| contents.get(&target).cloned());
        found.keep(
            path,
            content.unwrap_or_else(|| Err("it is a link to something that is not in the image".to_owned())),
        );
    }
    Ok(found.distributions())
}

type FileContent = Result<Vec<u8>, String>;

fn each(
    archive: Box<dyn Read>,
    mut see: impl FnMut(&Utf8Path, &mut tar::Entry<'_, Box<dyn Read>>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        // A path that is no text is none that pip or uv would have written.
        let Some(path) = Utf8PathBuf::from_path_buf(entry.path()?.into_owned()).ok() else { continue };
        let path = path.strip_prefix("/").unwrap_or(&path).to_owned();
        see(path.strip_prefix(".").unwrap_or(&path), &mut entry)?;
    }
    Ok(())
}

fn read_file(entry: &mut tar::Entry<'_, Box<dyn Read>>) -> std::io::Result<FileContent> {
    if entry.size() > FILE_BYTES_MAX {
        return Ok(Err(format!("it has {} bytes, more than the {FILE_BYTES_MAX} that are read", entry.size())));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes)?;
    Ok(Ok(bytes))
}

fn resolve(folder: &Utf8Path, target: &Utf8Path, hard: bool) -> Utf8PathBuf {
    let joined = if hard || target.is_absolute() { target.to_owned() } else { folder.join(target) };
    let mut plain = Utf8PathBuf::new();
    for part in joined.components().map(|part| part.as_str()) {
        match part {
            "/" | "." => {}
            ".." => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

fn is_wanted(path: &Utf8Path) -> bool {
    let info = path.ancestors().any(is_info_folder);
    info || path.extension() == Some("egg-link")
        || (path.starts_with("var/lib/dpkg/info") && path.extension() == Some("list"))
}

fn is_info_folder(path: &Utf8Path) -> bool {
    matches!(path.extension(), Some("dist-info" | "egg-info"))
}

#[derive(Default)]
struct Found {
    files: BTreeMap<Utf8PathBuf, FileContent>,
}

impl Found {
    fn keep(&mut self, path: Utf8PathBuf, content: FileContent) {
        self.files.insert(path, content);
    }

    fn distributions(&self) -> Vec<Distribution> {
        let of_debian = self.debian_files();
        let mut folders: BTreeSet<&Utf8Path> = BTreeSet::new();
        for path in self.files.keys() {
            if path.extension() == Some("egg-link") {
                folders.insert(path);
            }
            // The outermost folder: what a package carries inside its own metadata folder belongs to it.
            folders.extend(path.ancestors().filter(|path| is_info_folder(path)).last());
        }
        let judged = folders.into_iter().filter(|folder| {
            !of_debian.contains(*folder)
                && !["METADATA", "PKG-INFO"].iter().any(|name| of_debian.contains(&folder.join(name)))
        });
        let mut all: Vec<_> =
            judged.map(|folder| Distribution { folder: folder.to_owned(), content: self.content(folder) }).collect();
        refuse_twins(&mut all);
        all
    }

    /// What dpkg says it installed, as far as it is a Python package's metadata.
    fn debian_files(&self) -> BTreeSet<Utf8PathBuf> {
        let lists = self.files.iter().filter(|(path, _)| path.starts_with("var/lib/dpkg/info"));
        let texts = lists.filter_map(|(_, content)| content.as_ref().ok()).map(|bytes| String::from_utf8_lossy(bytes));
        texts
            .flat_map(|text| {
                let lines = text.lines().filter(|line| line.contains(".dist-info") || line.contains(".egg-info"));
                lines.map(|line| Utf8PathBuf::from(line.trim_start_matches('/'))).collect::<Vec<_>>()
            })
            .collect()
    }

    fn content(&self, folder: &Utf8Path) -> Result<Content, String> {
        if folder.extension() == Some("egg-link") {
            return Err("it is installed in editable mode, from a folder that is not part of it".to_owned());
        }
        let places = [folder.join("METADATA"), folder.join("PKG-INFO"), folder.to_owned()];
        let Some((path, content)) = places.iter().find_map(|path| Some((path, self.files.get(path)?))) else {
            return Err("it has no METADATA".to_owned());
        };
        let bytes = content.as_ref().map_err(Clone::clone)?;
        let metadata =
            read_python_metadata(bytes).map_err(|error| format!("{}: {error}", path.file_name().unwrap_or("")))?;
        let editable = folder.join("direct_url.json");
        if let Some(Ok(url)) = self.files.get(&editable) {
            let url: serde_json::Value =
                serde_json::from_slice(url).map_err(|error| format!("direct_url.json: {error}"))?;
            if url.pointer("/dir_info/editable") == Some(&serde_json::Value::Bool(true)) {
                return Err("it is installed in editable mode, from a folder that is not part of it".to_owned());
            }
        }
        let (license_sha256, missing_files) = self.license_files(folder, &metadata.license_files)?;
        let (name, version, license) = (metadata.name, metadata.version, metadata.license);
        Ok(Content { name, version, license, license_sha256, missing_files })
    }

    fn license_files(&self, folder: &Utf8Path, named: &[String]) -> Result<(String, Vec<String>), String> {
        let mut listing = BTreeMap::new();
        for (path, content) in &self.files {
            let Ok(inside) = path.strip_prefix(folder) else { continue };
            let is_named =
                named.iter().any(|name| inside == name.as_str() || inside == Utf8Path::new("licenses").join(name));
            if is_named || inside.starts_with("licenses") || is_license_name(inside) {
                let bytes = content.as_ref().map_err(|problem| format!("{inside}: {problem}"))?;
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
