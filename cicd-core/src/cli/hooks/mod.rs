//! `hooks`: what git asks before a commit.
//!
//! The script that git starts only calls `cargo xtask hooks run`, so that there is one command for a hook, for a person and for
//! other hook managers. What is staged is laid out as a checkout of its own, whose `HEAD` is the commit that is about to be made; the
//! working tree, the index and the repository's refs stay as they are. Then an ordinary pipeline judges that checkout.

mod git;
mod install;
mod run;
mod staged;

pub(super) use install::{install, uninstall};
pub(super) use run::{Pipelines, run};
