use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Read};
use std::sync::Arc;

use super::content::{CONTENT_BYTES_MAX, KEPT_BYTES_MAX, Part, Reading, Wanted};
use super::system::{SYSTEM_FOLDERS, SumKind};
use super::{Content, FileTree, Kind, Node};
use crate::formats::python_bytecode::{hashed_magic, siphash, source_of};

/// An image with more files than this is not looked through in the time and the memory that a build may take.
const FILES_MAX: usize = 500_000;
/// What a layer's archive puts before the name of a file that a lower layer has and this one deletes.
const WHITEOUT: &str = ".wh.";
/// The name that stands for everything that lower layers have in a folder.
const OPAQUE: &str = ".wh..wh..opq";
/// The extended attribute in which the kernel keeps a file's capabilities, as archives name it.
const CAPABILITY: &str = "SCHILY.xattr.security.capability";

/// One file of one layer, or a part of it. A file that a later layer deletes is seen too: it is shipped all the same.
#[derive(Debug)]
pub(crate) struct LayerFile<'a> {
    /// Its path, without a `/` before it.
    pub path: &'a str,
    /// Which layer it is in, from 0 at the bottom.
    pub layer: usize,
    /// Which part of it this is; each begins with the end of the one before it.
    pub part: Part,
    pub bytes: &'a [u8],
}

/// What the marks of deleted files mean in an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// They delete: it is the archive of a layer.
    Delete,
    /// They are files like any other: it is the archive of a whole file system.
    None,
}

/// Adds everything in an archive to the tree, and shows each regular file.
///
/// # Errors
/// When the archive is broken or holds far too much.
pub(crate) fn add_archive(
    tree: &mut FileTree,
    archive: impl Read,
    layer: usize,
    marks: Marks,
    visit: &mut dyn FnMut(LayerFile<'_>),
) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut kept_bytes: u64 = 0;
    // Files of the lowest layer are the base's, and are compared with themselves.
    let sums = SumKind::of(tree);
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = file_name_in_archive(&entry.path_bytes());
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path.as_str()));
        if marks == Marks::Delete && name == OPAQUE {
            tree.remove(folder, layer, false);
            continue;
        }
        if let Some(deleted) = name.strip_prefix(WHITEOUT).filter(|_| marks == Marks::Delete) {
            let deleted = if folder.is_empty() { deleted.to_owned() } else { format!("{folder}/{deleted}") };
            tree.remove(&deleted, layer, true);
            continue;
        }
        if path.is_empty() {
            continue;
        }
        let sum = sums.filter(|_| SYSTEM_FOLDERS.iter().any(|folder| path.starts_with(folder)));
        let reading = Reading { size: entry.size(), layer, wanted: Wanted::of(&path), sum };
        let show = &mut |part, bytes: &[u8]| visit(LayerFile { path: &path, layer, part, bytes });
        let node = node(tree, &mut entry, &path, reading, &mut buffer, show)?;
        if let Kind::File(content) = &node.kind
            && entry.header().entry_type().is_file()
        {
            kept_bytes += content.kept.as_ref().map_or(0, |kept| kept.as_ref().map_or(0, |bytes| bytes.len() as u64));
            if kept_bytes > KEPT_BYTES_MAX {
                return Err(io::Error::other(format!("its lists of packages have more than {KEPT_BYTES_MAX} bytes")));
            }
        }
        if !node.is_folder() {
            // What was a folder before is none any more, and what was in it is gone.
            tree.remove(&path, layer, false);
        }
        tree.nodes.insert(path, node);
        if tree.nodes.len() > FILES_MAX {
            return Err(io::Error::other(format!("more than {FILES_MAX} files")));
        }
    }
    Ok(())
}

/// Reads the file system that `docker export` writes; a second time for what only the whole of it tells: the text of a file that is
/// the second name of one of no interest, such as one in an installer's cache, and the hashes of sources that compiled files name.
///
/// # Errors
/// When the archive is broken or holds far too much.
pub(crate) fn read_file_system(archive: impl Fn() -> io::Result<Box<dyn Read>>) -> io::Result<FileTree> {
    let mut tree = FileTree::default();
    add_archive(&mut tree, archive()?, 0, Marks::None, &mut |_| ())?;
    let texts: BTreeSet<[u8; 32]> = tree
        .iter()
        .filter(|(path, node)| Wanted::of(path) != Wanted::No && !node.is_folder())
        .filter_map(|(path, _)| tree.resolve(path)?.1.content())
        .filter(|content| content.kept.is_none())
        .map(|content| content.sha256)
        .collect();
    let sources: BTreeMap<[u8; 32], u32> = tree
        .files()
        .filter_map(|(path, _, content)| {
            let magic = hashed_magic(&content.head)?;
            Some((tree.get(&source_of(path)?)?.content()?.sha256, magic))
        })
        .collect();
    if texts.is_empty() && sources.is_empty() {
        return Ok(tree);
    }
    let mut buffer = Vec::new();
    let mut kept_bytes = 0;
    for entry in tar::Archive::new(archive()?).entries()? {
        let mut entry = entry?;
        let path = file_name_in_archive(&entry.path_bytes());
        let Some(sha256) = tree.get(&path).and_then(Node::content).map(|content| content.sha256) else { continue };
        let is_text = texts.contains(&sha256);
        let magic = sources.get(&sha256);
        if !entry.header().entry_type().is_file() || (!is_text && magic.is_none()) {
            continue;
        }
        let size = entry.size();
        let reading = Reading { size, layer: 0, wanted: Wanted::Text, sum: None };
        let content = Content::read(&mut entry, reading, &mut buffer, &mut |_, _| ())?;
        if let (Some(&magic), Some(Ok(bytes))) = (magic, &content.kept) {
            let key = u64::from(magic);
            tree.source_hashes.insert(sha256, [siphash(1, key, bytes), siphash(2, key, bytes)]);
        }
        if is_text {
            kept_bytes += size.min(CONTENT_BYTES_MAX);
            if kept_bytes > KEPT_BYTES_MAX {
                return Err(io::Error::other(format!("its lists of packages have more than {KEPT_BYTES_MAX} bytes")));
            }
            tree.texts.extend(content.kept.map(|kept| (sha256, kept)));
        }
    }
    Ok(tree)
}

fn node<R: Read>(
    tree: &FileTree,
    entry: &mut tar::Entry<'_, R>,
    path: &str,
    reading: Reading,
    buffer: &mut Vec<u8>,
    show: &mut dyn FnMut(Part, &[u8]),
) -> io::Result<Node> {
    let layer = reading.layer;
    let capabilities = match entry.pax_extensions()? {
        Some(all) => all.collect::<io::Result<Vec<_>>>()?.iter().any(|one| one.key() == Ok(CAPABILITY)),
        None => false,
    };
    let header = entry.header();
    let entry_type = header.entry_type();
    let (mode, user, group, modified_s) = (
        u32::try_from(number(&header.as_old().mode, || header.mode().map(u64::from))? & 0o7777).unwrap_or(0o7777),
        number(&header.as_old().uid, || header.uid())?,
        number(&header.as_old().gid, || header.gid())?,
        number(&header.as_old().mtime, || header.mtime())?,
    );
    let link = entry.link_name_bytes().map(|target| target.into_owned());
    let kind = if entry_type.is_file() {
        let mut content = Content::read(entry, reading, buffer, show)?;
        if let Some(before) = tree.get(path).and_then(Node::content)
            && before.sha256 == content.sha256
        {
            content.layer = before.layer;
        }
        Kind::File(Arc::new(content))
    } else if entry_type.is_dir() {
        Kind::Folder
    } else if entry_type.is_symlink() {
        // A link that leads nowhere is one that cannot be followed.
        link.map_or(Kind::Other, |target| {
            let root = if target.starts_with(b"/") { "/" } else { "" };
            Kind::Link(format!("{root}{}", file_name_in_archive(&target)))
        })
    } else if entry_type.is_hard_link() {
        let target = link.map(|target| file_name_in_archive(&target)).and_then(|target| tree.get(&target));
        match target {
            // Modes and owners belong to the file, not to its name.
            Some(target) => return Ok(Node { layer, ..target.clone() }),
            None => Kind::Other,
        }
    } else if entry_type.is_block_special() || entry_type.is_character_special() {
        Kind::Device
    } else {
        Kind::Other
    };
    Ok(Node { kind, mode, user, group, modified_s, capabilities, layer })
}

/// A number of a header; archives leave out what is 0.
fn number(field: &[u8], read: impl FnOnce() -> io::Result<u64>) -> io::Result<u64> {
    if field.iter().all(|&byte| byte == 0) { Ok(0) } else { read() }
}

/// A path of an archive as it is written everywhere here: without a `/` or `./` before it or a `/` after it, each byte that is
/// not UTF-8 as `\xff`, and each backslash twice.
pub(crate) fn file_name_in_archive(bytes: &[u8]) -> String {
    let mut name = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        name.push_str(&chunk.valid().replace('\\', "\\\\"));
        for byte in chunk.invalid() {
            // Writing into a string does not fail.
            let _ = write!(name, "\\x{byte:02x}");
        }
    }
    let mut rest = name.as_str();
    while let Some(shorter) = rest.strip_prefix('/').or_else(|| rest.strip_prefix("./")) {
        rest = shorter;
    }
    let rest = rest.trim_end_matches('/');
    if rest == "." { String::new() } else { rest.to_owned() }
}
