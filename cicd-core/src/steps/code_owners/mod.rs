//! The check of a CODEOWNERS file against the repository's files: what it can find, the judgement, the step itself.

mod code;
mod judge;
mod step;

pub use code::OwnersCode;
pub use step::{CodeOwners, OwnersChecked};
