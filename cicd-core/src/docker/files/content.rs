use std::io::{self, Read};

use md5::Md5;
use memchr::memmem;
use sha1_checked::Sha1;
use sha2::{Digest as _, Sha256};

use super::system::SumKind;
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
/// So much of a file is shown at once.
const WINDOW_BYTES: usize = 1 << 20;
/// And so much of it again with what follows: more than anything that is searched for.
const OVERLAP_BYTES: usize = 64 << 10;
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
    /// What its package would say that it is: asked for of files that may be a package's.
    pub(crate) sum: Option<Vec<u8>>,
    /// Its text, where somebody asked for it.
    pub(crate) kept: Option<Kept>,
}

/// What is asked of a file that is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) size: u64,
    pub(super) layer: usize,
    pub(super) wanted: Wanted,
    pub(super) sum: Option<SumKind>,
}

/// A part of a file, with the end of what came before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// Its beginning.
    First,
    /// More of it.
    Later,
}

/// What was kept of a file: its bytes, or why they were not.
pub(crate) type Kept = Result<Vec<u8>, String>;

/// What a file is, by its first and last bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    /// A program or a shared library, which may have an archive behind it.
    Program(Program, Option<Archive>),
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

impl Form {
    /// The archive that it is, or that stands behind it.
    pub(super) fn archive(&self) -> Option<&Archive> {
        match self {
            Self::Zip(archive) | Self::Program(_, Some(archive)) => Some(archive),
            Self::Program(_, None) | Self::Script | Self::Other => None,
        }
    }
}

impl Content {
    /// Reads a file to its end, and shows every part of it.
    ///
    /// # Errors
    /// What the reader says.
    pub(super) fn read(
        mut file: impl Read,
        Reading { size, layer, wanted, sum }: Reading,
        buffer: &mut Vec<u8>,
        show: &mut dyn FnMut(Part, &[u8]),
    ) -> io::Result<Self> {
        buffer.clear();
        let mut digest = Sha256::new();
        let mut sum = Sum::new(sum);
        let mut search = Search::default();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut whole = true;
        let mut head: Vec<u8> = Vec::new();
        let mut window: Vec<u8> = Vec::new();
        let mut part = Part::Whole;
        // The end of what is too large to be kept.
        let mut end: Vec<u8> = Vec::new();
        loop {
            let count = match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let read = &chunk[..count];
            digest.update(read);
            sum.update(read);
            if window.len() + count > WINDOW_BYTES {
                part = if part == Part::Whole { Part::First } else { Part::Later };
                show(part, &window);
                window.drain(..window.len().saturating_sub(OVERLAP_BYTES));
            }
            window.extend_from_slice(read);
            if head.len() < HEAD_BYTES {
                head.extend(read.iter().take(HEAD_BYTES - head.len()));
            }
            if head.starts_with(ELF) {
                search.look(read);
            }
            whole &= buffer.len() + count <= ARCHIVE_BYTES_MAX;
            if whole {
                buffer.extend_from_slice(read);
            } else {
                end.extend_from_slice(read);
                end.drain(..end.len().saturating_sub(zip_directory::END_BYTES_MAX));
            }
        }
        show(if part == Part::Whole { part } else { Part::Later }, &window);
        let rest = (!whole).then_some(end.as_slice());
        let form = form(&head, buffer, rest, search.found);
        let limit = match wanted {
            Wanted::No => None,
            Wanted::Text => Some(CONTENT_BYTES_MAX),
            Wanted::Database => Some(DATABASE_BYTES_MAX),
        };
        let kept = limit.map(|limit| match size > limit || !whole {
            true => Err(format!("it has {size} bytes, more than the {limit} that are read")),
            false => Ok(buffer.clone()),
        });
        Ok(Self { size, sha256: digest.finalize().into(), layer, head, form, sum: sum.finish(), kept })
    }
}

/// The checksum that a package would have of a file. It tells what was changed by mistake or for convenience, and not what was made to
/// collide.
enum Sum {
    None,
    Md5(Md5),
    Sha1(Box<Sha1>),
}

impl Sum {
    fn new(kind: Option<SumKind>) -> Self {
        match kind {
            None => Self::None,
            Some(SumKind::Md5) => Self::Md5(Md5::new()),
            Some(SumKind::Sha1) => Self::Sha1(Box::default()),
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::None => {}
            Self::Md5(sum) => sum.update(bytes),
            Self::Sha1(sum) => sha1_checked::Digest::update(sum.as_mut(), bytes),
        }
    }

    fn finish(self) -> Option<Vec<u8>> {
        match self {
            Self::None => None,
            Self::Md5(sum) => Some(sum.finalize().to_vec()),
            Self::Sha1(sum) => Some(sha1_checked::Digest::finalize(*sum).to_vec()),
        }
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
            || (folder == "var/lib/dpkg/info" && (name.ends_with(".list") || name.ends_with(".md5sums")))
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
        self.found.go |= memmem::find(&self.before, GO_BUILD).is_some();
        self.found.cargo |= memmem::find(&self.before, CARGO_AUDITABLE).is_some();
        let start = self.before.len().saturating_sub(keep);
        self.before.drain(..start);
    }
}

/// What a file is by its first bytes, and all of them; or, where it is too large to be kept, its last ones, as `rest`.
fn form(head: &[u8], bytes: &[u8], rest: Option<&[u8]>, program: Program) -> Form {
    let too_large = || Err(format!("it has more than the {ARCHIVE_BYTES_MAX} bytes that are looked into"));
    if head.starts_with(ELF) {
        // Python imports from an archive whatever stands before it; a program may hold the marks of an empty one by chance.
        let archive = match rest {
            Some(rest) => zip_directory::ends_as_archive(rest).then(too_large),
            None => match zip_directory::read(bytes) {
                Ok(Some(directory)) if !directory.names.is_empty() => Some(Ok(directory)),
                _ => None,
            },
        };
        return Form::Program(program, archive);
    }
    let is_zip = head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06");
    if let Some(rest) = rest {
        return if is_zip || zip_directory::ends_as_archive(rest) { Form::Zip(too_large()) } else { Form::Other };
    }
    match zip_directory::read(bytes) {
        Ok(Some(directory)) => Form::Zip(Ok(directory)),
        Err(problem) => Form::Zip(Err(problem)),
        Ok(None) if is_zip => Form::Zip(Err("it has no list of its files".to_owned())),
        Ok(None) if head.starts_with(b"#!") => Form::Script,
        Ok(None) => Form::Other,
    }
}
