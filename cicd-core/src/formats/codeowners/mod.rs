//! GitHub's CODEOWNERS files: parsed, and matched as GitHub matches them.
//!
//! The last rule that matches a file decides, and its owners alone. Patterns are those of `.gitignore` without `!`, `[ ]` and `\#`,
//! and a last part that is just `*` does not reach into folders. See GitHub's documentation, "About code owners".

mod file;
mod pattern;
mod set;

pub use file::{CodeOwnersFile, Defect, DefectKind, Owner, Rule};
pub use pattern::{Pattern, PatternError};
pub(crate) use set::Patterns;
