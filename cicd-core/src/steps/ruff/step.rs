use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::comments::{format_pragmas, lint_pragmas};
use super::report::read_report;
use super::{depth, settings};
use crate::formats::Suppressions;
use crate::formats::file_kind::FileKind;
use crate::model::finding_codes;
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::scan::{Pragma, Report, Scan, Scanner, Selection, Sources};
use crate::step::{Context, Seal, StepError};

/// What is looked for whatever the settings of the project select and ignore: what ruff selects by itself, errors, likely bugs, and
/// calls of a shell, of `eval` and `exec`.
const MINIMUM: &str = "E4,E7,E9,F,PLE,B,S102,S307,S602,S604,S605";
/// The newest syntax that ruff knows: an older one would make errors of what is none.
const NEWEST: &str = "py314";
/// What to do when ruff passed over a file.
const MISSED: &str = "name Python .py: ruff looks at none whose name says that it is Markdown or TOML";

finding_codes! {
    /// What comments and settings keep from ruff without a trace in its report; its rules keep their own names.
    pub enum RuffCode {
        PassedOver = "RUFF-001" {
            summary: "a comment has code passed over when imports are sorted or code is formatted",
            help: "delete it, or justify it with reason, owner and expiry on the lines above it",
            example: "# fmt: off",
        },
        Softened = "RUFF-002" {
            summary: "a setting may hide what the selected rules of ruff find",
            help: "delete it, or write `# reason: …`, `# owner: …` and `# expires: YYYY-MM-DD` on the lines directly above it",
            example: "per-file-ignores = { \"**\" = [\"S\"] } in pyproject.toml",
        },
    }
}

/// Checks a folder's Python with the rules that its `pyproject.toml` selects, and with a minimum of rules that no setting can take
/// away.
///
/// The findings keep ruff's own codes. Every Python file is named on the command line, whatever its extension, so that no `exclude`
/// has an effect.
///
/// Settings of the repository that may hide what the selected rules find (`ignore`, `per-file-ignores`, whatever is not known to be
/// harmless) are `RUFF-002` unless they are justified in the same way.
///
/// Comments (`# noqa: F401`, `# ruff: disable[F401]`, `# isort: skip`) are not shown to ruff but judged here: with `# reason:`,
/// `# owner:` and `# expires:` on the lines directly above, each becomes an exception that is counted and shown; without them, or
/// without a rule, it is `IGN-016` and hides nothing.
pub type RuffLint = Scan<RuffLintScanner>;

/// Checks that a folder's Python is formatted as ruff formats it. Nothing is changed.
///
/// Ruff cannot be kept from obeying `# fmt: off` and the like, so each such comment is a finding: `RUFF-001` that its justification
/// exempts, or `IGN-016` without one.
pub type RuffFormat = Scan<RuffFormatScanner>;

/// See [`RuffLint`].
#[derive(Debug, Clone)]
pub struct RuffLintScanner {
    dir: Utf8PathBuf,
}

/// See [`RuffFormat`].
#[derive(Debug, Clone)]
pub struct RuffFormatScanner {
    dir: Utf8PathBuf,
}

impl RuffLint {
    /// The Python below this folder, relative to the workspace.
    #[must_use]
    pub fn in_dir(dir: impl Into<Utf8PathBuf>) -> Self {
        Self::of(RuffLintScanner { dir: dir.into() })
    }
}

impl RuffFormat {
    /// The Python below this folder, relative to the workspace.
    #[must_use]
    pub fn check(dir: impl Into<Utf8PathBuf>) -> Self {
        Self::of(RuffFormatScanner { dir: dir.into() })
    }
}

fn python(dir: &Utf8Path) -> Selection {
    Selection::of_kinds("Python file", [FileKind::Python]).below(dir)
}

fn ruff_tool() -> ToolRequirement {
    ToolRequirement::new("ruff", ">=0.15, <1")
}

fn ruff(command: &[&str]) -> Invocation {
    // Settings in a home folder are nobody's who reviews the repository.
    let nowhere = ("XDG_CONFIG_HOME", "/dev/null");
    Invocation::tool("ruff").args(command).arg("--no-cache").env_remove_prefix("RUFF_").env(nowhere.0, nowhere.1)
}

/// A call that looks at these files whatever the settings exclude, or take for another language.
fn named(invocation: Invocation, files: &[Utf8PathBuf]) -> Invocation {
    // What cannot be said of an extension holds anyway, unless the settings say otherwise; then ruff cannot read the file.
    let extensions: BTreeSet<_> = files.iter().filter_map(|file| file.extension()).collect();
    let extensions = extensions.into_iter().filter(|extension| !extension.contains([':', ',']));
    let languages = extensions.map(|one| format!("--extension={one}:{}", if one == "pyi" { "pyi" } else { "python" }));
    invocation.arg("--no-force-exclude").args(languages).arg("--").args(files)
}

/// The call that shows which of the files ruff looks at.
fn shown(files: &[Utf8PathBuf]) -> Invocation {
    named(ruff(&["check", "--show-files"]), files)
}

fn linted(files: &[Utf8PathBuf], minimum: bool) -> Invocation {
    let mut check = ruff(&["check", "--no-fix", "--ignore-noqa", "--output-format", "json"]);
    if minimum {
        check = check.args(["--isolated", "--select", MINIMUM, "--target-version", NEWEST]);
    }
    named(check, files)
}

fn formatted(files: &[Utf8PathBuf]) -> Invocation {
    named(ruff(&["format", "--check", "--output-format", "json"]), files)
}

fn paths(sources: &Sources) -> Vec<Utf8PathBuf> {
    sources.paths().map(Utf8Path::to_owned).collect()
}

/// The workspace's root: ruff shows absolute paths.
#[derive(Debug)]
pub struct Root(Utf8PathBuf);

impl Root {
    /// The report's proof: the files that `--show-files` has named.
    fn shown(&self, captured: &Captured) -> Result<Report, StepError> {
        let captured = captured.clone().require_success()?;
        Ok(Report::naming(captured.stdout_text()?.lines().map(|line| relative(&self.0, line))))
    }
}

pub(super) fn relative(root: &Utf8Path, path: &str) -> Utf8PathBuf {
    let path = Utf8Path::new(path);
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

impl Scanner for RuffLintScanner {
    type Input = ();
    type Layout = Root;
    const OURS: Option<Seal> = Some(Seal::new());

    fn tool(&self) -> ToolRequirement {
        ruff_tool()
    }

    fn sources(&self, (): &()) -> Selection {
        python(&self.dir)
    }

    fn lay_out(&self, cx: &Context, _: &Sources) -> Result<Root, StepError> {
        Ok(Root(cx.root().to_owned()))
    }

    fn commands(&self, sources: &Sources, _: &Root) -> Vec<Invocation> {
        let files = paths(sources);
        vec![shown(&files), linted(&files, false), linted(&files, true)]
    }

    fn read(&self, sources: &Sources, root: &Root, captured: &[Captured]) -> Result<Report, StepError> {
        let [shown, own, minimum] = captured else { return Err(unrun()) };
        depth::survived(sources, captured)?;
        let report = root.shown(shown)?;
        let own_hits = read_report(own, &root.0, &[0, 1])?;
        let minimum_hits = read_report(minimum, &root.0, &[0, 1])?;
        Ok(report.with(own, own_hits).with(minimum, minimum_hits).unrepeated())
    }

    fn pragmas(&self, lines: &[&str]) -> Vec<Pragma> {
        lint_pragmas(lines)
    }

    fn obeyed(&self, cx: &Context, sources: &Sources, files: &[Utf8PathBuf]) -> Result<Suppressions, StepError> {
        settings::judge(cx, sources.paths(), files)
    }

    fn missed_help(&self) -> &'static str {
        MISSED
    }

    fn explain(&self) -> Vec<Invocation> {
        let files = [self.dir.join("<every Python file>")];
        vec![shown(&files), linted(&files, false), linted(&files, true)]
    }
}

impl Scanner for RuffFormatScanner {
    type Input = ();
    type Layout = Root;
    const OURS: Option<Seal> = Some(Seal::new());

    fn tool(&self) -> ToolRequirement {
        ruff_tool()
    }

    fn sources(&self, (): &()) -> Selection {
        python(&self.dir)
    }

    fn lay_out(&self, cx: &Context, _: &Sources) -> Result<Root, StepError> {
        Ok(Root(cx.root().to_owned()))
    }

    fn commands(&self, sources: &Sources, _: &Root) -> Vec<Invocation> {
        let files = paths(sources);
        vec![shown(&files), formatted(&files)]
    }

    fn read(&self, sources: &Sources, root: &Root, captured: &[Captured]) -> Result<Report, StepError> {
        let [shown, formatted] = captured else { return Err(unrun()) };
        depth::survived(sources, captured)?;
        // 2 stands for a file that cannot be parsed, which is in the report, as well as for a wrong command line, which is not.
        let hits = read_report(formatted, &root.0, &[0, 1, 2])?;
        Ok(root.shown(shown)?.with(formatted, hits))
    }

    fn pragmas(&self, lines: &[&str]) -> Vec<Pragma> {
        format_pragmas(lines)
    }

    fn missed_help(&self) -> &'static str {
        MISSED
    }

    fn explain(&self) -> Vec<Invocation> {
        let files = [self.dir.join("<every Python file>")];
        vec![shown(&files), formatted(&files)]
    }
}

fn unrun() -> StepError {
    StepError::not_looked("ruff was not run as often as it should", "see the step's log")
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
