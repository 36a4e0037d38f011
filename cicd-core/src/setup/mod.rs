//! Floor 7: `cargo xtask setup` installs what is missing, and nothing that is not pinned in `ci/tools.toml`.
//!
//! What was seen on the machine is a value ([`Machine`]), what will be done is a value ([`Plan`], made by [`plan()`]), and
//! only then is anything done. Tools go into one folder per set of pins in a per-user cache, so that two checkouts with
//! different pins do not disturb each other and a second setup has nothing to do.

mod consent;
mod engine;
mod error;
mod files;
mod folders;
mod install;
mod machine;
mod manifest;
mod manifest_check;
mod observe;
mod pins;
mod plan;
mod provenance;
mod release;
mod run;
mod shell;

pub use consent::Consent;
pub(crate) use engine::version as engine_version;
pub use error::SetupError;
pub use folders::{
    Content, ToolSet, guards, provenance, read_manifest, requirements, tool_folders, tool_sets, tools_root,
};
pub use machine::{Engine, Init, Machine, System, User};
pub use manifest::{
    Archive, DebianPackage, MANIFEST_PATH, PythonEnvironment, PythonLibrary, PythonPackage, Release, ToolsManifest,
};
pub(crate) use observe::find_python;
pub use pins::{Platform, Sha256};
pub use plan::{Action, ByHand, Plan, plan};
pub use provenance::{InstalledTool, Provenance, Source};
pub use run::{Options, run};
