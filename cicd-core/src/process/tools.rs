use camino::Utf8PathBuf;
use regex::Regex;
use semver::{Version, VersionReq};

/// A tool that a step needs: its name, the versions it may have and how to get it.
#[derive(Debug, Clone)]
pub struct ToolRequirement {
    /// The program's name, as typed.
    pub name: String,
    /// The versions that were tried with this step.
    pub version: VersionReq,
    /// The arguments that make it print its version.
    pub version_args: Vec<String>,
    /// Where the version stands in what it prints: the first group.
    pub version_pattern: Regex,
    /// A call that must end with code 0; a candidate that fails it is passed over.
    pub probe: Option<Probe>,
    /// What to do when it is missing.
    pub fix: String,
}

/// A call that tells whether a tool can do the work at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables it needs; the call that prints the version gets them too.
    pub env: Vec<(String, String)>,
}

/// The pattern of a version that stands anywhere in the first lines, such as `v1.2.3` or `1.2`.
const VERSION_ANYWHERE: &str = r"(\d+\.\d+(?:\.\d+)?(?:[-+][0-9A-Za-z.+-]+)?)";

impl ToolRequirement {
    /// A tool whose `--version` prints its version. `version` is a semver requirement such as `>=0.60, <1`.
    ///
    /// # Panics
    /// When `version` is not a requirement: it is part of the program, and a test of the step sees it.
    #[must_use]
    pub fn new(name: impl Into<String>, version: &str) -> Self {
        let name = name.into();
        #[expect(clippy::expect_used, reason = "both are literals of the program")]
        Self {
            version: VersionReq::parse(version).expect("a semver requirement"),
            version_args: vec!["--version".to_owned()],
            version_pattern: Regex::new(VERSION_ANYWHERE).expect("a valid pattern"),
            probe: None,
            fix: format!("run `cargo xtask setup`, or install {name} {version} yourself"),
            name,
        }
    }

    /// Sets the arguments that make it print its version.
    #[must_use]
    pub fn version_args<const N: usize>(mut self, args: [&str; N]) -> Self {
        self.version_args = args.map(str::to_owned).to_vec();
        self
    }

    /// Adds a call that must end with code 0, for tools whose first namesake on `PATH` may be unable to do the work.
    #[must_use]
    pub fn probe<const N: usize, const M: usize>(mut self, args: [&str; N], env: [(&str, &str); M]) -> Self {
        self.probe = Some(Probe {
            args: args.map(str::to_owned).to_vec(),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        });
        self
    }

    /// Sets what to do when it is missing.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = fix.into();
        self
    }

    /// The version in what the tool printed.
    pub(super) fn read_version(&self, printed: &str) -> Option<Version> {
        let text = self.version_pattern.captures(printed)?.get(1)?.as_str();
        Version::parse(text).or_else(|_| Version::parse(&format!("{text}.0"))).ok().or_else(|| {
            // Debian and others append suffixes that semver does not know, such as `20.10.24+dfsg1~x`.
            let core: String = text.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
            Version::parse(core.trim_end_matches('.')).ok()
        })
    }
}

/// A tool that was found and is of a fitting version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// Its file.
    pub path: Utf8PathBuf,
    /// Its version.
    pub version: Version,
}

/// A tool that cannot be used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {problem}; {fix}")]
pub struct ToolError {
    /// The tool.
    pub name: String,
    /// What is wrong.
    pub problem: ToolProblem,
    /// What to do.
    pub fix: String,
}

/// What can be wrong with a tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolProblem {
    /// No file of that name.
    #[error("not found")]
    Missing,
    /// Found, but of another version.
    #[error("{path} is version {found}, but {required} is required")]
    WrongVersion {
        /// The file.
        path: Utf8PathBuf,
        /// Its version.
        found: Version,
        /// The requirement.
        required: VersionReq,
    },
    /// Found, but it cannot do the work or does not tell its version.
    #[error("{path} cannot be used: {why}")]
    Unusable {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        why: String,
    },
    /// Found, but it says nothing.
    #[error("{path} did not answer within {seconds} s: the machine is busy, or it hangs")]
    Silent {
        /// The file.
        path: Utf8PathBuf,
        /// How long was waited for the last answer.
        seconds: u64,
    },
    /// Found, but not as it was installed.
    #[error("{path} must not be used: {why}")]
    Altered {
        /// The file.
        path: Utf8PathBuf,
        /// What has changed since.
        why: String,
    },
    /// The step did not name it in `tools()`.
    #[error("not declared in the step's `tools()`")]
    Undeclared,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_tools_print_them() {
        let tool = ToolRequirement::new("x", "*");
        for (printed, version) in [
            ("Docker version 20.10.24+dfsg1, build 297e128", "20.10.24+dfsg1"),
            ("Version: 0.70.0\nVulnerability DB:\n  Version: 2", "0.70.0"),
            ("ruff 0.17.5", "0.17.5"),
            ("GNU Make 4.3", "4.3.0"),
        ] {
            assert_eq!(tool.read_version(printed), Some(Version::parse(version).expect("a version")), "{printed}");
        }
        assert_eq!(tool.read_version("no numbers"), None);
    }
}
