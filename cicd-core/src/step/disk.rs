//! A full disk is never a verdict.

use std::io;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};
use camino::Utf8Path;

use crate::process::{OutputSink, Stream};

/// What a program says that finds no room, whatever it is written in: what the C library calls `ENOSPC` (blocks and inodes alike) and
/// `EDQUOT`, how Node, SQLite and apt put it, and the numbers that Python and Rust add.
const WORDS: [&str; 7] = [
    "no space left on device",
    "disk quota exceeded",
    "enospc",
    "[errno 28]",
    "os error 28",
    "disk is full",
    "you don't have enough free space",
];

/// A word of each of them, in the cases that programs write it in: the processor looks for a few such words many bytes at a time, and for
/// letters in any case byte by byte, which takes as long as everything else that is done with output.
const HINTS: [&str; 16] = [
    "space", "Space", "SPACE", "quota", "Quota", "QUOTA", "enospc", "Enospc", "ENOSPC", " 28", "full", "Full", "FULL",
    "enough", "Enough", "ENOUGH",
];

/// A file system with less than this is full: what is left are crumbs into which no file of any size fits.
const FREE_BYTES_MIN: u64 = 64 << 10;
/// The same for the number of files.
const FREE_FILES_MIN: u64 = 4;

/// Nothing where the words are no search, which a test rules out.
static SEARCH: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().ascii_case_insensitive(true).build(WORDS).ok());
/// With any other kind of match, nothing looks at many bytes at a time.
static HINT: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(HINTS).ok());

/// Hands output on and sees whether a program complains of a full disk.
pub(super) struct Watching<S> {
    inner: S,
    /// The end of what was seen of each stream, in which words may begin.
    ends: [Vec<u8>; 2],
    said: Option<&'static str>,
}

impl<S> Watching<S> {
    pub(super) fn new(inner: S) -> Self {
        Self { inner, ends: [Vec::new(), Vec::new()], said: None }
    }

    /// The words that it used, if it has complained.
    pub(super) fn said(&self) -> Option<&'static str> {
        self.said
    }

    fn look(&mut self, stream: Stream, bytes: &[u8]) {
        let (Some(search), Some(hint), None) = (SEARCH.as_ref(), HINT.as_ref(), self.said) else { return };
        let longest = search.max_pattern_len();
        let end = &mut self.ends[stream as usize];
        // Where the last piece ends and this one begins, then this one alone.
        end.extend_from_slice(&bytes[..bytes.len().min(longest)]);
        let found = search.find(end.as_slice());
        let found = found.or_else(|| hint.is_match(bytes).then(|| search.find(bytes)).flatten());
        self.said = found.and_then(|found| WORDS.get(found.pattern().as_usize()).copied());
        let rest = &bytes[bytes.len().min(longest)..];
        end.extend_from_slice(&rest[rest.len().saturating_sub(longest)..]);
        let excess = end.len().saturating_sub(longest);
        end.drain(..excess);
    }
}

impl<S: OutputSink> OutputSink for Watching<S> {
    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        self.look(stream, bytes);
        self.inner.write(stream, bytes)
    }

    fn finish(&mut self) -> io::Result<()> {
        self.inner.finish()
    }
}

/// Whether nothing more fits where this folder is; not where nobody can tell.
pub(crate) fn is_full(folder: &Utf8Path) -> bool {
    let Ok(stat) = rustix::fs::statvfs(folder.as_std_path()) else { return false };
    // File systems that make room for files as they need it tell none, and so do those that hold nothing, such as /proc.
    let blocks = stat.f_blocks > 0 && stat.f_bavail.saturating_mul(stat.f_frsize) < FREE_BYTES_MIN;
    let files = stat.f_files > 0 && stat.f_favail < FREE_FILES_MIN;
    blocks || files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Discard;

    fn said(pieces: &[&[u8]]) -> Option<&'static str> {
        let mut sink = Watching::new(Discard);
        for piece in pieces {
            sink.write(Stream::Stderr, piece).expect("kept nowhere");
            sink.write(Stream::Stdout, b"something else in between\n").expect("kept nowhere");
        }
        sink.said()
    }

    #[test]
    fn a_complaint_about_a_full_disk_is_heard_wherever_it_is_cut() {
        assert!(SEARCH.is_some() && HINT.is_some());
        for text in [
            "OSError: [Errno 28] No space left on device: '/tmp/x'",
            "dd: error writing '/x': No space left on device",
            "Error: ENOSPC: no space left on device, write",
            "E: You don't have enough free space in /var/cache/apt/archives/.",
            "sqlite3.OperationalError: database or disk is full",
            "cannot create: Disk quota exceeded",
            "No Space Left on Device",
            "DISK IS FULL",
        ] {
            let text = text.as_bytes();
            assert!(said(&[text]).is_some());
            for cut in 0..=text.len() {
                assert!(said(&[&text[..cut], &text[cut..]]).is_some(), "cut at {cut}");
            }
            let bytes: Vec<&[u8]> = text.chunks(1).collect();
            assert!(said(&bytes).is_some(), "byte by byte");
            let long = [&b"x".repeat(100_000)[..], text, &b"y".repeat(100_000)[..]].concat();
            let pieces: Vec<&[u8]> = long.chunks(4096).collect();
            assert!(said(&pieces).is_some(), "in the middle of much");
        }
        for other in ["no space", "left on device", "errno 2", "there is no space left", ""] {
            assert_eq!(said(&[other.as_bytes()]), None, "{other}");
        }
    }

    #[test]
    fn a_disk_that_nobody_can_measure_is_not_called_full() {
        assert!(!is_full(Utf8Path::new("/does/not/exist")));
        assert!(!is_full(Utf8Path::new("/proc")));
    }
}
