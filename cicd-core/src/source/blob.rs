use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::Utf8Path;
use sha1_checked::{Digest as _, Sha1};
use sha2::{Digest as _, Sha256};

use crate::formats::hex;

/// How many digits a name in a repository with SHA-1 has.
const SHA1_DIGITS: usize = 40;
/// As much is read at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// How a repository names what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Sha1,
    Sha256,
}

impl Format {
    /// That of a name in it.
    pub(super) fn of(id: &str) -> Self {
        if id.len() == SHA1_DIGITS { Self::Sha1 } else { Self::Sha256 }
    }
}

/// Computes the name that git would give to raw bytes, without any filter of it.
enum Hasher {
    Sha1(Box<Sha1>),
    Sha256(Box<Sha256>),
}

impl Hasher {
    fn new(format: Format, kind: &str, size_bytes: u64) -> Self {
        let mut hasher = match format {
            Format::Sha1 => Self::Sha1(Box::default()),
            Format::Sha256 => Self::Sha256(Box::default()),
        };
        hasher.update(format!("{kind} {size_bytes}\0").as_bytes());
        hasher
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hash) => hash.update(bytes),
            Self::Sha256(hash) => hash.update(bytes),
        }
    }

    fn finish(self) -> String {
        match self {
            Self::Sha1(hash) => {
                let result = hash.try_finalize();
                let name = hex(result.hash());
                // Bytes that were made to have the name of others are not those.
                if result.has_collision() { format!("collision-{name}") } else { name }
            }
            Self::Sha256(hash) => hex(&hash.finalize()),
        }
    }
}

/// The name of a file of these bytes.
pub(super) fn name_of(format: Format, bytes: &[u8]) -> String {
    name_of_object(format, "blob", bytes)
}

/// The name of an object of this kind, such as a `tree` or a `commit`.
pub(super) fn name_of_object(format: Format, kind: &str, bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(format, kind, bytes.len() as u64);
    hasher.update(bytes);
    hasher.finish()
}

/// The name of what an open file holds, `size_bytes` of it, which go into `copy` as well.
pub(super) fn read_name(format: Format, file: &mut File, size_bytes: u64, copy: &mut dyn Write) -> io::Result<String> {
    let mut hasher = Hasher::new(format, "blob", size_bytes);
    let length = usize::try_from(size_bytes).map_or(CHUNK_BYTES, |size| CHUNK_BYTES.min(size + 1));
    let mut chunk = vec![0; length];
    let (mut file, mut read) = (file.take(size_bytes + 1), 0);
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        read += count as u64;
        hasher.update(&chunk[..count]);
        copy.write_all(&chunk[..count])?;
    }
    if read == size_bytes { Ok(hasher.finish()) } else { Err(io::Error::other("it changed while it was read")) }
}

/// Opens a file that is to be plain: no link is followed, no pipe waited for.
pub(super) fn open_plain(path: &Utf8Path) -> io::Result<(File, Metadata)> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(io::Error::other("it is not a file")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_gits_own() {
        assert_eq!(name_of(Format::Sha1, b""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(name_of(Format::Sha256, b""), "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813");
    }
}
