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
    Packages {
        /// Their names.
        names: Vec<String>,
        /// As whom: root, or through `sudo`.
        user: User,
    },
    /// Starts the Docker engine and waits until it answers.
    StartEngine {
        /// What starts it.
        init: Init,
        /// Its program.
        program: Utf8PathBuf,
    },
    /// Installs a set of tools into its folder.
    Tools(Box<ToolSet>),
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
            machine.can_install_packages().then(|| start_engine(machine, "its package is installed first"))
        }
        Engine::Stopped { why } => Some(start_engine(machine, why)),
        Engine::Remote { host, why } => Some(Err(ByHand {
            missing: format!("the Docker engine at DOCKER_HOST={host} does not answer: {why}"),
            how: "start that engine, or unset DOCKER_HOST".to_owned(),
        })),
    };
    if !packages.is_empty() {
        if machine.can_install_packages() {
            plan.actions.push(Action::Packages { names: packages, user: machine.user });
        } else {
            plan.by_hand.push(packages_by_hand(machine, &packages));
        }
    }
    for set in &machine.sets_missing {
        match obstacle(set, machine, python_comes) {
            None => plan.actions.push(Action::Tools(Box::new(set.clone()))),
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
        self.system == System::Debian && matches!(self.user, User::Root | User::Sudo)
    }

    fn start_engine(&self) -> Action {
        let program = self.engine_program.clone().unwrap_or_else(|| ENGINE_PROGRAM_OF_DEBIAN.into());
        Action::StartEngine { init: self.init, program }
    }
}

fn start_engine(machine: &Machine, why: &str) -> Result<Action, ByHand> {
    match (machine.user, &machine.system, machine.init) {
        (User::Root, _, Init::Systemd) | (User::Root, System::Debian, Init::Other) => Ok(machine.start_engine()),
        (User::Root, System::Other(_), Init::Other) => Err(ByHand {
            missing: format!("the Docker engine does not answer: {why}"),
            how: "start `dockerd`".to_owned(),
        }),
        (User::Sudo | User::Ordinary, _, _) => Err(ByHand {
            missing: format!("the Docker engine does not answer: {why}"),
            how: "have it started with `sudo systemctl start docker`; where it runs but refuses you, \
                  `sudo usermod --append --groups docker $USER` and log in again"
                .to_owned(),
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
    let Some(platform) = machine.platform.filter(|_| set.is_pinned_for(machine.platform)) else {
        let platform = machine.platform.map_or_else(|| "this platform".to_owned(), |platform| platform.to_string());
        return Some(ByHand {
            missing: programs(),
            how: format!(
                "ci/tools.toml pins no file for {platform}: add its sha256 there, or put exactly that version on PATH"
            ),
        });
    };
    let needs_python = match &set.content {
        Content::Python { .. } => true,
        Content::Release { release, .. } => !release.archives.contains_key(&platform),
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
            Self::Packages { names, .. } => format!("install {} from this system's packages", names.join(", ")),
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
            Self::Packages { names, user } => apt(names, *user).into(),
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
            Self::Packages { names, user } => {
                let sudo = if *user == User::Root { "" } else { "sudo " };
                format!("{sudo}apt-get purge --autoremove {}", names.join(" "))
            }
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

pub(super) fn apt(names: &[String], user: User) -> [Invocation; 2] {
    let apt = || match user {
        User::Root => Invocation::tool("apt-get").env("DEBIAN_FRONTEND", "noninteractive"),
        // `sudo` keeps no variables.
        User::Sudo | User::Ordinary => {
            Invocation::tool("sudo").args(["--non-interactive", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"])
        }
    };
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

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::setup::{MANIFEST_PATH, Platform, tool_sets};

    fn manifest() -> ToolsManifest {
        ToolsManifest::parse(MANIFEST_PATH.into(), include_str!("../../tests/data/setup/tools.toml")).expect("valid")
    }

    /// A fresh Debian container: root, Python, and nothing else.
    fn fresh() -> Machine {
        let platform = Some(Platform::LinuxX86_64);
        Machine {
            system: System::Debian,
            user: User::Root,
            init: Init::Other,
            platform,
            python: Some("/usr/bin/python3.11".into()),
            engine: Engine::Missing,
            engine_program: None,
            packages_missing: vec!["debootstrap".to_owned(), "docker-registry".to_owned()],
            sets_missing: tool_sets(&manifest(), platform, &"/tools".into()),
        }
    }

    fn check(machine: &Machine, expected: Expect) {
        let plan = plan(machine, &manifest());
        let mut shown = String::new();
        for action in &plan.actions {
            shown.push_str(&format!("{}\n", action.title()));
            for command in action.commands(machine) {
                shown.push_str(&format!("  $ {command}\n"));
            }
            shown.push_str(&format!("  undo: {}\n", action.undo()));
        }
        for by_hand in &plan.by_hand {
            shown.push_str(&format!("by hand: {}\n  {}\n", by_hand.missing, by_hand.how));
        }
        expected.assert_eq(&shown);
    }

    /// The same without the tools, whose commands other tests show.
    fn without_tools(machine: Machine) -> Machine {
        Machine { sets_missing: Vec::new(), ..machine }
    }

    #[test]
    fn a_fresh_debian_gets_everything() {
        check(
            &fresh(),
            expect![[r#"
                install debootstrap, docker-registry, docker.io from this system's packages
                  $ DEBIAN_FRONTEND=noninteractive apt-get update
                  $ DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends debootstrap docker-registry docker.io
                  undo: apt-get purge --autoremove debootstrap docker-registry docker.io
                install uv 0.13.8, ruff 0.17.5, bandit 1.9.4 into /tools/python-eaabb6bb70c94940
                  $ /usr/bin/python3.11 -I -m venv --clear /tools/python-eaabb6bb70c94940
                  $ /tools/python-eaabb6bb70c94940/bin/python -I -m pip install --require-hashes --no-deps --only-binary :all: --no-input --no-color --progress-bar off --disable-pip-version-check --requirement /tools/python-eaabb6bb70c94940/requirements.txt
                  undo: rm --recursive /tools/python-eaabb6bb70c94940
                install pip-audit 2.10.1 into /tools/pip-audit-e4cb841232f0b588
                  $ /usr/bin/python3.11 -I -m venv --clear /tools/pip-audit-e4cb841232f0b588
                  $ /tools/pip-audit-e4cb841232f0b588/bin/python -I -m pip install --require-hashes --no-deps --only-binary :all: --no-input --no-color --progress-bar off --disable-pip-version-check --requirement /tools/pip-audit-e4cb841232f0b588/requirements.txt
                  undo: rm --recursive /tools/pip-audit-e4cb841232f0b588
                install trivy 0.70.0 into /tools/trivy-a42657455af1763b
                  $ curl --fail --location --proto '=https' --silent --show-error --connect-timeout 10 --max-filesize 314572800 --output /tools/trivy-a42657455af1763b/archive.tar.gz https://github.com/aquasecurity/trivy/releases/download/v0.70.0/trivy_0.70.0_Linux-64bit.tar.gz
                  undo: rm --recursive /tools/trivy-a42657455af1763b
                start the Docker engine
                  $ start-stop-daemon --start --background --make-pidfile --pidfile /run/cicd-core-dockerd.pid --output /var/log/cicd-core-dockerd.log --exec /usr/sbin/dockerd -- --host unix:///var/run/docker.sock
                  undo: start-stop-daemon --stop --pidfile /run/cicd-core-dockerd.pid
            "#]],
        );
    }

    #[test]
    fn a_machine_with_everything_gets_nothing() {
        let machine = Machine {
            engine: Engine::Ready { version: "20.10.24".to_owned() },
            packages_missing: Vec::new(),
            ..without_tools(fresh())
        };
        assert!(plan(&machine, &manifest()).is_empty());
        // Without any Python, too: nothing needs it.
        assert!(plan(&Machine { python: None, ..machine }, &manifest()).is_empty());
    }

    #[test]
    fn another_engine_is_left_alone() {
        let machine = Machine { engine: Engine::Ready { version: "28.0.0".to_owned() }, ..without_tools(fresh()) };
        check(
            &machine,
            expect![[r#"
                install debootstrap, docker-registry from this system's packages
                  $ DEBIAN_FRONTEND=noninteractive apt-get update
                  $ DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends debootstrap docker-registry
                  undo: apt-get purge --autoremove debootstrap docker-registry
            "#]],
        );
    }

    #[test]
    fn a_stopped_engine_is_started_by_what_starts_services() {
        let stopped = Machine {
            engine: Engine::Stopped { why: "cannot connect".to_owned() },
            engine_program: Some("/usr/bin/dockerd".into()),
            packages_missing: Vec::new(),
            ..without_tools(fresh())
        };
        check(
            &stopped,
            expect![[r#"
            start the Docker engine
              $ start-stop-daemon --start --background --make-pidfile --pidfile /run/cicd-core-dockerd.pid --output /var/log/cicd-core-dockerd.log --exec /usr/bin/dockerd -- --host unix:///var/run/docker.sock
              undo: start-stop-daemon --stop --pidfile /run/cicd-core-dockerd.pid
        "#]],
        );
        check(
            &Machine { init: Init::Systemd, ..stopped.clone() },
            expect![[r#"
            start the Docker engine
              $ systemctl start docker.service
              undo: systemctl stop docker.service docker.socket
        "#]],
        );
        check(
            &Machine { user: User::Ordinary, ..stopped.clone() },
            expect![[r#"
            by hand: the Docker engine does not answer: cannot connect
              have it started with `sudo systemctl start docker`; where it runs but refuses you, `sudo usermod --append --groups docker $USER` and log in again
        "#]],
        );
        check(
            &Machine { system: System::Other("Alpine".to_owned()), ..stopped },
            expect![[r#"
            by hand: the Docker engine does not answer: cannot connect
              start `dockerd`
        "#]],
        );
    }

    #[test]
    fn an_engine_elsewhere_is_not_touched() {
        let engine = Engine::Remote { host: "tcp://build:2376".to_owned(), why: "connection refused".to_owned() };
        check(
            &Machine { engine, packages_missing: Vec::new(), ..without_tools(fresh()) },
            expect![[r#"
            by hand: the Docker engine at DOCKER_HOST=tcp://build:2376 does not answer: connection refused
              start that engine, or unset DOCKER_HOST
        "#]],
        );
    }

    #[test]
    fn without_root_or_debian_a_person_is_told_what_to_do() {
        check(
            &Machine { user: User::Ordinary, ..without_tools(fresh()) },
            expect![[r#"
            by hand: debootstrap docker-registry docker.io
              run `sudo apt-get update && sudo apt-get install --yes --no-install-recommends debootstrap docker-registry docker.io`, or setup as root
        "#]],
        );
        check(
            &Machine { user: User::Sudo, ..without_tools(fresh()) },
            expect![[r#"
                install debootstrap, docker-registry, docker.io from this system's packages
                  $ sudo --non-interactive env 'DEBIAN_FRONTEND=noninteractive' apt-get update
                  $ sudo --non-interactive env 'DEBIAN_FRONTEND=noninteractive' apt-get install --yes --no-install-recommends debootstrap docker-registry docker.io
                  undo: sudo apt-get purge --autoremove debootstrap docker-registry docker.io
                by hand: the Docker engine does not answer: its package is installed first
                  have it started with `sudo systemctl start docker`; where it runs but refuses you, `sudo usermod --append --groups docker $USER` and log in again
            "#]],
        );
        check(
            &Machine { system: System::Other("Fedora 43".to_owned()), ..without_tools(fresh()) },
            expect![[r#"
            by hand: debootstrap docker-registry docker.io
              install what Fedora 43 has in the place of these Debian packages; for Docker see https://docs.docker.com/engine/install/
        "#]],
        );
    }

    #[test]
    fn python_is_installed_where_it_can_be_and_asked_for_where_not() {
        let none = Machine { python: None, ..fresh() };
        let actions = plan(&none, &manifest()).actions;
        let Some(Action::Packages { names, .. }) = actions.first() else { panic!("packages first: {actions:?}") };
        assert!(names.contains(&"python3.11-venv".to_owned()), "{names:?}");
        assert_eq!(actions.iter().filter(|action| matches!(action, Action::Tools(_))).count(), 3);
        check(
            &Machine { user: User::Ordinary, ..none },
            expect![[r#"
                install trivy 0.70.0 into /tools/trivy-a42657455af1763b
                  $ curl --fail --location --proto '=https' --silent --show-error --connect-timeout 10 --max-filesize 314572800 --output /tools/trivy-a42657455af1763b/archive.tar.gz https://github.com/aquasecurity/trivy/releases/download/v0.70.0/trivy_0.70.0_Linux-64bit.tar.gz
                  undo: rm --recursive /tools/trivy-a42657455af1763b
                by hand: debootstrap docker-registry python3.11 python3.11-venv docker.io
                  run `sudo apt-get update && sudo apt-get install --yes --no-install-recommends debootstrap docker-registry python3.11 python3.11-venv docker.io`, or setup as root
                by hand: uv 0.13.8, ruff 0.17.5, bandit 1.9.4
                  install Python first, then run `cargo xtask setup` again
                by hand: pip-audit 2.10.1
                  install Python first, then run `cargo xtask setup` again
            "#]],
        );
    }

    #[test]
    fn a_platform_without_pins_is_told_about() {
        let sets = |platform| tool_sets(&manifest(), platform, &"/tools".into());
        let arm = Some(Platform::LinuxAarch64);
        let quiet = Machine {
            engine: Engine::Ready { version: "28".to_owned() },
            packages_missing: Vec::new(),
            ..without_tools(fresh())
        };
        check(
            &Machine { platform: arm, sets_missing: sets(arm), ..quiet.clone() },
            expect![[r#"
                install uv 0.13.8, ruff 0.17.5, bandit 1.9.4 into /tools/python-7bce6a10d45a87b7
                  $ /usr/bin/python3.11 -I -m venv --clear /tools/python-7bce6a10d45a87b7
                  $ /tools/python-7bce6a10d45a87b7/bin/python -I -m pip install --require-hashes --no-deps --only-binary :all: --no-input --no-color --progress-bar off --disable-pip-version-check --requirement /tools/python-7bce6a10d45a87b7/requirements.txt
                  undo: rm --recursive /tools/python-7bce6a10d45a87b7
                install pip-audit 2.10.1 into /tools/pip-audit-c5e99bce30ad57bc
                  $ /usr/bin/python3.11 -I -m venv --clear /tools/pip-audit-c5e99bce30ad57bc
                  $ /tools/pip-audit-c5e99bce30ad57bc/bin/python -I -m pip install --require-hashes --no-deps --only-binary :all: --no-input --no-color --progress-bar off --disable-pip-version-check --requirement /tools/pip-audit-c5e99bce30ad57bc/requirements.txt
                  undo: rm --recursive /tools/pip-audit-c5e99bce30ad57bc
                by hand: trivy 0.70.0
                  ci/tools.toml pins no file for linux-aarch64: add its sha256 there, or put exactly that version on PATH
            "#]],
        );
        check(
            &Machine { platform: None, sets_missing: sets(None), ..quiet },
            expect![[r#"
                by hand: uv 0.13.8, ruff 0.17.5, bandit 1.9.4
                  ci/tools.toml pins no file for this platform: add its sha256 there, or put exactly that version on PATH
                by hand: pip-audit 2.10.1
                  ci/tools.toml pins no file for this platform: add its sha256 there, or put exactly that version on PATH
                by hand: trivy 0.70.0
                  ci/tools.toml pins no file for this platform: add its sha256 there, or put exactly that version on PATH
            "#]],
        );
    }
}
