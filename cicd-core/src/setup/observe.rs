use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use camino::Utf8Path;
use semver::Version;

use super::provenance::Provenance;
use super::shell::Shell;
use super::{Engine, Init, Machine, Platform, System, ToolSet, ToolsManifest, User, engine, files};
use crate::files::{FEW_LINES_BYTES_MAX, read_text};
use crate::process::{Cancel, Tool, ToolError, ToolRequirement, Toolbox};

/// Looks at this machine.
pub(super) fn observe(
    manifest: &ToolsManifest,
    sets: Vec<ToolSet>,
    variables: &BTreeMap<OsString, OsString>,
    shell: &Shell<'_>,
) -> Machine {
    let os_release = read_text("/etc/os-release", FEW_LINES_BYTES_MAX);
    let engine = match &manifest.engine {
        Some(package) => engine::look(&package.program, variables.get(OsStr::new("DOCKER_HOST")), shell),
        None => Engine::NotNeeded,
    };
    let (platform, toolbox) = (Platform::current(), shell.toolbox());
    // Where nothing is pinned, a person may have put the right version on PATH.
    let there = |set: &ToolSet| works(set, shell) || (!set.is_pinned_for(platform) && told_by(set, &toolbox, shell));
    let sets_missing = sets.into_iter().filter(|set| !there(set)).collect();
    let packages_missing = manifest.debian.iter().filter(|package| toolbox.locate(&package.program).is_none());
    Machine {
        system: os_release
            .map_or_else(|_| System::Other(std::env::consts::OS.to_owned()), |text| System::from_os_release(&text)),
        user: user(shell),
        init: if Utf8Path::new("/run/systemd/system").exists() { Init::Systemd } else { Init::Other },
        platform,
        python: python(manifest.python, shell).ok().map(|tool| tool.path),
        engine,
        engine_program: manifest.engine.as_ref().and_then(|package| toolbox.locate(&package.program)),
        packages_missing: packages_missing.map(|package| package.name.clone()).collect(),
        sets_missing,
    }
}

/// Whether a set is installed, as it was, and each of its programs tells the version that is pinned.
pub(super) fn works(set: &ToolSet, shell: &Shell<'_>) -> bool {
    // A record that cannot be read is as good as none: the set is installed again.
    let unaltered = |record: &Provenance| files::verify(&set.folder, record).is_ok();
    matches!(Provenance::read(&set.folder), Ok(Some(record)) if unaltered(&record))
        && check_programs(set, shell).is_ok()
}

fn user(shell: &Shell<'_>) -> User {
    if rustix::process::geteuid().is_root() {
        return User::Root;
    }
    // Ends with an error where a password would be asked for.
    let sudo = ToolRequirement::new("sudo", "*").probe(["--non-interactive", "true"], []);
    if shell.toolbox().find(&sudo, shell.cancel).is_ok() { User::Sudo } else { User::Ordinary }
}

/// Runs each program of a set, in the set's own folder, for its version.
pub(super) fn check_programs(set: &ToolSet, shell: &Shell<'_>) -> Result<(), ToolError> {
    let toolbox = shell.toolbox_of(&set.bin());
    set.programs()
        .into_iter()
        .try_for_each(|(program, version)| toolbox.find(&exactly(program, version), shell.cancel).map(|_| ()))
}

/// Whether every program of a set is found elsewhere, in the version that is wanted.
fn told_by(set: &ToolSet, toolbox: &Toolbox, shell: &Shell<'_>) -> bool {
    set.programs().into_iter().all(|(program, version)| toolbox.find(&exactly(program, version), shell.cancel).is_ok())
}

fn exactly(program: &str, version: &Version) -> ToolRequirement {
    ToolRequirement::new(program, &format!("={version}"))
}

/// An interpreter of this version that can make virtual environments; distributions ship some that cannot.
pub(super) fn python(version: (u32, u32), shell: &Shell<'_>) -> Result<Tool, ToolError> {
    find_python(version, &shell.toolbox(), shell.cancel)
}

/// Looks for `python3.11` and then for a `python3` of the same version.
pub(crate) fn find_python((major, minor): (u32, u32), toolbox: &Toolbox, cancel: &Cancel) -> Result<Tool, ToolError> {
    let requirement = |name: String| {
        ToolRequirement::new(name, &format!("~{major}.{minor}"))
            .probe(["-I", "-c", "import venv, ensurepip"], [])
            .fix(format!("install python{major}.{minor} and python{major}.{minor}-venv, or run `cargo xtask setup` as root on Debian"))
    };
    toolbox
        .find(&requirement(format!("python{major}.{minor}")), cancel)
        .or_else(|first| toolbox.find(&requirement(format!("python{major}")), cancel).map_err(|_| first))
}
