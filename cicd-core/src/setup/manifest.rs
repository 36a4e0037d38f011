//! `ci/tools.toml`: every tool by exact version and sha256.
//!
//! ```toml
//! [python]
//! version = "3.11"                # the interpreter the packages are installed with
//!
//! [[python.package]]              # any number of them
//! name = "ruff"
//! version = "0.17.5"
//! program = "ruff"                # the file it puts into `bin/`; it must tell this version with `--version`
//! sha256.linux-x86_64 = ["…"]     # of its wheels, by platform: `linux-x86_64`, `linux-aarch64`
//!
//! [[python.library]]              # what a package needs beside itself: the installer looks for nothing by itself
//! name = "PyYAML"                 # (a package with `inside = "folder/program"` is started there, not by its script in `bin`)
//! version = "6.0.3"
//! sha256.linux-x86_64 = ["…"]
//!
//! [[python.environment]]          # packages that do not get along with those above are installed apart from them
//! name = "checkov"
//!
//! [[python.environment.package]]  # as `[[python.package]]` and `[[python.library]]`
//!
//! [[release]]                     # a program from its project's own releases, a .tar.gz
//! program = "trivy"
//! version = "0.70.0"
//! archive.linux-x86_64 = { url = "https://…", sha256 = "…" }
//! fallback = { name = "…", version = "…", sha256.linux-x86_64 = ["…"] }   # optional: a Python package with that program
//!
//! [debian]                        # packages of Debian and Ubuntu, each with the program that shows it is there
//! engine = { name = "docker.io", program = "dockerd" }
//! packages = [{ name = "debootstrap", program = "debootstrap" }]
//! ```

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use semver::Version;

use super::manifest_check::RawManifest;
use super::{Platform, Sha256};
use crate::formats::{ConfigError, config};

/// Where the manifest stands in a workspace.
pub const MANIFEST_PATH: &str = "ci/tools.toml";

/// What the environment is named that tools share unless they have one of their own.
pub(super) const SHARED_ENVIRONMENT: &str = "python";

/// The tools of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolsManifest {
    /// The interpreter's major and minor version.
    pub python: (u32, u32),
    /// Tools that come as Python wheels: those that share an environment, then those that have one of their own.
    pub environments: Vec<PythonEnvironment>,
    /// Tools that come as release archives.
    pub releases: Vec<Release>,
    /// The package of the Docker engine on Debian and Ubuntu.
    pub engine: Option<DebianPackage>,
    /// Further packages of Debian and Ubuntu.
    pub debian: Vec<DebianPackage>,
}

/// Python wheels that are installed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonEnvironment {
    /// What its folder is named after.
    pub name: String,
    /// The wheels with programs.
    pub packages: Vec<PythonPackage>,
    /// What those need beside themselves.
    pub libraries: Vec<PythonLibrary>,
}

/// A program that comes as a Python wheel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonPackage {
    /// The package's name.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The program it installs.
    pub program: String,
    /// Where the wheel keeps that program, if its script in `bin` does more than starting it, such as writing to it.
    pub inside: Option<Utf8PathBuf>,
    /// The version the program tells.
    pub program_version: Version,
    /// The sums of its wheels.
    pub sha256: BTreeMap<Platform, Vec<Sha256>>,
}

/// A Python wheel without a program of its own, which others need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonLibrary {
    /// The package's name.
    pub name: String,
    /// The package's version.
    pub version: String,
    /// The sums of its wheels.
    pub sha256: BTreeMap<Platform, Vec<Sha256>>,
}

/// A program that comes as a release archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The program: the archive's member that is kept.
    pub program: String,
    /// The version it tells.
    pub version: Version,
    /// The archives.
    pub archives: BTreeMap<Platform, Archive>,
    /// A Python package with the same program, for where the archive's host cannot be reached.
    pub fallback: Option<PythonPackage>,
}

/// A `.tar.gz` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Where it is.
    pub url: String,
    /// Its sum.
    pub sha256: Sha256,
}

/// A package of Debian and Ubuntu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DebianPackage {
    /// Its name.
    pub name: String,
    /// The program that shows it is installed.
    pub program: String,
}

impl ToolsManifest {
    /// Reads the text of `ci/tools.toml`.
    ///
    /// # Errors
    /// Unknown keys, and values that are no version, sum, program or address; every one of them, with its place.
    pub fn parse(path: &Utf8Path, text: &str) -> Result<Self, ConfigError> {
        config::parse::<RawManifest>(path, text)
    }

    /// Whether it names any tool that is installed into the tools folder.
    #[must_use]
    pub fn has_tools(&self) -> bool {
        self.environments.iter().any(|environment| !environment.packages.is_empty()) || !self.releases.is_empty()
    }
}
