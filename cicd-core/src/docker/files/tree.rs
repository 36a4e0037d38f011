use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Content, Kept};

/// As many links as the kernel follows before it gives up.
const LINKS_MAX: usize = 40;

/// All files of an image by their paths, without a `/` before them.
///
/// A path that is not UTF-8 is no less of a path: each byte that is none is written as `\xff`, and a backslash as `\\`, so that no two
/// paths are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileTree {
    pub(super) nodes: BTreeMap<String, Node>,
    /// The texts of files that are of interest under another name only, by their digest.
    pub(super) texts: BTreeMap<[u8; 32], Kept>,
    /// The hashes of Python sources as compiled files name them, by old and new versions of Python, by the source's digest.
    pub(super) source_hashes: BTreeMap<[u8; 32], [u64; 2]>,
}

/// One file, folder, link or device.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    /// The mode, without the file's kind.
    pub(crate) mode: u32,
    pub(crate) user: u64,
    pub(crate) group: u64,
    /// When it was changed, in seconds since 1970.
    pub(crate) modified_s: u64,
    /// Whether the file gives whoever runs it capabilities of root.
    pub(crate) capabilities: bool,
    /// Which layer it is in, from 0 at the bottom.
    pub(crate) layer: usize,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    File(Arc<Content>),
    Folder,
    /// A symbolic link, and where it leads.
    Link(String),
    /// Access to a device of the machine.
    Device,
    /// A pipe, or the second name of a file that is not there.
    Other,
}

impl Node {
    pub(crate) fn content(&self) -> Option<&Content> {
        match &self.kind {
            Kind::File(content) => Some(content),
            _ => None,
        }
    }

    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.kind, Kind::Folder)
    }
}

impl FileTree {
    pub(crate) fn get(&self, path: &str) -> Option<&Node> {
        self.nodes.get(path)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// The regular files.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &Node, &Content)> {
        self.iter().filter_map(|(path, node)| Some((path, node, node.content()?)))
    }

    /// Everything below a folder, without the folder.
    pub(crate) fn below<'a>(&'a self, folder: &str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let start = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let from = start.clone();
        self.nodes
            .range(from..)
            .take_while(move |(path, _)| path.starts_with(&start))
            .map(|(path, node)| (path.as_str(), node))
    }

    /// Whether a symbolic link lies at a path.
    pub(super) fn is_link(&self, path: &str) -> bool {
        self.nodes.get(path).is_some_and(|node| matches!(node.kind, Kind::Link(_)))
    }

    /// Where a path leads, after every link on the way; nothing where links lead in circles. What it leads to need not be there.
    pub(crate) fn real_path(&self, path: &str) -> Option<String> {
        let mut real = String::new();
        let mut parts: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut links = 0;
        while let Some(part) = parts.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    real.truncate(real.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = if real.is_empty() { part } else { format!("{real}/{part}") };
            match self.nodes.get(&next).map(|node| &node.kind) {
                Some(Kind::Link(target)) => {
                    links += 1;
                    if links > LINKS_MAX {
                        return None;
                    }
                    if target.starts_with('/') {
                        real.clear();
                    }
                    parts.extend(target.split('/').rev().map(str::to_owned));
                }
                _ => real = next,
            }
        }
        Some(real)
    }

    /// What a path leads to.
    pub(crate) fn resolve(&self, path: &str) -> Option<(String, &Node)> {
        let real = self.real_path(path)?;
        let node = self.nodes.get(&real)?;
        Some((real, node))
    }

    /// The text that was kept of the file that a path leads to.
    pub(crate) fn kept(&self, path: &str) -> Option<&Kept> {
        let content = self.resolve(path)?.1.content()?;
        content.kept.as_ref().or_else(|| self.texts.get(&content.sha256))
    }

    /// The text of a file, where it is there and is text.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let bytes = self.kept(path)?.as_ref().ok()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// What compiled files call this source by.
    pub(crate) fn source_hashes(&self, source: &Content) -> Option<[u64; 2]> {
        self.source_hashes.get(&source.sha256).copied()
    }

    /// Removes what is at a path and below it, as far as it is from a lower layer.
    pub(super) fn remove(&mut self, path: &str, below_layer: usize, itself: bool) {
        if itself && self.nodes.get(path).is_some_and(|node| node.layer < below_layer) {
            self.nodes.remove(path);
        }
        let gone: Vec<String> =
            self.below(path).filter(|(_, node)| node.layer < below_layer).map(|(path, _)| path.to_owned()).collect();
        for path in gone {
            self.nodes.remove(&path);
        }
    }
}
