use std::collections::{BTreeMap, BTreeSet};

use super::FileTree;
use crate::formats::{DebianInstalled, read_apk_installed, read_dpkg_status};
use crate::step::ReadError;

/// Whose packages a system is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SystemKind {
    Dpkg,
    Apk,
    Rpm,
}

impl SystemKind {
    /// The word that package URLs use.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Dpkg => "deb",
            Self::Apk => "apk",
            Self::Rpm => "rpm",
        }
    }
}

/// Where rpm keeps its database, in its three formats.
const RPM: &[&str] = &["var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"];
const RPM_FILES: &[&str] = &["rpmdb.sqlite", "Packages", "Packages.db"];
/// Where the system's own packages keep what they install. A list that claims anything else is not believed.
pub(super) const SYSTEM_FOLDERS: &[&str] =
    &["usr/", "bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/", "etc/", "var/lib/", "boot/"];

/// The packages that a system says it has, and whose files are whose.
#[derive(Debug, Clone, Default)]
pub(crate) struct System {
    /// The databases that it has: more than one is odd.
    pub(crate) kinds: BTreeSet<SystemKind>,
    /// The packages, as far as their database can be read; those of rpm are not.
    pub(crate) packages: BTreeSet<DebianInstalled>,
    /// The name of the package by the real path of a file.
    pub(crate) owners: BTreeMap<String, String>,
    /// The checksums that packages were built with, by the path of a file, links on the way to it followed.
    pub(crate) sums: BTreeMap<String, Vec<u8>>,
    /// Packages that the database marks to be removed: scanners pass over them.
    pub(crate) hidden: BTreeSet<String>,
    /// Lists of files whose package is not installed by the database's word: the list, and the package.
    pub(crate) orphans: BTreeMap<String, String>,
}

/// The end of the name of a list of checksums, beside the list of files.
const SUMS_END: &str = ".md5sums";

/// By what the packages of a system say what their files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SumKind {
    Md5,
    Sha1,
}

impl SumKind {
    /// What the system in a tree uses.
    pub(super) fn of(tree: &FileTree) -> Option<Self> {
        if tree.get("var/lib/dpkg/status").is_some() {
            Some(Self::Md5)
        } else if tree.get("lib/apk/db/installed").is_some() || tree.get("usr/lib/apk/db/installed").is_some() {
            Some(Self::Sha1)
        } else {
            None
        }
    }
}

impl System {
    /// Reads the databases of a file system.
    ///
    /// # Errors
    /// A database that cannot be read.
    pub(crate) fn read(tree: &FileTree) -> Result<Self, ReadError> {
        let mut system = Self::default();
        system.dpkg(tree)?;
        for path in ["lib/apk/db/installed", "usr/lib/apk/db/installed"] {
            let Some((real, _)) = tree.resolve(path).filter(|(real, _)| real == path) else { continue };
            let text = text(tree, &real)?;
            let database = read_apk_installed(&text).map_err(|error| unreadable(path, error))?;
            system.kinds.insert(SystemKind::Apk);
            for (package, files) in database {
                let mut places = Places::of(tree);
                system.own(&mut places, &package.name, files.iter().map(|(path, _)| path.as_str()));
                for (path, sum) in files {
                    system.sums.extend(places.place_of(&path).zip(sum));
                }
                system.packages.insert(package);
            }
        }
        if RPM
            .iter()
            .flat_map(|folder| RPM_FILES.iter().map(move |file| format!("{folder}/{file}")))
            .any(|path| tree.resolve(&path).is_some())
        {
            system.kinds.insert(SystemKind::Rpm);
        }
        Ok(system)
    }

    fn dpkg(&mut self, tree: &FileTree) -> Result<(), ReadError> {
        let alone =
            tree.below("var/lib/dpkg/status.d").map(|(path, _)| path).filter(|path| !path.ends_with(".md5sums"));
        let databases: Vec<&str> =
            tree.get("var/lib/dpkg/status").map(|_| "var/lib/dpkg/status").into_iter().chain(alone).collect();
        for path in databases {
            let found = read_dpkg_status(&text(tree, path)?).map_err(|error| unreadable(path, error))?;
            if !found.installed.is_empty() {
                self.kinds.insert(SystemKind::Dpkg);
            }
            self.packages.extend(found.installed);
            self.hidden.extend(found.hidden);
        }
        let names: BTreeSet<String> = self.packages.iter().map(|package| package.name.clone()).collect();
        let lists: Vec<&str> =
            tree.below("var/lib/dpkg/info").map(|(path, _)| path).filter(|path| path.ends_with(".list")).collect();
        let mut places = Places::of(tree);
        for path in lists {
            let package = package_of_list(path);
            if names.contains(package) {
                let text = text(tree, path)?;
                self.own(&mut places, package, text.lines());
                let sums = format!("{}{SUMS_END}", path.strip_suffix(".list").unwrap_or(path));
                if tree.get(&sums).is_some() {
                    for line in self::text(tree, &sums)?.lines() {
                        let Some((sum, file)) = line.split_once("  ") else { continue };
                        self.sums.extend(places.place_of(file).zip(unhex(sum)));
                    }
                }
            } else {
                self.orphans.insert(path.to_owned(), package.to_owned());
            }
        }
        Ok(())
    }

    fn own<'a>(&mut self, places: &mut Places<'_>, package: &str, files: impl Iterator<Item = &'a str>) {
        for file in files {
            let Some(place) = places.place_of(file) else { continue };
            // A link of a package's is as much its own as what it leads to.
            let real = if places.tree.is_link(&place) { places.tree.real_path(&place) } else { None };
            for path in [Some(place), real].into_iter().flatten() {
                if SYSTEM_FOLDERS.iter().any(|folder| path.starts_with(folder)) {
                    self.owners.insert(path, package.to_owned());
                }
            }
        }
    }

    /// The files of a package that has a list of them, by their real paths.
    pub(crate) fn listed(tree: &FileTree, list: &str) -> Result<Vec<String>, ReadError> {
        let text = text(tree, list)?;
        Ok(text.lines().filter_map(|file| tree.real_path(file.trim_start_matches('/'))).collect())
    }

    /// Whether a package of the system owns a file.
    pub(crate) fn owns(&self, path: &str) -> bool {
        self.owners.contains_key(path)
    }
}

/// Where files are by the links of the folders on the way. Lists name one folder's files one after another, so that the last folder
/// is kept.
struct Places<'a> {
    tree: &'a FileTree,
    folder: String,
    real: Option<String>,
}

impl<'a> Places<'a> {
    fn of(tree: &'a FileTree) -> Self {
        Self { tree, folder: String::new(), real: Some(String::new()) }
    }

    /// The place of a file, whatever is there.
    fn place_of(&mut self, file: &str) -> Option<String> {
        let file = file.trim_start_matches('/').trim_end_matches('/');
        let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
        if folder != self.folder {
            self.real = self.tree.real_path(folder);
            folder.clone_into(&mut self.folder);
        }
        let real = self.real.as_ref()?;
        Some(if real.is_empty() { name.to_owned() } else { format!("{real}/{name}") })
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(digits).collect()
}

/// `libc6` of `var/lib/dpkg/info/libc6:amd64.list`.
pub(crate) fn package_of_list(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(".list").unwrap_or(name);
    name.split(':').next().unwrap_or(name)
}

fn text(tree: &FileTree, path: &str) -> Result<String, ReadError> {
    match tree.kept(path) {
        Some(Ok(bytes)) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        Some(Err(problem)) => Err(unreadable(path, problem)),
        None => Err(unreadable(path, "it is not a file that can be read")),
    }
}

fn unreadable(path: &str, problem: impl std::fmt::Display) -> ReadError {
    ReadError::new(format!("the image's {path}"), problem)
        .help("leave the package database of the base image as its packages leave it")
}
