use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Location;

/// What stands between the file and the sum of a secret where it is written.
const SUM: &str = "#sha256:";

/// What a finding is about; an exception's scope is matched against it, kind by kind and part by part, never by how it is written.
///
/// ```
/// use cicd_core::model::{Location, Target};
///
/// let found = Target::package("pkg:pypi/requests@2.30.0");
/// assert!(Target::package("pkg:pypi/requests").reaches(&found));
/// assert!(!Target::package("pkg:pypi/request").reaches(&found));
/// let line = Target::from(Location::line("app/Dockerfile", 3));
/// assert!(Target::file("app/Dockerfile").reaches(&line) && !line.reaches(&Target::file("app/Dockerfile")));
/// assert_eq!(line.to_string(), "app/Dockerfile:3");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A package. In a scope, one without a version is every version of it.
    Package(Purl),
    /// A place in a file. In a scope, a file without a line is every line of it.
    Place(Location),
    /// What looks like a secret: the file, and the SHA-256 of the lines that it stands in.
    Secret {
        /// The file.
        path: Utf8PathBuf,
        /// In small hexadecimal digits.
        sha256: String,
    },
    /// A route of the application, such as `/status`.
    Route(String),
    /// Anything else that has a name: a test, an image, an address, a pattern.
    Name(String),
}

/// A package URL, such as `pkg:pypi/requests@2.30.0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Purl {
    text: String,
    /// Where the version begins, or what follows the name instead.
    package_bytes: usize,
    /// Where the qualifiers begin.
    release_bytes: usize,
}

impl Purl {
    /// Reads one; `None` where there is no kind or no name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, name) = text.strip_prefix("pkg:")?.split_once('/')?;
        let is_kind = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if !is_kind || name.starts_with(['@', '?', '#']) && !name.contains('/') || name.is_empty() {
            return None;
        }
        let release_bytes = text.find(['?', '#']).unwrap_or(text.len());
        let release = text.get(..release_bytes)?;
        let last_part = release.rfind('/').map_or(0, |slash| slash + 1);
        let version = release.rfind('@').filter(|&at| at > last_part);
        Some(Self { text: text.to_owned(), package_bytes: version.unwrap_or(release_bytes), release_bytes })
    }

    /// The package without its version and qualifiers.
    #[must_use]
    pub fn package(&self) -> &str {
        self.text.get(..self.package_bytes).unwrap_or(&self.text)
    }

    /// The package with its version, without qualifiers.
    #[must_use]
    pub fn release(&self) -> &str {
        self.text.get(..self.release_bytes).unwrap_or(&self.text)
    }

    /// All of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Purl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a scope may name to reach a target: equal to one of the target's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Reach<'a> {
    /// Everything.
    Any,
    Package(&'a str),
    Place(&'a Utf8Path, Option<u32>, Option<u32>),
    Secret(&'a Utf8Path, &'a str),
    Route(&'a str),
    Name(&'a str),
}

impl Target {
    /// A package; what is no package URL is only a name.
    #[must_use]
    pub fn package(purl: impl AsRef<str>) -> Self {
        let purl = purl.as_ref();
        Purl::parse(purl).map_or_else(|| Self::Name(purl.to_owned()), Self::Package)
    }

    /// A whole file.
    #[must_use]
    pub fn file(path: impl AsRef<Utf8Path>) -> Self {
        Self::Place(Location::file(path))
    }

    /// A route.
    #[must_use]
    pub fn route(route: impl Into<String>) -> Self {
        Self::Route(route.into())
    }

    /// Anything else that has a name.
    #[must_use]
    pub fn name(name: impl Into<String>) -> Self {
        Self::Name(name.into())
    }

    /// Whether this, named in a scope, reaches `found`.
    #[must_use]
    pub fn reaches(&self, found: &Self) -> bool {
        found.reached_by().contains(&self.reach())
    }

    /// The same without what changes from run to run: the version of a package, the line of a place.
    #[must_use]
    pub fn broad(&self) -> Self {
        match self {
            Self::Package(purl) => Self::package(purl.package()),
            Self::Place(Location { path, .. }) => Self::file(path),
            Self::Secret { .. } | Self::Route(_) | Self::Name(_) => self.clone(),
        }
    }

    /// The same with every text in it changed.
    #[must_use]
    pub(crate) fn map(&self, text: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Package(purl) => Self::package(text(purl.as_str())),
            Self::Place(Location { path, line, column }) => {
                Self::Place(Location { path: text(path.as_str()).into(), line: *line, column: *column })
            }
            Self::Secret { path, sha256 } => Self::Secret { path: text(path.as_str()).into(), sha256: text(sha256) },
            Self::Route(route) => Self::Route(text(route)),
            Self::Name(name) => Self::Name(text(name)),
        }
    }

    /// What this reaches as a part of a scope.
    pub(crate) fn reach(&self) -> Reach<'_> {
        match self {
            Self::Package(purl) => Reach::Package(purl.as_str()),
            Self::Place(Location { path, line, column }) => Reach::Place(path, *line, *column),
            Self::Secret { path, sha256 } => Reach::Secret(path, sha256),
            Self::Route(route) => Reach::Route(route),
            Self::Name(name) => Reach::Name(name),
        }
    }

    /// Everything that a scope may name to reach this, the narrowest first; a handful, each different.
    pub(crate) fn reached_by(&self) -> Vec<Reach<'_>> {
        let mut all = match self {
            Self::Package(purl) => {
                vec![Reach::Package(purl.as_str()), Reach::Package(purl.release()), Reach::Package(purl.package())]
            }
            Self::Place(Location { path, line, column }) => vec![
                Reach::Place(path, *line, *column),
                Reach::Place(path, *line, None),
                Reach::Place(path, None, None),
            ],
            Self::Secret { .. } | Self::Route(_) | Self::Name(_) => vec![self.reach()],
        };
        all.dedup();
        all
    }
}

impl From<Location> for Target {
    fn from(location: Location) -> Self {
        Self::Place(location)
    }
}

impl From<Purl> for Target {
    fn from(purl: Purl) -> Self {
        Self::Package(purl)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package(purl) => purl.fmt(f),
            Self::Place(location) => location.fmt(f),
            Self::Secret { path, sha256 } => write!(f, "{path}{SUM}{sha256}"),
            Self::Route(text) | Self::Name(text) => f.write_str(text),
        }
    }
}

/// As it is shown, which is how records of runs have always had it.
impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Kinds that are written alike come back as a name, which shows the same and reaches less; nothing that is read back is judged again.
impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if let Some(purl) = Purl::parse(&text) {
            return Ok(Self::Package(purl));
        }
        if let Some((path, sha256)) = text.split_once(SUM) {
            return Ok(Self::Secret { path: path.into(), sha256: sha256.to_owned() });
        }
        Ok(match text.rsplit_once(':').map(|(path, line)| (path, line.parse::<u32>())) {
            Some((path, Ok(line))) if !path.is_empty() && !path.contains(':') => {
                Self::Place(Location::line(path, line))
            }
            _ => Self::Name(text),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_reaches_by_parts_and_not_by_how_it_is_written() {
        let place = |path: &str, line| Target::from(Location::line(path, line));
        let secret = |path: &str, sha256: &str| Target::Secret { path: path.into(), sha256: sha256.to_owned() };
        let yes = [
            (Target::package("pkg:pypi/requests"), Target::package("pkg:pypi/requests@2.30.0")),
            (Target::package("pkg:deb/debian/zlib@1"), Target::package("pkg:deb/debian/zlib@1?arch=amd64")),
            (Target::package("pkg:npm/@a/b"), Target::package("pkg:npm/@a/b@1")),
            (Target::file("a"), place("a", 3)),
            (place("a", 3), Target::from(Location::column("a", 3, 7))),
            (secret("a", "9f"), secret("a", "9f")),
            (Target::route("/status"), Target::route("/status")),
        ];
        for (scope, found) in yes {
            assert!(scope.reaches(&found), "{scope:?} {found:?}");
        }
        let no = [
            (Target::package("pkg:pypi/requests"), Target::package("pkg:pypi/requests-mock@1.0")),
            (Target::package("pkg:pypi/requests@2.3"), Target::package("pkg:pypi/requests@2.30")),
            (Target::package("pkg:pypi"), Target::package("pkg:pypi/requests@2.30")),
            (Target::package("pkg:npm/@a"), Target::package("pkg:npm/@a/b@1")),
            (Target::package("pkg:npm/"), Target::package("pkg:npm/@a/b@1")),
            // A file whose name ends like a line, and a line of the file without that end.
            (Target::file("a"), Target::file("a:3")),
            (Target::file("a:3"), place("a", 3)),
            (place("a", 3), place("a", 31)),
            // A file, and a secret in it: the exception for a secret names its text.
            (Target::file("a"), secret("a", "9f")),
            (secret("a", "9"), secret("a", "9f")),
            // What is written alike and is of another kind.
            (Target::file("/status"), Target::route("/status")),
            (Target::name("pkg:pypi/requests"), Target::package("pkg:pypi/requests")),
            (Target::route("/status"), Target::route("/status/more")),
        ];
        for (scope, found) in no {
            assert!(!scope.reaches(&found), "{scope:?} {found:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_to_show_the_same() {
        for target in [
            Target::package("pkg:pypi/requests@2.30.0"),
            Target::from(Location::line("a/b", 3)),
            Target::from(Location::column("a/b", 3, 4)),
            Target::file("/app/settings.env"),
            Target::Secret { path: "docs/a.md".into(), sha256: "9f".to_owned() },
            Target::route("/status"),
            Target::name("127.0.0.1:5000"),
            Target::name("tests/test_a.py::test_b"),
        ] {
            let json = serde_json::to_string(&target).expect("JSON");
            assert_eq!(json, format!("\"{target}\""));
            let back: Target = serde_json::from_str(&json).expect("read");
            assert_eq!(back.to_string(), target.to_string());
        }
    }
}
