use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use crate::process::{Invocation, ToolRequirement};
use crate::step::{Context, StepError};

/// Trivy, of the versions whose reports and flags were tried with these steps; 0.70.0 is the one to install.
#[must_use]
pub fn trivy_tool() -> ToolRequirement {
    ToolRequirement::new("trivy", ">=0.60, <0.80")
}

/// Trivy's built-in rules that excuse every secret in a file for its path, such as `/tests/` or `.md`, by the ids of its configuration.
/// Those for the folders of the system, `usr/share` and the like, stay: they hold what packages bring.
const EXCUSED_BY_PATH: [&str; 9] =
    ["tests", "examples", "vendor", "locale-dir", "markdown", "node.js", "rubygems", "wordpress", "anaconda-log"];

/// A way to call Trivy in which nothing but the command line decides what it does.
///
/// Trivy reads `trivy.yaml`, `trivy-secret.yaml` and `.trivyignore` from the folder it is started in and every `TRIVY_…` variable,
/// and each of them can hide findings without leaving a trace in the report. So it is started in an empty folder, with an empty
/// configuration, an empty ignore file and without its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neutral {
    folder: Utf8PathBuf,
}

impl Neutral {
    /// Prepares the empty files in the step's own folder.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn prepare(cx: &Context) -> Result<Self, StepError> {
        // Trivy is started elsewhere, so every path has to be absolute.
        let folder = cx.path(cx.dir()).join("neutral");
        let this = Self { folder };
        fs::create_dir_all(this.empty_folder()).map_err(StepError::io("creating", this.empty_folder()))?;
        for file in [this.config(), this.ignore_file()] {
            fs::write(&file, "").map_err(StepError::io("writing", file))?;
        }
        let secrets = format!("disable-allow-rules: [{}]\n", EXCUSED_BY_PATH.join(", "));
        fs::write(this.secret_config(), secrets).map_err(StepError::io("writing", this.secret_config()))?;
        Ok(this)
    }

    /// For `--explain`, where no folder exists yet.
    #[must_use]
    pub fn placeholder() -> Self {
        Self { folder: Utf8PathBuf::from("<step>/neutral") }
    }

    /// A call of Trivy with the database in `cache_dir`; the subcommand is to follow.
    #[must_use]
    pub fn trivy(&self, cache_dir: &Utf8Path) -> Invocation {
        Invocation::tool("trivy").env_remove_prefix("TRIVY_").dir(self.empty_folder()).args([
            "--config",
            self.config().as_str(),
            "--cache-dir",
            cache_dir.as_str(),
        ])
    }

    /// A call of Trivy that scans: `kind` is its subcommand, `scanners` what it looks for, `report` where its JSON goes. The target is
    /// to follow. All severities, nothing ignored, nothing fetched; every judgement is left to us.
    #[must_use]
    pub fn scan(&self, cache_dir: &Utf8Path, kind: &str, scanners: &str, report: &Utf8Path) -> Invocation {
        self.trivy(cache_dir)
            .args([kind, "--scanners", scanners, "--format", "json", "--output", report.as_str()])
            .args(["--exit-code", "0", "--list-all-pkgs", "--show-suppressed"])
            .args(["--ignorefile", self.ignore_file().as_str(), "--cache-backend", "memory"])
            .args(["--skip-db-update", "--skip-java-db-update", "--skip-check-update", "--offline-scan"])
            .args(["--skip-version-check", "--disable-telemetry"])
            .report(report)
    }

    fn config(&self) -> Utf8PathBuf {
        self.folder.join("trivy.yaml")
    }

    /// The rules for secrets: `--secret-config` of a call that looks for them in files with names of their own.
    #[must_use]
    pub fn secret_config(&self) -> Utf8PathBuf {
        self.folder.join("trivy-secret.yaml")
    }

    fn ignore_file(&self) -> Utf8PathBuf {
        self.folder.join("trivyignore")
    }

    fn empty_folder(&self) -> Utf8PathBuf {
        self.folder.join("empty")
    }
}
