//! Which program runs: its sha256, as what closures and the steps themselves do stands in no setting.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::sync::OnceLock;

use camino::Utf8Path;
use sha2::{Digest as _, Sha256};

use crate::files::{self, Folder};
use crate::formats::hex;

/// Where a run keeps the hash for the next one: a program of 100 MB takes seconds where the hash is not optimised.
const KEPT: &str = "program";
/// A line of numbers and a hash.
const KEPT_BYTES_MAX: u64 = 4 << 10;
/// What is read at once.
const CHUNK_BYTES: usize = 1 << 20;

/// The sha256 of this program; nothing where it cannot be read. `area` is the folder that holds the runs.
pub(super) fn sha256(area: &Utf8Path) -> Option<String> {
    static KNOWN: OnceLock<Option<String>> = OnceLock::new();
    KNOWN.get_or_init(|| find(area).ok()).clone()
}

fn find(area: &Utf8Path) -> io::Result<String> {
    // On Linux this is the program that runs, also where another one has its name by now.
    let own = Utf8Path::new("/proc/self/exe");
    let file = if own.exists() { files::open(own)? } else { files::open(std::env::current_exe()?)? };
    let found = file.metadata()?;
    // No program can set the last of these: while they are the same, so is what the file holds.
    let version = [found.dev(), found.ino(), found.size()].map(|number| number.to_string()).join(" ");
    let version =
        format!("{version} {}.{} {}.{}", found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
    fs::create_dir_all(area)?;
    let area = Folder::open(&area.canonicalize_utf8().map_err(io::Error::other)?)?;
    let kept = area.read(KEPT, KEPT_BYTES_MAX).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some((_, sha256)) = kept.as_deref().and_then(|line| line.rsplit_once(' ')).filter(|(of, _)| *of == version) {
        return Ok(sha256.to_owned());
    }
    let sha256 = hash(file)?;
    // Where it cannot be kept, the next run hashes again.
    let _ = area.create(KEPT).and_then(|mut kept| write!(kept, "{version} {sha256}"));
    Ok(sha256)
}

fn hash(mut file: File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex(&hash.finalize())),
            count => hash.update(&chunk[..count]),
        }
    }
}
