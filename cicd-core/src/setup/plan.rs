use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::engine::{LOG_FILE, PID_FILE};
use super::folders::Content;
use super::{Engine, Init, Machine, System, ToolSet, ToolsManifest, User};
use crate::process::Invocation;

/// A package index is a few megabytes; a mirror that takes longer is not answering.
const APT_UPDATE_DEADLINE: Duration = Duration::from_secs(300);
/// The engine and its dependencies are about 300 MB, and a small machine unpacks slowly.
const APT_INSTALL_DEADLINE: Duration = Duration::from_secs(1200);
/// An empty virtual environment takes seconds.
const VENV_DEADLINE: Duration = Duration::from_secs(120);
/// The wheels are about 150 MB in all.
const PIP_DEADLINE: Duration = Duration::from_secs(900);
/// A release archive is about 50 MB.
const DOWNLOAD_DEADLINE: Duration = Duration::from_secs(300);
/// `systemctl start` waits for the engine itself.
const START_DEADLINE: Duration = Duration::from_secs(90);

/// Where Debian's package puts the engine.
const ENGINE_PROGRAM_OF_DEBIAN: &str = "/usr/sbin/dockerd";

/// What setup will do on a machine, as values: nothing has been done yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What setup can do itself, in order.
    pub actions: Vec<Action>,
    /// What a person has to do.
    pub by_hand: Vec<ByHand>,
}

/// One thing that setup can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Installs packages of Debian or Ubuntu.
    Packages(Vec<String>),
    /// Starts the Docker engine and waits until it answers.
    StartEngine {
        /// What starts it.
        init: Init,
        /// Its program.
        program: Utf8PathBuf,
    },
    /// Installs a set of tools into its folder.
    Tools(ToolSet),
}

/// One thing that only a person can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// What is missing.
    pub missing: String,
    /// What to do.
    pub how: String,
}

impl Plan {
    /// Whether everything is there already.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actions.is_empty() && self.by_hand.is_empty()
    }
}

/// What has to be done on this machine so that everything the manifest names is there.
#[must_use]
pub fn plan(machine: &Machine, manifest: &ToolsManifest) -> Plan {
    let mut plan = Plan::default();
    let mut packages = machine.packages_missing.clone();
    let mut python_comes = machine.python.is_some();
    if machine.python.is_none() && !machine.sets_missing.is_empty() {
        let (major, minor) = manifest.python;
        packages.extend([format!("python{major}.{minor}"), format!("python{major}.{minor}-venv")]);
        python_comes = machine.can_install_packages();
    }
    let engine = match &machine.engine {
        Engine::Ready { .. } | Engine::NotNeeded => None,
        Engine::Missing => {
            packages.extend(manifest.engine.iter().map(|package| package.name.clone()));
            machine.can_install_packages().then(|| Ok(machine.start_engine()))
        }
        Engine::Stopped { why } => Some(start_engine(machine, why)),
        Engine::Remote { host, why } => Some(Err(ByHand {
            missing: format!("the Docker engine at DOCKER_HOST={host} does not answer: {why}"),
            how: "start that engine, or unset DOCKER_HOST".to_owned(),
        })),
    };
    if !packages.is_empty() {
        if machine.can_install_packages() {
            plan.actions.push(Action::Packages(packages));
        } else {
            plan.by_hand.push(packages_by_hand(machine, &packages));
        }
    }
    for set in &machine.sets_missing {
        match obstacle(set, machine, python_comes) {
            None => plan.actions.push(Action::Tools(set.clone())),
            Some(by_hand) => plan.by_hand.push(by_hand),
        }
    }
    match engine {
        Some(Ok(action)) => plan.actions.push(action),
        Some(Err(by_hand)) => plan.by_hand.push(by_hand),
        None => {}
    }
    plan
}

impl Machine {
    fn can_install_packages(&self) -> bool {
        self.system == System::Debian && self.user == User::Root
    }

    fn start_engine(&self) -> Action {
        let program = self.engine_program.clone().unwrap_or_else(|| ENGINE_PROGRAM_OF_DEBIAN.into());
        Action::StartEngine { init: self.init, program }
    }
}

fn start_engine(machine: &Machine, why: &str) -> Result<Action, ByHand> {
    match (machine.user, &machine.system, machine.init) {
        (User::Root, _, Init::Systemd) | (User::Root, System::Debian, Init::Other) => {
            Ok(machine.start_engine())
        }
        (User::Root, System::Other(_), Init::Other) => Err(ByHand {
            missing: format!("the Docker engine does not answer: {why}"),
            how: "start `dockerd`".to_owned(),
        }),
        (User::Ordinary, _, _) => Err(ByHand {
            missing: format!("the Docker engine does not answer: {why}"),
            how: "have it started with `sudo systemctl start docker`; where it runs but refuses you, `sudo usermod --append --groups docker $USER` and log in again".to_owned(),
        }),
    }
}

fn packages_by_hand(machine: &Machine, packages: &[String]) -> ByHand {
    let names = packages.join(" ");
    let how = match &machine.system {
        System::Debian => format!(
            "run `sudo apt-get update && sudo apt-get install --yes --no-install-recommends {names}`, or setup as root"
        ),
        System::Other(name) => format!(
            "install what {name} has in the place of these Debian packages; for Docker see https://docs.docker.com/engine/install/"
        ),
    };
    ByHand { missing: names, how }
}

/// What keeps a set from being installed on this machine.
fn obstacle(set: &ToolSet, machine: &Machine, python_comes: bool) -> Option<ByHand> {
    let programs = || {
        let programs = set.programs();
        programs.iter().map(|(program, version)| format!("{program} {version}")).collect::<Vec<_>>().join(", ")
    };
    let unpinned = |platform: String| ByHand {
        missing: programs(),
        how: format!("ci/tools.toml pins no file for {platform}: add its sha256 there, or install it yourself"),
    };
    let Some(platform) = machine.platform else {
        return Some(unpinned("this platform".to_owned()));
    };
    let needs_python = match &set.content {
        Content::Python { packages, .. } => {
            if packages.iter().any(|package| package.sha256.get(&platform).is_none_or(Vec::is_empty)) {
                return Some(unpinned(platform.to_string()));
            }
            true
        }
        Content::Release { release, .. } => {
            let fallback = release.fallback.as_ref().and_then(|package| package.sha256.get(&platform));
            if !release.archives.contains_key(&platform) && fallback.is_none_or(Vec::is_empty) {
                return Some(unpinned(platform.to_string()));
            }
            !release.archives.contains_key(&platform)
        }
    };
    // The packages are told about already; this says what waits for them.
    (needs_python && !python_comes).then(|| ByHand {
        missing: programs(),
        how: "install Python first, then run `cargo xtask setup` again".to_owned(),
    })
}

impl Action {
    /// What is done, in a few words.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Packages(names) => format!("install {} from this system's packages", names.join(", ")),
            Self::StartEngine { .. } => "start the Docker engine".to_owned(),
            Self::Tools(set) => {
                let programs = set.programs();
                let programs = programs.iter().map(|(program, version)| format!("{program} {version}"));
                format!("install {} into {}", programs.collect::<Vec<_>>().join(", "), set.folder)
            }
        }
    }

    /// The command lines, in the order they are run. `python` is the interpreter that was found.
    #[must_use]
    pub fn commands(&self, machine: &Machine) -> Vec<Invocation> {
        match self {
            Self::Packages(names) => apt(names).into(),
            Self::StartEngine { init, program } => vec![start(*init, program)],
            Self::Tools(set) => match (&set.content, machine.platform) {
                (Content::Python { python, .. }, _) => pip(set, &interpreter(machine, *python)).into(),
                (Content::Release { python, release }, platform) => {
                    match platform.and_then(|platform| release.archives.get(&platform)) {
                        Some(archive) => vec![download(&archive.url, set)],
                        None => pip(set, &interpreter(machine, *python)).into(),
                    }
                }
            },
        }
    }

    /// How to undo it.
    #[must_use]
    pub fn undo(&self) -> String {
        match self {
            Self::Packages(names) => format!("apt-get purge --autoremove {}", names.join(" ")),
            Self::StartEngine { init: Init::Systemd, .. } => "systemctl stop docker.service docker.socket".to_owned(),
            Self::StartEngine { init: Init::Other, .. } => format!("start-stop-daemon --stop --pidfile {PID_FILE}"),
            Self::Tools(set) => {
                let folder = shlex::try_quote(set.folder.as_str()).map_or_else(|_| set.folder.to_string(), Into::into);
                format!("rm --recursive {folder}")
            }
        }
    }
}

fn interpreter(machine: &Machine, (major, minor): (u32, u32)) -> String {
    machine.python.as_ref().map_or_else(|| format!("python{major}.{minor}"), ToString::to_string)
}

pub(super) fn apt(names: &[String]) -> [Invocation; 2] {
    let apt = || Invocation::tool("apt-get").env("DEBIAN_FRONTEND", "noninteractive");
    [
        apt().arg("update").deadline(APT_UPDATE_DEADLINE),
        apt().args(["install", "--yes", "--no-install-recommends"]).args(names).deadline(APT_INSTALL_DEADLINE),
    ]
}

pub(super) fn start(init: Init, program: &Utf8Path) -> Invocation {
    match init {
        Init::Systemd => Invocation::tool("systemctl").args(["start", "docker.service"]),
        // In a session of its own: it outlives setup, and a Ctrl-C at the terminal does not reach it.
        Init::Other => Invocation::tool("start-stop-daemon")
            .args(["--start", "--background", "--make-pidfile", "--pidfile", PID_FILE, "--output", LOG_FILE])
            .args(["--exec", program.as_str(), "--", "--host", "unix:///var/run/docker.sock"]),
    }
    .deadline(START_DEADLINE)
}

/// Makes a virtual environment in the set's folder and installs exactly the pinned wheels into it.
pub(super) fn pip(set: &ToolSet, interpreter: &str) -> [Invocation; 2] {
    [
        Invocation::program(interpreter)
            .args(["-I", "-m", "venv", "--clear", set.folder.as_str()])
            .deadline(VENV_DEADLINE),
        Invocation::program(set.bin().join("python"))
            .args(["-I", "-m", "pip", "install", "--require-hashes", "--no-deps", "--only-binary", ":all:"])
            .args(["--no-input", "--no-color", "--progress-bar", "off", "--disable-pip-version-check"])
            .args(["--requirement", set.folder.join(REQUIREMENTS_FILE).as_str()])
            .deadline(PIP_DEADLINE),
    ]
}

/// The requirements file in a set's folder.
pub(super) const REQUIREMENTS_FILE: &str = "requirements.txt";
/// The archive in a set's folder, until it is unpacked.
pub(super) const ARCHIVE_FILE: &str = "archive.tar.gz";
/// An archive larger than this is not the one that was meant.
const ARCHIVE_BYTES_MAX: u64 = 300 << 20;

pub(super) fn download(url: &str, set: &ToolSet) -> Invocation {
    Invocation::tool("curl")
        .args(["--fail", "--location", "--proto", "=https", "--silent", "--show-error", "--connect-timeout", "10"])
        .args(["--max-filesize", &ARCHIVE_BYTES_MAX.to_string()])
        .args(["--output", set.folder.join(ARCHIVE_FILE).as_str(), url])
        .deadline(DOWNLOAD_DEADLINE)
}
