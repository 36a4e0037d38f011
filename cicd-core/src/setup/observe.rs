use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;

use camino::Utf8Path;

use super::provenance::Provenance;
use super::shell::Shell;
use super::{Engine, Init, Machine, Platform, SetupError, System, ToolSet, ToolsManifest, User, engine};
use crate::process::{Tool, ToolError, ToolRequirement};

/// Looks at this machine.
pub(super) fn observe(
    manifest: &ToolsManifest,
    sets: Vec<ToolSet>,
    variables: &BTreeMap<OsString, OsString>,
    shell: &Shell<'_>,
) -> Result<Machine, SetupError> {
    let os_release = fs::read_to_string("/etc/os-release");
    let engine = match &manifest.engine {
        Some(package) => engine::look(&package.program, variables.get(OsStr::new("DOCKER_HOST")), shell)?,
        None => Engine::NotNeeded,
    };
    let mut sets_missing = Vec::new();
    for set in sets {
        if !works(&set, shell) {
            sets_missing.push(set);
        }
    }
    let toolbox = shell.toolbox();
    let packages_missing = manifest.debian.iter().filter(|package| toolbox.locate(&package.program).is_none());
    Ok(Machine {
        system: os_release
            .map_or_else(|_| System::Other(std::env::consts::OS.to_owned()), |text| System::from_os_release(&text)),
        user: if rustix::process::geteuid().is_root() { User::Root } else { User::Ordinary },
        init: if Utf8Path::new("/run/systemd/system").exists() { Init::Systemd } else { Init::Other },
        platform: Platform::current(),
        python: python(manifest.python, shell).ok().map(|tool| tool.path),
        engine,
        engine_program: manifest.engine.as_ref().and_then(|package| toolbox.locate(&package.program)),
        packages_missing: packages_missing.map(|package| package.name.clone()).collect(),
        sets_missing,
    })
}

/// Whether a set is installed and each of its programs tells the version that is pinned.
pub(super) fn works(set: &ToolSet, shell: &Shell<'_>) -> bool {
    // A record that cannot be read is as good as none: the set is installed again.
    matches!(Provenance::read(&set.folder), Ok(Some(_))) && check_programs(set, shell).is_ok()
}

/// Runs each program of a set for its version.
pub(super) fn check_programs(set: &ToolSet, shell: &Shell<'_>) -> Result<(), ToolError> {
    let bin = set.bin();
    for (program, version) in set.programs() {
        shell.find_in(&bin, &ToolRequirement::new(program, &format!("={version}")))?;
    }
    Ok(())
}

/// An interpreter of this version that can make virtual environments; distributions ship some that cannot.
pub(super) fn python((major, minor): (u32, u32), shell: &Shell<'_>) -> Result<Tool, ToolError> {
    let requirement = |name: String| {
        ToolRequirement::new(name, &format!("~{major}.{minor}")).probe(["-I", "-c", "import venv, ensurepip"], [])
    };
    shell
        .find(&requirement(format!("python{major}.{minor}")))
        .or_else(|_| shell.find(&requirement(format!("python{major}"))))
}
