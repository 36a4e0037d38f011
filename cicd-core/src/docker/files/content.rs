use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use crate::formats::zip_directory::{self, ZipDirectory};

/// A key, a token, metadata and a list of packages are small; of larger files only the digest is kept.
pub(crate) const CONTENT_BYTES_MAX: u64 = 8 << 20;
/// A database of installed packages is larger than other texts.
const DATABASE_BYTES_MAX: u64 = 64 << 20;
/// A larger archive is not held in memory to be looked into.
const ARCHIVE_BYTES_MAX: usize = 64 << 20;
/// What is kept of all files together.
pub(crate) const KEPT_BYTES_MAX: u64 = 256 << 20;
/// A compiled Python file says in so many bytes which source it belongs to.
const HEAD_BYTES: usize = 16;
/// How much is read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// What stands in every program that Go has linked since 1.13, before the list of its modules.
const GO_BUILD: &[u8] = b"\xff Go buildinf:";
/// The section in which `cargo auditable` keeps the list of crates.
const CARGO_AUDITABLE: &[u8] = b".dep-v0\0";
/// Where both are looked for: programs begin so.
const ELF: &[u8] = b"\x7fELF";

/// What is known of a regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) size: u64,
    pub(crate) sha256: [u8; 32],
    /// The first layer that has exactly these bytes at this path; later ones may only have changed its mode.
    pub(crate) layer: usize,
    /// Its first bytes, at most 16.
    pub(crate) head: Vec<u8>,
    pub(crate) form: Form,
    /// Its text, where somebody asked for it.
    pub(crate) kept: Option<Kept>,
}

/// What was kept of a file: its bytes, or why they were not.
pub(crate) type Kept = Result<Vec<u8>, String>;

/// What a file is, by its first and last bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// A program or a shared library.
    Program(Program),
    /// A text whose first line names the program that runs it.
    Script,
    /// A zip, whatever its name: wheel, egg, zipapp or jar.
    Zip(Archive),
    /// Anything else.
    Other,
}

/// What a program was built from, as far as it tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Program {
    /// By Go, with the list of its modules.
    pub(crate) go: bool,
    /// By Cargo, with the list of its crates.
    pub(crate) cargo: bool,
}

/// The names in an archive, or why they cannot be read.
pub(crate) type Archive = Result<ZipDirectory, String>;

impl Content {
    /// Reads a file to its end.
    ///
    /// # Errors
    /// What the reader says.
    pub(crate) fn read(
        mut file: impl Read,
        size: u64,
        layer: usize,
        wanted: Wanted,
        buffer: &mut Vec<u8>,
    ) -> io::Result<Self> {
        buffer.clear();
        let mut digest = Sha256::new();
        let mut search = Search::default();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut whole = true;
        let mut head: Vec<u8> = Vec::new();
        loop {
            let count = match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let read = &chunk[..count];
            digest.update(read);
            if head.len() < HEAD_BYTES {
                head.extend(read.iter().take(HEAD_BYTES - head.len()));
            }
            if head.starts_with(ELF) {
                search.look(read);
            }
            whole &= buffer.len() + count <= ARCHIVE_BYTES_MAX;
            if whole {
                buffer.extend_from_slice(read);
            }
        }
        let form = form(&head, buffer, whole, search.found);
        let limit = match wanted {
            Wanted::No => None,
            Wanted::Text => Some(CONTENT_BYTES_MAX),
            Wanted::Database => Some(DATABASE_BYTES_MAX),
        };
        let kept = limit.map(|limit| match size > limit || !whole {
            true => Err(format!("it has {size} bytes, more than the {limit} that are read")),
            false => Ok(buffer.clone()),
        });
        Ok(Self { size, sha256: digest.finalize().into(), layer, head, form, kept })
    }
}

/// How much of a file is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    No,
    Text,
    Database,
}

impl Wanted {
    /// What gates read of an image beyond names, modes and digests.
    pub(crate) fn of(path: &str) -> Self {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if matches!(path, "var/lib/dpkg/status" | "lib/apk/db/installed" | "usr/lib/apk/db/installed") {
            return Self::Database;
        }
        let parts = || path.split('/');
        let of_python = parts()
            .any(|part| part.ends_with(".dist-info") || part.ends_with(".egg-info") || part == "EGG-INFO")
            || [".egg-link", ".pth"].iter().any(|end| name.ends_with(end));
        let of_system = folder == "var/lib/dpkg/status.d"
            || (folder == "var/lib/dpkg/info" && name.ends_with(".list"))
            || (folder == "etc" || folder == "usr/lib")
                && ["release", "_version", "passwd", "shadow", "group", "sudoers", "doas.conf"]
                    .iter()
                    .any(|end| name.ends_with(end))
            || path.starts_with("etc/sudoers.d/")
            || path.starts_with("etc/pam.d/");
        let of_node = name == "package.json" && folder.split('/').any(|part| part == "node_modules");
        if of_python || of_system || of_node { Self::Text } else { Self::No }
    }
}

/// Looks for words that may be cut by the end of a chunk.
#[derive(Default)]
struct Search {
    before: Vec<u8>,
    found: Program,
}

impl Search {
    fn look(&mut self, chunk: &[u8]) {
        let keep = GO_BUILD.len().max(CARGO_AUDITABLE.len()) - 1;
        self.before.extend_from_slice(chunk);
        let has = |word: &[u8]| contains(&self.before, word);
        self.found.go |= has(GO_BUILD);
        self.found.cargo |= has(CARGO_AUDITABLE);
        let start = self.before.len().saturating_sub(keep);
        self.before.drain(..start);
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else { return true };
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(word) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

fn form(head: &[u8], bytes: &[u8], whole: bool, program: Program) -> Form {
    if head.starts_with(ELF) {
        return match whole.then(|| zip_directory::read(bytes)) {
            // Python imports from an archive whatever stands before it; a program may hold the marks of an empty one by chance.
            Some(Ok(Some(directory))) if !directory.names.is_empty() => Form::Zip(Ok(directory)),
            _ => Form::Program(program),
        };
    }
    let is_zip = head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06");
    if !whole {
        let problem = || format!("it has more than the {ARCHIVE_BYTES_MAX} bytes that are looked into");
        return if is_zip { Form::Zip(Err(problem())) } else { Form::Other };
    }
    match zip_directory::read(bytes) {
        Ok(Some(directory)) => Form::Zip(Ok(directory)),
        Err(problem) => Form::Zip(Err(problem)),
        Ok(None) if is_zip => Form::Zip(Err("it has no list of its files".to_owned())),
        Ok(None) if head.starts_with(b"#!") => Form::Script,
        Ok(None) => Form::Other,
    }
}
