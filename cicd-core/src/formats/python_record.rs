//! The `RECORD` of an installed Python package: the hash of each of its files
//! ([specification](https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file)).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A package with more files was made to exhaust a reader.
const FILES_MAX: usize = 200_000;

/// One file of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedFile {
    /// Its path, seen from the folder that the `dist-info` is in; absolute paths begin with a `/`.
    pub path: String,
    /// Its SHA-256; nothing for the record itself and for compiled files.
    pub sha256: Option<[u8; 32]>,
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} {problem}")]
pub struct RecordError {
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
}

/// Reads a record.
///
/// # Errors
/// A line that is no path with a hash and a size, or whose hash is not SHA-256.
pub fn read_python_record(bytes: &[u8]) -> Result<Vec<RecordedFile>, RecordError> {
    let mut files = Vec::new();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    for row in reader.byte_records() {
        let row = row.map_err(|error| RecordError {
            line: error.position().map_or(1, csv::Position::line),
            problem: "is not CSV".to_owned(),
        })?;
        let line = row.position().map_or(1, csv::Position::line);
        let wrong = |problem: &str| RecordError { line, problem: problem.to_owned() };
        let path = row.get(0).filter(|path| !path.is_empty()).ok_or_else(|| wrong("names no file"))?;
        let hash = row.get(1).ok_or_else(|| wrong("has no hash"))?;
        let sha256 = match hash {
            b"" => None,
            hash => {
                let digest = hash.strip_prefix(b"sha256=").ok_or_else(|| wrong("has a hash that is not SHA-256"))?;
                let digest = URL_SAFE_NO_PAD.decode(digest).ok().and_then(|digest| digest.try_into().ok());
                Some(digest.ok_or_else(|| wrong("has a hash that is not SHA-256"))?)
            }
        };
        files.push(RecordedFile { path: String::from_utf8_lossy(path).into_owned(), sha256 });
        if files.len() > FILES_MAX {
            return Err(wrong(&format!("is one of more than the {FILES_MAX} that are read")));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_hashes_are_read_and_nothing_else() {
        let empty = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
        let text = format!("flask/__init__.py,sha256={empty},0\n\"a,b.py\",,\nflask-1.dist-info/RECORD,,\r\n");
        let files = read_python_record(text.as_bytes()).expect("a record");
        let shown: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.sha256.is_some())).collect();
        assert_eq!(shown, [("flask/__init__.py", true), ("a,b.py", false), ("flask-1.dist-info/RECORD", false)]);
        for bad in ["a.py\n", "a.py,md5=abc,1\n", "a.py,sha256=abc,1\n", ",,\n", "\"a.py,,\n"] {
            assert!(read_python_record(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
