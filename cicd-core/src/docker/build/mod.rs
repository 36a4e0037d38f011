//! Image builds: what is wanted, and the one command line that it becomes.

mod broken;
mod context;
mod name;
mod recipe;
mod run;

pub use broken::BuildCode;
pub(crate) use context::Tracked;
pub use name::checkout_id;
pub use recipe::{BuildRecipe, BuildSecret};
pub(crate) use run::{Build, Built, CacheUse, LABEL_REVISION, Pull, revision_label};
