use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr as _;

use pep440_rs::Version;

use super::document::License;
use crate::docker::{ExportedImage, System, SystemKind, ecosystems, node_packages, read_distributions};
use crate::formats::requirements::normalized_name;
use crate::step::{ReadError, StepError};

/// Missing packages beyond these are counted, not named.
const NAMED_MAX: usize = 5;

/// A package by all that its URL says of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Package {
    /// Of Debian or a system made from it.
    Debian { name: String, version: String, architecture: String },
    /// Of Python.
    Python { name: String, version: String },
    /// Of any other kind, by the word that package URLs use for it.
    Other { kind: String, name: String, version: String },
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Debian { name, version, architecture } => write!(f, "{name} {version} ({architecture})"),
            Self::Python { name, version } => write!(f, "{name} {version} (Python)"),
            Self::Other { kind, name, version } => write!(f, "{name} {version} ({kind})"),
        }
    }
}

impl Package {
    fn python(name: &str, version: &str) -> Self {
        // One version has many spellings.
        let version = Version::from_str(version).map_or_else(|_| version.to_owned(), |version| version.to_string());
        Self::Python { name: normalized_name(name), version }
    }

    /// The package that a [package URL](https://github.com/package-url/purl-spec) names; nothing if it is of another kind.
    pub(super) fn of_purl(purl: &str) -> Option<Self> {
        let rest = purl.strip_prefix("pkg:")?;
        let (path, qualifiers) = rest.split_once('?').unwrap_or((rest, ""));
        let (kind, path) = path.split_once('/')?;
        let (path, version) = path.rsplit_once('@')?;
        let name = decoded(path.rsplit('/').next()?)?;
        let version = decoded(version)?;
        let qualifier = |key: &str| {
            let pairs = qualifiers.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(name, _)| *name == key).and_then(|(_, value)| decoded(value))
        };
        match kind {
            "pypi" => Some(Self::python(&name, &version)),
            "deb" => {
                let epoch = qualifier("epoch").map_or_else(String::new, |epoch| format!("{epoch}:"));
                let architecture = qualifier("arch")?;
                Some(Self::Debian { name, version: format!("{epoch}{version}"), architecture })
            }
            // The operating system is one of several names of a place, where those of languages are a part of the name.
            "apk" | "rpm" => Some(Self::other(kind, &name, &version)),
            _ => Some(Self::other(kind, &decoded(path)?, &version)),
        }
    }

    fn other(kind: &str, name: &str, version: &str) -> Self {
        Self::Other { kind: kind.to_owned(), name: name.to_owned(), version: version.to_owned() }
    }

    /// The word that package URLs use for its kind.
    fn kind(&self) -> &str {
        match self {
            Self::Debian { .. } => "deb",
            Self::Python { .. } => "pypi",
            Self::Other { kind, .. } => kind,
        }
    }
}

/// Text without its percent signs.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// What an image holds, read from the image itself and not by the tool that writes the documents.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Expected {
    /// Every package that tells its name.
    pub(super) packages: BTreeSet<Package>,
    /// The kinds of packages of which there is at least one, by the word that package URLs use.
    pub(super) kinds: BTreeSet<&'static str>,
}

/// The packages of an image.
///
/// # Errors
/// An image whose packages nobody can list: without a database of the system's, or with Python packages that cannot be read.
pub(super) fn packages_of(exported: &ExportedImage) -> Result<Expected, StepError> {
    let tree = exported.files()?;
    let system = System::read(&tree)?;
    let mut packages = BTreeSet::new();
    for distribution in read_distributions(&tree, &system) {
        let content = distribution.content.map_err(|problem| {
            ReadError::new(format!("the image's Python package {}", distribution.folder), problem)
        })?;
        packages.insert(Package::python(&content.name, &content.version));
    }
    let node = node_packages(&tree, &system);
    packages.extend(node.iter().map(|one| Package::other("npm", &one.name, &one.version)));
    let is_debian = system.kinds.contains(&SystemKind::Dpkg);
    packages.extend(system.packages.iter().cloned().map(|one| match is_debian {
        true => Package::Debian { name: one.name, version: one.version, architecture: one.architecture },
        false => Package::other("apk", &one.name, &one.version),
    }));
    if system.packages.is_empty() {
        return Err(StepError::not_looked(
            "the image has no database of dpkg's or apk's with a package in it, so nothing tells what its bill of materials has to list",
            "build on Debian, Alpine or a system made from one of them, and keep /var/lib/dpkg or /lib/apk in the image",
        ));
    }
    Ok(Expected { packages, kinds: ecosystems(&tree, &system).into_keys().collect() })
}

/// Checks that a document lists every package.
///
/// # Errors
/// Those that it does not.
pub(super) fn complete(
    document: &str,
    expected: &Expected,
    listed: &BTreeMap<Package, License>,
) -> Result<(), StepError> {
    let missing: Vec<_> = expected.packages.iter().filter(|package| !listed.contains_key(package)).collect();
    let unseen = expected.kinds.iter().find(|kind| !listed.keys().any(|package| package.kind() == **kind));
    if let Some(kind) = unseen.filter(|_| missing.is_empty()) {
        return Err(StepError::not_looked(
            format!("the {document} document lists no {kind} package, and the image holds some"),
            "a bill of materials that is not complete is none; see the documents in the step's folder",
        ));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = missing.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = missing.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(StepError::not_looked(
        format!("the {document} document lacks packages of the image: {}{more}", named.join(", ")),
        "a bill of materials that is not complete is none; see the documents in the step's folder",
    ))
}
