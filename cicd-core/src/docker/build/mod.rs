//! Image builds: what is wanted, and the one command line that it becomes.

mod broken;
mod context;
mod recipe;
mod run;

pub use broken::BuildCode;
pub use recipe::{BuildRecipe, BuildSecret};
pub(crate) use run::{Build, Built, CacheUse, LABEL_REVISION, Pull, revision_label};
