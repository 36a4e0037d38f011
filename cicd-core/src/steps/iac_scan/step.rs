use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::judge::{pragmas, report, without_pragmas};
use crate::formats::file_kind::FileKind;
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::scan::{Bench, Pragma, Report, Scan, Scanner, Selection, Setting, Sources};
use crate::step::{Context, Seal, StepError};

/// The configuration that checkov is given, so that it looks for no `.checkov.yaml`. It refuses an empty file.
const NEUTRAL_CONFIGURATION: &str = "compact: true\n";
/// Its log is a few lines; more than this is not a log to read.
const LOG_BYTES_MAX: usize = 1 << 20;

/// Where checkov looks for its configuration by itself.
const CONFIGURATION: [Setting; 2] = [Setting::file(".checkov.yaml"), Setting::file(".checkov.yml")];

/// Scans what describes infrastructure, which is every Dockerfile and GitHub workflow of the repository, with checkov, offline
/// and without its platform.
///
/// ```
/// use cicd_core::policy::Justification;
/// use cicd_core::steps::IacScan;
///
/// let examples = Justification::new("examples that the scan must refuse", "@org/security", "2027-03-01")?;
/// let scan = IacScan::checkov().leaving_out("tests/data", examples);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Which files are scanned is not configured but asked of git; one that checkov does not report as looked at is an error, and so is
/// one that it cannot parse. It is given copies, in a folder without any configuration. Comments (`# checkov:skip=CKV_DOCKER_3`)
/// have no effect on these and are judged here: with `# reason:`, `# owner:` and `# expires:` on the lines directly above, each
/// becomes an exception that is counted and shown; without them it is `IGN-016` and hides nothing. A comment reaches what it stands
/// in and what begins on the next line that is no comment.
pub type IacScan = Scan<IacScanner>;

/// See [`IacScan`].
#[derive(Debug, Clone)]
pub struct IacScanner(());

impl IacScan {
    /// Every Dockerfile and workflow of the repository.
    #[must_use]
    pub fn checkov() -> Self {
        Self::of(IacScanner(()))
    }
}

/// What is laid out: copies of the sources, a neutral `checkov.yaml` and an empty `home`.
#[derive(Debug)]
pub struct Copies {
    bench: Bench,
    /// The sources by what their copies are called.
    names: BTreeMap<Utf8PathBuf, Utf8PathBuf>,
}

/// The call in the folder with the copies, beside which are the neutral `checkov.yaml` and an empty `home`.
fn invocation(folder: &Utf8Path, files: &[Utf8PathBuf]) -> Invocation {
    Invocation::tool("checkov")
        .dir(folder.join("sources"))
        .arg("--file")
        .args(files)
        .args(["--framework", "dockerfile", "github_actions", "--output", "json", "--compact", "--skip-download"])
        .args(["--config-file", folder.join("checkov.yaml").as_str()])
        .env("HOME", folder.join("home"))
        .env("LOG_LEVEL", "WARNING")
        .env_remove_prefix("CKV_")
        .env_remove_prefix("CHECKOV_")
        .env_remove_prefix("BC_")
        .env_remove_prefix("PRISMA_")
        .env_remove_prefix("PYTHON")
        .stderr_bytes_max(LOG_BYTES_MAX)
}

impl Scanner for IacScanner {
    type Input = ();
    type Layout = Copies;
    const OURS: Option<Seal> = Some(Seal::new());

    fn tool(&self) -> ToolRequirement {
        ToolRequirement::new("checkov", ">=3.2, <4")
    }

    fn sources(&self, (): &()) -> Selection {
        Selection::of_kinds("infrastructure file", [FileKind::Dockerfile, FileKind::Workflow])
    }

    fn lay_out(&self, cx: &Context, sources: &Sources) -> Result<Copies, StepError> {
        sources.check_names_on_github()?;
        let bench = Bench::new(cx)?;
        bench.make_folder("home")?;
        bench.write("checkov.yaml", NEUTRAL_CONFIGURATION)?;
        let mut names = BTreeMap::new();
        for (number, source) in sources.iter().enumerate() {
            let name = name_for(&source.path, number);
            bench.write(Utf8Path::new("sources").join(&name), without_pragmas(&source.text)?)?;
            if let Some(other) = names.insert(name, source.path.clone()) {
                let what = format!("the copies of {} and {other} have one name", source.path);
                return Err(StepError::not_looked(what, "rename one of them"));
            }
        }
        Ok(Copies { bench, names })
    }

    fn commands(&self, _: &Sources, copies: &Copies) -> Vec<Invocation> {
        let files: Vec<_> = copies.names.keys().cloned().collect();
        vec![invocation(copies.bench.folder(), &files)]
    }

    fn read(&self, sources: &Sources, copies: &Copies, captured: &[Captured]) -> Result<Report, StepError> {
        match captured {
            [captured] => report(captured, &sources.tool().version, &copies.names),
            _ => Err(StepError::not_looked("checkov was not run once", "see the step's log")),
        }
    }

    fn pragmas(&self, lines: &[&str]) -> Vec<Pragma> {
        pragmas(lines)
    }

    fn settings(&self) -> &'static [Setting] {
        &CONFIGURATION
    }

    fn missed_help(&self) -> &'static str {
        "it passes over workflows that its own schema does not allow, such as one with an expression for `cancel-in-progress`"
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![invocation(Utf8Path::new("<step>"), &["<every Dockerfile and workflow>".into()])]
    }
}

/// What the copy of a source is called: checkov takes only some names for a Dockerfile's, and only workflows in their folder.
fn name_for(path: &Utf8Path, number: usize) -> Utf8PathBuf {
    let name = path.file_name().unwrap_or("");
    let is_known = path.starts_with(".github/workflows")
        || name.split('.').any(|part| matches!(part, "Dockerfile" | "dockerfile" | "DockerFile" | "dockerFile"));
    if is_known { path.to_owned() } else { format!("renamed-{number}/Dockerfile").into() }
}
