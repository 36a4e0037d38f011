//! `PinnedBase`: the image that everything else is built on, pulled by digest, or made from Debian's packages where no registry
//! can be reached.
//!
//! What is wanted stands in a file that people review:
//!
//! ```toml
//! upstream = "docker.io/library/debian:bookworm-slim"     # the tag is for people
//! digest = "sha256:96e378d7e6531ac9a15ad505478fcc2e69f371b10f5cdf87857c4b8188404716"
//!
//! [debootstrap]                # without this table there is no second way
//! suite = "bookworm"
//! variant = "minbase"
//! include = []                 # further packages
//! mirror = "https://…"         # optional: another mirror than debootstrap's own
//! ```
//!
//! The second way is taken only when the registry cannot be reached; a registry that answers "no such image" or "not allowed" is
//! an error. An image made here is named `cicd-base:<hash of the recipe>`, used by its id, and made again after seven days, as
//! its point is to have the latest security updates. Which way was taken, and why, is a fact of the step and, for the second
//! way, the finding `BASE-001`.

mod packages;
mod pull;
mod recipe;
mod root_fs;
mod step;

pub use recipe::{BaseRecipe, PackagesRecipe};
pub use step::{BaseCode, PinnedBase};
