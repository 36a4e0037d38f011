//! The names of the files in a zip, from its [central directory](https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT): what
//! Python's `zipimport` reads, wherever in a file the archive begins.

use memchr::memmem;

/// The end of an archive: this, 18 more bytes, and a comment.
const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;
/// A comment has no more bytes than its length can say.
const COMMENT_BYTES_MAX: usize = 0xffff;
/// One file in the directory.
const ENTRY: &[u8] = b"PK\x01\x02";
const ENTRY_BYTES: usize = 46;
/// An archive with more files was made to exhaust a reader.
const NAMES_MAX: usize = 200_000;

/// The files of a zip.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ZipDirectory {
    /// Their names, as they are written in it.
    pub names: Vec<String>,
}

/// The last bytes of a file in which the end of an archive is.
pub const END_BYTES_MAX: usize = END_BYTES + COMMENT_BYTES_MAX;

/// Whether the last bytes of a file, [`END_BYTES_MAX`] of them or more, hold the end of an archive with files in it.
#[must_use]
pub fn ends_as_archive(bytes: &[u8]) -> bool {
    ends(bytes).any(|at| {
        let (files, size) = (number(bytes, at + 10, 2).unwrap_or(0), number(bytes, at + 12, 4).unwrap_or(0));
        files > 0 && size >= files * ENTRY_BYTES
    })
}

/// Reads the names of a zip; nothing where the bytes do not end as one.
///
/// # Errors
/// A directory that cannot be followed.
pub fn read(bytes: &[u8]) -> Result<Option<ZipDirectory>, String> {
    let Some(end) = find_end(bytes) else { return Ok(None) };
    let size = number(bytes, end + 12, 4).ok_or("its end is cut off")?;
    // What stands before the archive, such as the first line of a zipapp, moves every offset, so the directory is found from its end.
    let Some(mut at) = end.checked_sub(size) else {
        return Err("its directory begins before its first byte".to_owned());
    };
    let mut names = Vec::new();
    while at < end {
        if bytes.get(at..at + ENTRY.len()) != Some(ENTRY) {
            return Err(format!("its directory is broken after {} files", names.len()));
        }
        let [name, extra, comment] = [28, 30, 32].map(|offset| number(bytes, at + offset, 2).unwrap_or(0));
        let start = at + ENTRY_BYTES;
        let name = bytes.get(start..start + name).ok_or("a name in its directory is cut off")?;
        names.push(String::from_utf8_lossy(name).into_owned());
        if names.len() > NAMES_MAX {
            return Err(format!("it has more than the {NAMES_MAX} files that are read"));
        }
        at = start + name.len() + extra + comment;
    }
    Ok(Some(ZipDirectory { names }))
}

/// Where the last end of an archive is whose comment reaches to the end of the file.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let first = bytes.len().saturating_sub(END_BYTES_MAX);
    ends(bytes.get(first..)?).map(|at| first + at).find(|&at| {
        let fits = || number(bytes, at + 20, 2).is_some_and(|comment| at + END_BYTES + comment <= bytes.len());
        // Python does not ask how long the comment is where a directory stands before the end.
        let leads = || {
            let start = number(bytes, at + 12, 4).and_then(|size| at.checked_sub(size));
            start.and_then(|start| bytes.get(start..start + ENTRY.len())) == Some(ENTRY)
        };
        leads() || fits()
    })
}

/// Wherever an end of an archive may begin, from the last. Every file of every layer is looked through for them.
fn ends(bytes: &[u8]) -> impl Iterator<Item = usize> {
    // What begins later has no room for all that belongs to an end.
    let beginnings = &bytes[..bytes.len().saturating_sub(END_BYTES - END.len())];
    memmem::rfind_iter(beginnings, END)
}

fn number(bytes: &[u8], at: usize, count: usize) -> Option<usize> {
    let digits = bytes.get(at..at + count)?;
    Some(digits.iter().rev().fold(0, |sum, &digit| (sum << 8) | usize::from(digit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An archive without compression, whose files are empty.
    fn zip(names: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut directory = Vec::new();
        for name in names {
            bytes.extend(b"PK\x03\x04");
            bytes.extend([0; 22]);
            bytes.extend([u8::try_from(name.len()).expect("short"), 0, 0, 0]);
            bytes.extend(name.as_bytes());
            directory.extend(ENTRY);
            directory.extend([0; 24]);
            directory.extend([u8::try_from(name.len()).expect("short"), 0]);
            directory.extend([0; 16]);
            directory.extend(name.as_bytes());
        }
        let size = u32::try_from(directory.len()).expect("short").to_le_bytes();
        bytes.extend(directory);
        bytes.extend(END);
        bytes.extend([0; 8]);
        bytes.extend(size);
        bytes.extend([0; 6]);
        bytes
    }

    #[test]
    fn names_are_read_wherever_the_archive_begins() {
        let names = ["a.py", "b-1.0.dist-info/METADATA"];
        for prefix in [&b""[..], b"#!/usr/bin/env python3\n", b"\x7fELF whatever"] {
            let bytes = [prefix, &zip(&names)].concat();
            assert_eq!(read(&bytes).expect("whole").expect("a zip").names, names);
            let mut commented = bytes.clone();
            let at = commented.len() - 2;
            commented[at] = 3;
            commented.extend(b"hey");
            assert_eq!(read(&commented).expect("whole").expect("a zip").names, names);
            // Python takes no notice of how long the comment is said to be.
            commented[at] = 200;
            assert_eq!(read(&commented).expect("whole").expect("a zip").names, names);
        }
        let bytes = zip(&names);
        assert!(!ends_as_archive(&bytes), "this one does not say how many files it has");
        let mut told = bytes.clone();
        let count = told.len() - END_BYTES + 10;
        told[count] = 2;
        assert!(ends_as_archive(&told) && ends_as_archive(&[told.as_slice(), b"comment"].concat()));
        assert!(!ends_as_archive(&zip(&[])) && !ends_as_archive(b"PK"));
        assert_eq!(read(&zip(&[])).expect("whole").expect("a zip").names.len(), 0);
    }

    #[test]
    fn what_is_no_zip_is_none_and_half_a_directory_is_an_error() {
        for none in [&b""[..], b"PK", b"no archive at all, but long enough to hold one's end", &zip(&["a"])[..40]] {
            assert_eq!(read(none), Ok(None));
        }
        let mut broken = zip(&["a.py"]);
        let at = broken.windows(4).position(|four| four == ENTRY).expect("an entry");
        broken[at] = b'X';
        assert!(read(&broken).is_err());
        for cut in 0..zip(&["a.py", "b.py"]).len() - 1 {
            assert_eq!(read(&zip(&["a.py", "b.py"])[..cut]), Ok(None), "cut at {cut}");
        }
    }
}
