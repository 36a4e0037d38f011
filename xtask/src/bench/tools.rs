use std::error::Error;

use camino::Utf8PathBuf;
use cicd_core::cli::Output;
use xshell::{Shell, cmd};

/// The program of this name from the crate of the same name, installed below `target` when it is not there yet: others are only
/// compared with here, so that `cargo xtask setup` does not bring them.
pub(super) fn installed(shell: &Shell, name: &str) -> Result<Utf8PathBuf, Box<dyn Error>> {
    let tools = here(shell)?.join("target/bench-tools");
    let program = tools.join("bin").join(name);
    if !program.exists() {
        Output.say(&format!("installing {name} into target/bench-tools; this takes some minutes\n"));
        cmd!(shell, "cargo install --quiet --locked --root {tools} {name}").run()?;
    }
    Ok(program)
}

/// The folder that commands are run in: the checkout.
pub(super) fn here(shell: &Shell) -> Result<Utf8PathBuf, Box<dyn Error>> {
    Ok(Utf8PathBuf::try_from(shell.current_dir())?)
}

/// A folder for one benchmark, which is removed with the value.
pub(super) struct Scratch {
    _folder: xshell::TempDir,
    pub(super) path: Utf8PathBuf,
}

impl Scratch {
    pub(super) fn new(shell: &Shell) -> Result<Self, Box<dyn Error>> {
        let folder = shell.create_temp_dir()?;
        let path = Utf8PathBuf::try_from(folder.path().canonicalize()?)?;
        Ok(Self { _folder: folder, path })
    }
}
