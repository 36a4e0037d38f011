#![expect(clippy::disallowed_types, reason = "what is read may have a name that is not UTF-8")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};

/// What is hashed at once.
const CHUNK_BYTES: usize = 1 << 20;

/// Opens a file for reading, and only a regular one: opening never waits, and a pipe, a device or a folder is an error.
///
/// A link is followed, as what a user names may be one. Where a step may have left it, use [`Folder`](super::Folder).
pub(crate) fn open(path: impl AsRef<Path>) -> io::Result<File> {
    let path = path.as_ref();
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    // Opening a device may already do something.
    only_regular(&std::fs::metadata(path)?)?;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    only_regular(&file.metadata()?)?;
    Ok(file)
}

/// The whole of a regular file.
pub(crate) fn read(path: impl AsRef<Path>, bytes_max: u64) -> io::Result<Vec<u8>> {
    read_to_end(open(path)?, bytes_max)
}

/// The whole of a regular file in UTF-8.
pub(crate) fn read_text(path: impl AsRef<Path>, bytes_max: u64) -> io::Result<String> {
    String::from_utf8(read(path, bytes_max)?).map_err(io::Error::other)
}

/// The sum of a regular file, read in pieces.
pub(crate) fn sha256(path: impl AsRef<Path>) -> io::Result<[u8; 32]> {
    let mut file = open(path)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(digest.finalize().into()),
            count => digest.update(&chunk[..count]),
        }
    }
}

pub(super) fn read_to_end(file: File, bytes_max: u64) -> io::Result<Vec<u8>> {
    let too_large =
        |bytes: u64| io::Error::other(format!("it has {bytes} bytes, more than the {bytes_max} that are read"));
    let size = file.metadata()?.len();
    if size > bytes_max {
        return Err(too_large(size));
    }
    let mut bytes = Vec::new();
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    // It may have grown meanwhile, and a file of `/proc` has no size.
    if bytes.len() as u64 > bytes_max {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

fn only_regular(metadata: &std::fs::Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    let what = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => "a folder",
        _ if kind.is_fifo() => "a named pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(not_regular(what))
}

pub(super) fn not_regular(what: &str) -> io::Error {
    io::Error::other(format!("it is {what}, not a regular file"))
}
