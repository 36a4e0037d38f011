//! What runs leave in the engine, found by its labels: containers, networks, volumes and temporary images.

mod built;
mod found;
mod kind;
mod removal;
mod run_state;

pub(crate) use built::{BuiltImage, Untagged, built_in, named, remove_nameless, untag};
pub use found::{Leftover, labelled};
pub use kind::LeftoverKind;
pub use removal::{Removal, remove};
pub(crate) use removal::{remove_all, remove_own};
pub(crate) use run_state::run_lives;
pub use run_state::{RunState, owner};
