use camino::Utf8PathBuf;

use super::{Platform, ToolSet};

/// What setup saw on a machine: all that the [`plan`](super::plan) depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The operating system.
    pub system: System,
    /// Who runs setup.
    pub user: User,
    /// What starts services.
    pub init: Init,
    /// What tools can be pinned for.
    pub platform: Option<Platform>,
    /// An interpreter of the version that the manifest asks for, able to make virtual environments.
    pub python: Option<Utf8PathBuf>,
    /// The Docker engine.
    pub engine: Engine,
    /// The Docker engine's program, where it was found.
    pub engine_program: Option<Utf8PathBuf>,
    /// The further Debian packages whose program is not there.
    pub packages_missing: Vec<String>,
    /// The sets of tools that are not installed, or do not work any more.
    pub sets_missing: Vec<ToolSet>,
}

/// An operating system, as far as setup can work with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum System {
    /// Debian, Ubuntu or another one of their family.
    Debian,
    /// Another one, by its name.
    Other(String),
}

/// Who runs setup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// May install packages.
    Root,
    /// May do so through `sudo`, which asks for no password; the runners of hosted CI are such.
    Sudo,
    /// May not.
    Ordinary,
}

/// What starts services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Init {
    /// systemd is running.
    Systemd,
    /// Nothing that setup knows, as in most containers.
    Other,
}

/// The state of the Docker engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// A client that can build, and an engine that answers.
    Ready {
        /// The engine's version.
        version: String,
    },
    /// A client that can build and an engine that is installed, but does not answer.
    Stopped {
        /// What the client said.
        why: String,
    },
    /// `DOCKER_HOST` names an engine that does not answer.
    Remote {
        /// Its address.
        host: String,
        /// What the client said.
        why: String,
    },
    /// No engine, or no client that can build.
    Missing,
    /// The manifest asks for no engine.
    NotNeeded,
}

impl System {
    /// Reads the text of `/etc/os-release`.
    #[must_use]
    pub fn from_os_release(text: &str) -> Self {
        let value = |key: &str| {
            text.lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.trim().trim_matches(['"', '\'']))
        };
        let family = [value("ID"), value("ID_LIKE")];
        if family.iter().flatten().flat_map(|ids| ids.split_whitespace()).any(|id| matches!(id, "debian" | "ubuntu")) {
            Self::Debian
        } else {
            Self::Other(value("PRETTY_NAME").or(value("ID")).unwrap_or("this system").to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debian_family_is_recognised() {
        for text in
            ["ID=debian\n", "ID=ubuntu\nID_LIKE=debian\n", "NAME=\"Mint\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"]
        {
            assert_eq!(System::from_os_release(text), System::Debian, "{text}");
        }
        let fedora = System::from_os_release("ID=fedora\nPRETTY_NAME=\"Fedora Linux 43\"\n# ID_LIKE=debian\n");
        assert_eq!(fedora, System::Other("Fedora Linux 43".to_owned()));
        assert_eq!(System::from_os_release("\0garbage"), System::Other("this system".to_owned()));
    }
}
