//! What a Dockerfile builds on: its stages, and every image that it takes from outside.
//!
//! Read as BuildKit reads it: parser directives, line continuations, comments inside them, here-documents, keywords in any
//! case, `ARG` before the first `FROM` with defaults, and `${NAME:-default}`. What the reader cannot make out is an error, so
//! that no image hides in it.

mod expand;
mod layers;
mod lines;
mod stages;
mod uncontrolled;

pub use expand::Arguments;
pub use layers::LayerSources;
pub(super) use lines::KEYWORDS;
pub use stages::{Counted, Dockerfile, DockerfileError, ImageUse, ImageUseKind, Stage};
pub use uncontrolled::Uncontrolled;
