use std::collections::BTreeSet;
use std::error::Error;

use camino::Utf8PathBuf;
use cicd_core::cli::Output;
use xshell::{Shell, cmd};

/// A program of the system that a benchmark calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Needed {
    program: &'static str,
    /// What somebody types who lacks it, on Debian.
    install: &'static str,
}

pub(super) const GIT: Needed = Needed { program: "git", install: "apt-get install git" };
pub(super) const MAKE: Needed = Needed { program: "make", install: "apt-get install make" };
pub(super) const SHA256SUM: Needed = Needed { program: "sha256sum", install: "apt-get install coreutils" };
pub(super) const TAR: Needed = Needed { program: "tar", install: "apt-get install tar" };
pub(super) const WRK: Needed = Needed { program: "wrk", install: "apt-get install wrk" };

/// Checks that programs are on `PATH`.
///
/// # Errors
/// All that are not, each with what to type.
pub(super) fn all_there<'a>(needed: impl IntoIterator<Item = &'a Needed>) -> Result<(), Box<dyn Error>> {
    let path = std::env::vars_os().find(|(name, _)| name == "PATH").map(|(_, path)| path).unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    match missing(needed, |program| folders.iter().any(|folder| folder.join(program).is_file())) {
        Some(problem) => Err(problem.into()),
        None => Ok(()),
    }
}

fn missing<'a>(needed: impl IntoIterator<Item = &'a Needed>, is_there: impl Fn(&str) -> bool) -> Option<String> {
    let absent: BTreeSet<&Needed> = needed.into_iter().filter(|one| !is_there(one.program)).collect();
    let told: Vec<_> =
        absent.iter().map(|one| format!("{} is not on PATH; install it: `{}`", one.program, one.install)).collect();
    (!told.is_empty()).then(|| told.join("\n       "))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_what_to_type() {
        let told = |there: &[&str]| missing(&[WRK, MAKE, WRK], |program| there.contains(&program));
        assert_eq!(told(&["wrk", "make"]), None);
        assert_eq!(told(&["make"]).as_deref(), Some("wrk is not on PATH; install it: `apt-get install wrk`"));
        let both = told(&[]).expect("both are missing");
        assert_eq!(both.lines().count(), 2, "{both}");
        assert!(both.contains("`apt-get install make`") && both.contains("`apt-get install wrk`"), "{both}");
    }
}
