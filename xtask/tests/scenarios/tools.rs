//! Takes tools away from a checkout, or puts something that misbehaves in their place.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::step::Workspace;

use crate::checkout::Checkout;

/// A folder in front of a `PATH` on which everything of this machine's can be found but the tools that were taken away.
pub(crate) struct Toolbox {
    folder: Utf8PathBuf,
}

impl Toolbox {
    /// Hides these tools from the checkout's runs, whoever installed them: a run takes the first of a fitting version, so that
    /// nothing else on the `PATH` may have them either.
    pub(crate) fn without(checkout: &mut Checkout, hidden: &[&str]) -> Self {
        let folder = checkout.path("target/scenario-bin");
        let mut folders = vec![folder.join("first")];
        fs::create_dir_all(&folders[0]).expect("made");
        let path = std::env::var_os("PATH").expect("a PATH");
        let on_path = std::env::split_paths(&path).filter_map(|each| Utf8PathBuf::from_path_buf(each).ok());
        for (index, from) in installed().into_iter().chain(on_path).filter(|each| each.is_dir()).enumerate() {
            let to = folder.join(index.to_string());
            fs::create_dir_all(&to).expect("made");
            for entry in from.read_dir_utf8().expect("listed").flatten() {
                if !hidden.contains(&entry.file_name()) {
                    symlink(entry.path(), to.join(entry.file_name())).expect("linked");
                }
            }
            folders.push(to);
        }
        checkout.env("PATH", std::env::join_paths(&folders).expect("a PATH"));
        checkout.env("CICD_TOOLS_DIR", checkout.path("target/no-tools").into_std_path_buf());
        Self { folder: folders.swap_remove(0) }
    }

    /// Puts a script in a tool's place.
    pub(crate) fn put(&self, tool: &str, script: &str) {
        let path = self.folder.join(tool);
        fs::write(&path, script).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("made executable");
    }

    /// Takes the script away again.
    pub(crate) fn take(&self, tool: &str) {
        fs::remove_file(self.folder.join(tool)).expect("removed");
    }
}

/// The program that `cargo xtask setup` installed, or that is on the `PATH` as Rust's own are.
pub(crate) fn real(tool: &str) -> Utf8PathBuf {
    let path = std::env::var_os("PATH").expect("a PATH");
    let on_path = std::env::split_paths(&path).filter_map(|each| Utf8PathBuf::from_path_buf(each).ok());
    let mut programs = installed().into_iter().chain(on_path).map(|folder| folder.join(tool));
    programs.find(|program| program.exists()).unwrap_or_else(|| panic!("`cargo xtask setup` installs {tool}"))
}

fn installed() -> Vec<Utf8PathBuf> {
    let workspace = Workspace::at(Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    cicd_core::setup::tool_folders(&std::env::vars_os().collect(), &workspace).expect("a manifest")
}
