use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::judge::{Judgement, judge, without_pragmas};
use crate::formats::printable::counted;
use crate::model::{Judged, Subject};
use crate::process::{Invocation, ToolRequirement};
use crate::step::{Chosen, Context, Outcome, Step, StepError, git_tool, leave_out};

/// The configuration that checkov is given, so that it looks for no `.checkov.yaml`. It refuses an empty file.
const NEUTRAL_CONFIGURATION: &str = "compact: true\n";
/// Its log is a few lines; more than this is not a log to read.
const LOG_BYTES_MAX: usize = 1 << 20;

/// Scans what describes infrastructure, which is every Dockerfile and GitHub workflow of the repository, with checkov, offline
/// and without its platform.
///
/// ```
/// use cicd_core::steps::IacScan;
///
/// let scan = IacScan::checkov().leaving_out("tests/data");
/// ```
///
/// Which files are scanned is not configured but asked of git; one that checkov does not report as looked at is an error, and so is
/// one that it cannot parse. It is given copies, in a folder without any configuration. Comments (`# checkov:skip=CKV_DOCKER_3`)
/// have no effect on these and are judged here: with `# reason:`, `# owner:` and `# expires:` on the lines directly above, each
/// becomes an exception that is counted and shown; without them it is `IGN-016` and hides nothing. A comment reaches what it stands
/// in and what begins on the next line that is no comment.
#[derive(Debug, Clone)]
pub struct IacScan {
    left_out: Vec<Utf8PathBuf>,
}

impl IacScan {
    /// Every Dockerfile and workflow of the repository.
    #[must_use]
    pub fn checkov() -> Self {
        Self { left_out: Vec::new() }
    }

    /// Does not look below this folder, such as one with bad examples. What is left out is shown in the report.
    #[must_use]
    pub fn leaving_out(mut self, dir: impl Into<Utf8PathBuf>) -> Self {
        self.left_out.push(dir.into());
        self
    }

    fn files(&self, cx: &Context) -> Result<Chosen, StepError> {
        let all = cx.repository_files()?.into_iter().filter(|path| is_scanned(path)).collect();
        leave_out(all, &self.left_out, "neither a Dockerfile nor a workflow")
    }
}

/// What checkov looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfrastructureChecked {
    /// The files, relative to the workspace.
    pub files: Vec<Utf8PathBuf>,
    /// The commit whose files they are.
    pub commit: String,
}

impl crate::step::Proof for InfrastructureChecked {}

impl Judged for InfrastructureChecked {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

fn checkov_tool() -> ToolRequirement {
    ToolRequirement::new("checkov", ">=3.2, <4")
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

impl Step for IacScan {
    type Input = ();
    type Output = InfrastructureChecked;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<InfrastructureChecked>, StepError> {
        let checkov = cx.require(&checkov_tool())?;
        let Chosen { files, left_out } = self.files(cx)?;
        let folder = cx.path(cx.dir());
        let _copies = Copies(folder.join("sources"));
        let sources = copy(cx, &folder, &files)?;
        let captured = cx.run(&invocation(&folder, &files))?;
        let Judgement { findings, exceptions, checks } = judge(&captured, &checkov.version, &sources)?;
        let (count, pragmas) = (files.len(), exceptions.len());
        let headline = match findings.len() {
            0 => format!("{}, {}", counted(count, "file"), counted(checks, "check")),
            found => {
                format!("{}, {}, {}", counted(count, "file"), counted(checks, "check"), counted(found, "finding"))
            }
        };
        let left_out_dirs: Vec<_> = self.left_out.iter().map(|dir| dir.as_str()).collect();
        let commit = cx.revision()?.commit.clone();
        Ok(Outcome::of(InfrastructureChecked { files, commit })
            .findings(findings)
            .exceptions(exceptions)
            .fact("files", count)
            .fact("checks", checks)
            .fact("pragmas", pragmas)
            .fact("left_out", left_out_dirs.join(", "))
            .fact("left_out_files", left_out)
            .headline(headline))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![checkov_tool(), git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![invocation(Utf8Path::new("<step>"), &["<every Dockerfile and workflow>".into()])]
    }
}

/// What checkov is given. It is removed: in a repository that does not ignore its run folders, the next run would scan it.
struct Copies(Utf8PathBuf);

impl Drop for Copies {
    fn drop(&mut self) {
        // What cannot be removed is only in the way.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes what checkov is given, and gives back the sources as they are.
fn copy(cx: &Context, folder: &Utf8Path, files: &[Utf8PathBuf]) -> Result<Vec<(Utf8PathBuf, String)>, StepError> {
    let home = folder.join("home");
    fs::create_dir_all(&home).map_err(StepError::io("creating", &home))?;
    let config = folder.join("checkov.yaml");
    fs::write(&config, NEUTRAL_CONFIGURATION).map_err(StepError::io("writing", &config))?;
    let mut sources = Vec::new();
    for path in files {
        let text = cx.read_text(path)?;
        let copy = folder.join("sources").join(path);
        let parent = copy.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(StepError::io("creating", parent))?;
        fs::write(&copy, without_pragmas(&text)?).map_err(StepError::io("writing", &copy))?;
        sources.push((path.clone(), text));
    }
    Ok(sources)
}

/// What follows `dockerfile.` in the names of programs and texts that are about Dockerfiles, and of the list of what a build ignores.
const NOT_BUILT_FROM: [&str; 10] = ["rs", "py", "go", "js", "ts", "java", "rb", "c", "md", "dockerignore"];

/// Whether Docker would build from this file by its name, or GitHub run it.
fn is_scanned(path: &Utf8Path) -> bool {
    let name = path.file_name().unwrap_or("").to_ascii_lowercase();
    let folder = path.parent().map_or("", Utf8Path::as_str);
    let is_workflow = folder == ".github/workflows" && (name.ends_with(".yml") || name.ends_with(".yaml"));
    let is_dockerfile = name.split('.').any(|part| part == "dockerfile" || part == "containerfile");
    let is_about_dockerfiles = path.extension().is_some_and(|extension| NOT_BUILT_FROM.contains(&extension));
    is_workflow || (is_dockerfile && !is_about_dockerfiles)
}

#[cfg(test)]
mod names {
    use super::is_scanned;

    #[test]
    fn dockerfiles_and_workflows_are_told_from_programs_by_their_names() {
        for path in ["Dockerfile", "a/dockerfile.dev", "a/app.Dockerfile", "Containerfile", ".github/workflows/ci.yml"]
        {
            assert!(is_scanned(path.into()), "{path}");
        }
        for path in
            ["src/dockerfile.rs", "Dockerfile.dockerignore", "a/.github/workflows/ci.yml", "dockerfiles/a", "ci.yml"]
        {
            assert!(!is_scanned(path.into()), "{path}");
        }
    }
}
