//! Floor 1: files in folders that steps and tools write into, opened only once it is known what they are.
//!
//! A step may leave anything under any name: a pipe that nobody writes to, a device, a link to somewhere else, a file without an
//! end. Whatever reads or writes where a step was does it through [`Folder`], which follows no link and waits for nobody.

mod folder;
mod open;
mod stamps;

#[cfg(test)]
pub(crate) use folder::ORDER;
pub(crate) use folder::{Entry, Folder, Kind, sync, unfinished_name};
pub(crate) use open::{open, read, read_text, sha256};
pub(crate) use stamps::{Stamp, Stamps};

/// No report, summary or output of ours is larger. A report beyond this cannot be held in memory beside everything else on a
/// small runner.
pub(crate) const FILE_BYTES_MAX: u64 = 512 << 20;

/// A larger file is not searched for secrets, and so is not kept in a run that knows one: no report has so many bytes, and a file of any
/// size can be made of nothing.
pub(crate) const SEARCHED_BYTES_MAX: u64 = 4 << 30;

/// No file in which a system or a tool keeps a few lines about itself is larger.
pub(crate) const FEW_LINES_BYTES_MAX: u64 = 1 << 20;
