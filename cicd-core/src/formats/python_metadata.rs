use std::fmt;

use pep440_rs::Version;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A `License` field longer than this is a licence text, not a name; its digest stands for it.
const LICENSE_NAME_CHARS_MAX: usize = 120;
/// The largest metadata that is read; the longest descriptions on the package index are below one megabyte.
const METADATA_BYTES_MAX: usize = 4 << 20;

/// What the `METADATA` file of an installed Python distribution says about it
/// ([core metadata](https://packaging.python.org/en/latest/specifications/core-metadata/)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonMetadata {
    /// The name as its author writes it.
    pub name: String,
    /// The version as its author writes it; it is a valid PEP 440 version.
    pub version: String,
    /// What it says of its licence.
    pub license: LicenseTriple,
    /// The licence files it names, as `License-File` gives them.
    pub license_files: Vec<String>,
}

/// The three places in which a distribution may name its licence, word for word.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LicenseTriple {
    /// The `License` field; a whole licence text is replaced by `text sha256:…`. Empty if absent.
    pub metadata: String,
    /// The classifiers that begin with `License ::`, in their order.
    pub classifiers: Vec<String>,
    /// The `License-Expression` field. Empty if absent.
    pub expression: String,
}

/// Metadata that cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// It is longer than is read.
    #[error("it has {0} bytes, more than the {METADATA_BYTES_MAX} that are read")]
    TooLong(usize),
    /// Its headers are not UTF-8.
    #[error("its headers are not UTF-8 from byte {0} on")]
    NotText(usize),
    /// A line among the headers is none.
    #[error("line {line} is not a header: {text:?}")]
    NotAHeader {
        /// The line, from 1.
        line: usize,
        /// Its start.
        text: String,
    },
    /// A header that must be there once.
    #[error("it has {count} `{header}` headers instead of one")]
    Count {
        /// The header.
        header: &'static str,
        /// How many there are.
        count: usize,
    },
    /// The name is none.
    #[error("{0:?} is not the name of a Python package")]
    Name(String),
    /// The version is none.
    #[error("{0:?} is not a version (PEP 440)")]
    Version(String),
}

/// Reads the headers of a `METADATA` or `PKG-INFO` file. The description after the first empty line is not looked at.
///
/// # Errors
/// When it does not name one package and one version, or its headers cannot be read.
pub fn read_python_metadata(bytes: &[u8]) -> Result<PythonMetadata, MetadataError> {
    if bytes.len() > METADATA_BYTES_MAX {
        return Err(MetadataError::TooLong(bytes.len()));
    }
    let headers = headers(bytes)?;
    let all = |name: &str| -> Vec<&str> {
        headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    };
    let one = |header: &'static str| match all(header).as_slice() {
        [value] => Ok((*value).to_owned()),
        values => Err(MetadataError::Count { header, count: values.len() }),
    };
    let at_most_one = |header: &'static str| match all(header).as_slice() {
        [] => Ok(String::new()),
        [value] => Ok((*value).to_owned()),
        values => Err(MetadataError::Count { header, count: values.len() }),
    };
    let (name, version) = (one("Name")?, one("Version")?);
    if !is_package_name(&name) {
        return Err(MetadataError::Name(name));
    }
    if version.parse::<Version>().is_err() {
        return Err(MetadataError::Version(version));
    }
    let classifiers = all("Classifier").into_iter().filter(|value| value.starts_with("License ::"));
    Ok(PythonMetadata {
        license: LicenseTriple {
            metadata: license_name(&at_most_one("License")?),
            classifiers: classifiers.map(str::to_owned).collect(),
            expression: at_most_one("License-Expression")?,
        },
        license_files: all("License-File").into_iter().map(str::to_owned).collect(),
        name,
        version,
    })
}

fn headers(bytes: &[u8]) -> Result<Vec<(String, String)>, MetadataError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let end = end_of_headers(bytes);
    let text = std::str::from_utf8(&bytes[..end]).map_err(|error| MetadataError::NotText(error.valid_up_to()))?;
    let mut headers: Vec<(String, String)> = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim_end_matches('\r');
        match headers.last_mut() {
            Some((_, value)) if line.starts_with([' ', '\t']) => {
                value.push('\n');
                value.push_str(line.trim());
            }
            _ => match line.split_once(':') {
                Some((key, value)) if is_header_name(key) => headers.push((key.to_owned(), value.trim().to_owned())),
                _ => {
                    let text = line.chars().take(60).collect();
                    return Err(MetadataError::NotAHeader { line: number, text });
                }
            },
        }
    }
    Ok(headers)
}

/// Where the first empty line begins; a line of blanks only is a folded one.
fn end_of_headers(bytes: &[u8]) -> usize {
    let mut start = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        if line == b"\n" || line == b"\r\n" {
            break;
        }
        start += line.len();
    }
    start
}

fn is_header_name(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

fn license_name(value: &str) -> String {
    let value = value.trim();
    if value.contains('\n') || value.chars().count() > LICENSE_NAME_CHARS_MAX {
        format!("text sha256:{}", hex(&Sha256::digest(value.as_bytes())))
    } else {
        value.to_owned()
    }
}

impl LicenseTriple {
    /// Whether it says nothing at all: every place is absent, empty or `UNKNOWN`.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        let nothing = |text: &str| text.trim().is_empty() || text.eq_ignore_ascii_case("unknown");
        nothing(&self.metadata) && nothing(&self.expression) && self.classifiers.is_empty()
    }

    /// The last part of each classifier, such as `MIT License`.
    pub fn classifier_names(&self) -> impl Iterator<Item = &str> {
        self.classifiers.iter().map(|classifier| classifier.rsplit(" :: ").next().unwrap_or(classifier).trim())
    }
}

/// `Public Domain (Unlicense)`: the classifiers, then the `License` field; an expression stands for both.
impl fmt::Display for LicenseTriple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let classifiers: Vec<_> = self.classifier_names().collect();
        match (self.expression.as_str(), classifiers.join(", ").as_str(), self.metadata.as_str()) {
            ("", "", "") => f.write_str("no licence"),
            ("", "", metadata) => f.write_str(metadata),
            ("", classifiers, "") => f.write_str(classifiers),
            ("", classifiers, metadata) => write!(f, "{classifiers} ({metadata})"),
            (expression, _, _) => f.write_str(expression),
        }
    }
}

/// Whether two versions are the same by PEP 440: `1.0` is `1.0.0`, but `1.0+cpu` is neither.
#[must_use]
pub fn same_version(one: &str, other: &str) -> bool {
    match (one.parse::<Version>(), other.parse::<Version>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// Whether it is a name by PEP 508: ASCII letters and digits, with `.`, `-` and `_` inside.
#[must_use]
pub fn is_package_name(name: &str) -> bool {
    let framed = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    framed(name.chars().next())
        && framed(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILELOCK_3_8_1: &[u8] = include_bytes!("../../tests/data/licenses/filelock-3.8.1.dist-info/METADATA");
    const FILELOCK_3_8_2: &[u8] = include_bytes!("../../tests/data/licenses/filelock-3.8.2.dist-info/METADATA");
    const FLASK: &[u8] = include_bytes!("../../tests/data/licenses/flask-3.1.3.dist-info/METADATA");

    fn minimal(more: &str) -> Result<PythonMetadata, MetadataError> {
        read_python_metadata(format!("Metadata-Version: 2.1\nName: a\nVersion: 1\n{more}").as_bytes())
    }

    #[test]
    fn the_releases_of_filelock_differ_in_their_classifier_only() {
        let (old, new) =
            (read_python_metadata(FILELOCK_3_8_1).expect("real"), read_python_metadata(FILELOCK_3_8_2).expect("real"));
        assert_eq!((old.name.as_str(), old.version.as_str()), ("filelock", "3.8.1"));
        assert_eq!(old.license.to_string(), "Public Domain (Unlicense)");
        assert_eq!(new.license.to_string(), "The Unlicense (Unlicense) (Unlicense)");
        assert_eq!(old.license.metadata, new.license.metadata);
        assert_eq!(old.license_files, ["LICENSE"]);
    }

    #[test]
    fn an_expression_is_read() {
        let flask = read_python_metadata(FLASK).expect("real");
        assert_eq!(flask.license.expression, "BSD-3-Clause");
        assert_eq!(flask.license.to_string(), "BSD-3-Clause");
    }

    #[test]
    fn a_whole_licence_text_is_kept_as_its_digest() {
        let folded = minimal(
            "License: Permission is hereby\n        \n        |granted\n\tto all\nClassifier: License :: X\n\nbody",
        )
        .expect("folded");
        assert!(folded.license.metadata.starts_with("text sha256:"), "{}", folded.license.metadata);
        assert_eq!(folded.license.classifiers, ["License :: X"]);
        let other = minimal("License: Permission is hereby\n        \n        |denied\n\tto all\n").expect("folded");
        assert_ne!(folded.license.metadata, other.license.metadata);
    }

    #[test]
    fn unknown_is_no_licence() {
        for nothing in ["", "License: UNKNOWN\n", "License:\n", "Classifier: Private :: Do Not Upload\n"] {
            assert!(minimal(nothing).expect("plain").license.is_unknown(), "{nothing:?}");
        }
        assert!(!minimal("License: MIT\n").expect("plain").license.is_unknown());
    }

    #[test]
    fn what_cannot_be_judged_is_refused() {
        for bad in [
            b"".as_slice(),
            b"\nName: a\nVersion: 1\n",
            b"Name: a\nVersion: 1\nName: b\n",
            b"Name: a\nVersion: not one\n",
            b"Name: -a\nVersion: 1\n",
            b"Name: a b\nVersion: 1\n",
            b"Name: a\nVersion: 1\nLicense: caf\xe9\n",
            b"Name: a\nVersion: 1\nno colon here\n",
            b"Name: a\nVersion: 1\nLicense: MIT\nLicense: GPL\n",
            b" folded: first\nName: a\nVersion: 1\n",
        ] {
            assert!(read_python_metadata(bad).is_err(), "{:?} was accepted", String::from_utf8_lossy(bad));
        }
        assert!(matches!(read_python_metadata(&vec![b'a'; METADATA_BYTES_MAX + 1]), Err(MetadataError::TooLong(_))));
        assert!(minimal("\nbody with \u{e9} and no colon").is_ok());
    }

    #[test]
    fn windows_line_ends_and_a_byte_order_mark_are_tolerated() {
        let metadata = read_python_metadata(b"\xef\xbb\xbfName: A_b\r\nVersion: 1!2.0+cpu\r\nLicense: MIT\r\n\r\nrest")
            .expect("tolerated");
        assert_eq!((metadata.name.as_str(), metadata.license.metadata.as_str()), ("A_b", "MIT"));
    }

    #[test]
    fn versions_are_compared_as_the_index_does() {
        assert!(same_version("1.0", "1.0.0") && same_version("1.0rc1", "1.0.RC1"));
        assert!(!same_version("2.0", "2.0+cpu") && !same_version("1!2.0", "2.0"));
    }
}
