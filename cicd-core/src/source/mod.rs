//! Floor 3: what is judged: the tracked files as they lie, compared with the commit byte by byte.
//!
//! One [`Source`] is gathered when a run begins. Every step takes its files from it, a build context is laid out from it, and a
//! clearance compares it with what lies there then. Git is asked for what it has committed, never for whether something has
//! changed: it can be told to overlook that.
//!
//! # What counts
//! - A **tracked** file is one of `HEAD` or of the index. Whatever its raw bytes, its kind or its mode have that `HEAD` does not
//!   is a [`Difference`], and nothing with a difference is cleared.
//! - An **untracked** file that no rule ignores is a difference, and is scanned like a tracked one.
//! - An **ignored** file reaches no image, as build contexts hold tracked files only. Tools that look around by themselves
//!   (an interpreter, a test runner, whoever looks for its settings) read it all the same: it is [hidden](Hidden) unless it lies
//!   in a [folder of generated files](TOOL_FOLDERS) or is by its name a [personal file](PERSONAL_FILES).
//! - A **submodule** or a nested repository holds files of another commit: it is [foreign](Foreign).

mod beside;
mod blob;
mod committed;
mod difference;
mod folders;
mod gather;
mod git;
mod kinds;
mod layout;
mod since;
mod walk;

pub use difference::{Difference, Overlooked, Why};
pub use gather::Source;
pub(crate) use git::truthful_git;
pub use kinds::{Foreign, Hidden, PERSONAL_FILES, Place, SourceFile, TOOL_FOLDERS, ToolFolder};
pub use layout::LayoutError;
pub(crate) use since::named;
