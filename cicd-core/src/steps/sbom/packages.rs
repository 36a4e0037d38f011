use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;
use std::str::FromStr as _;

use camino::Utf8PathBuf;
use pep440_rs::Version;

use crate::docker::ExportedImage;
use crate::formats::read_dpkg_status;
use crate::formats::requirements::normalized_name;
use crate::python::read_distributions;
use crate::step::{ReadError, StepError};

/// A database of packages has a few megabytes.
const STATUS_BYTES_MAX: u64 = 64 << 20;
/// Missing packages beyond these are counted, not named.
const NAMED_MAX: usize = 5;

/// A package by all that its URL says of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Package {
    /// Of Debian or a system made from it.
    Debian { name: String, version: String, architecture: String },
    /// Of Python.
    Python { name: String, version: String },
}

impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Debian { name, version, architecture } => write!(f, "{name} {version} ({architecture})"),
            Self::Python { name, version } => write!(f, "{name} {version} (Python)"),
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
            _ => None,
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

/// Every package of an image, read from the image itself and not by the tool that writes the documents.
///
/// # Errors
/// An image whose packages nobody can list: without a database of dpkg's, or with Python packages that cannot be read.
pub(super) fn packages_of(exported: &ExportedImage) -> Result<BTreeSet<Package>, StepError> {
    let mut packages = BTreeSet::new();
    for distribution in read_distributions(|| exported.open())? {
        let content = distribution.content.map_err(|problem| {
            ReadError::new(format!("the image's Python package {}", distribution.folder), problem)
        })?;
        packages.insert(Package::python(&content.name, &content.version));
    }
    let mut has_database = false;
    for (path, text) in databases(exported)? {
        let installed =
            read_dpkg_status(&text).map_err(|error| ReadError::new(format!("the image's {path}"), error))?;
        has_database |= !installed.is_empty();
        packages.extend(installed.into_iter().map(|one| Package::Debian {
            name: one.name,
            version: one.version,
            architecture: one.architecture,
        }));
    }
    if has_database {
        return Ok(packages);
    }
    Err(StepError::not_looked(
        "the image has no database of dpkg's with a package in it, so nothing tells what its bill of materials has to list",
        "build on Debian or a system made from it, and keep /var/lib/dpkg in the image",
    ))
}

fn databases(exported: &ExportedImage) -> Result<Vec<(Utf8PathBuf, String)>, ReadError> {
    let read = || -> std::io::Result<Vec<(Utf8PathBuf, String)>> {
        let mut found = Vec::new();
        for entry in tar::Archive::new(exported.open()?).entries()? {
            let entry = entry?;
            let Some(path) = Utf8PathBuf::from_path_buf(entry.path()?.into_owned()).ok() else { continue };
            let is_database = path == "var/lib/dpkg/status"
                || (path.parent().is_some_and(|folder| folder == "var/lib/dpkg/status.d")
                    && path.extension() != Some("md5sums"));
            if is_database && entry.header().entry_type().is_file() {
                let mut text = String::new();
                let size = entry.size();
                entry.take(STATUS_BYTES_MAX).read_to_string(&mut text)?;
                if size > STATUS_BYTES_MAX {
                    let problem = format!("{path} has {size} bytes, more than the {STATUS_BYTES_MAX} that are read");
                    return Err(std::io::Error::other(problem));
                }
                found.push((path, text));
            }
        }
        Ok(found)
    };
    read().map_err(|error| ReadError::new("the image's file system", error))
}

/// Checks that a document lists every package.
///
/// # Errors
/// Those that it does not.
pub(super) fn complete<'a>(
    document: &str,
    expected: &BTreeSet<Package>,
    listed: impl Fn(&Package) -> bool + 'a,
) -> Result<(), StepError> {
    let missing: Vec<_> = expected.iter().filter(|package| !listed(package)).collect();
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
