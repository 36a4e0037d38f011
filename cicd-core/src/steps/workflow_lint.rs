use std::ops::RangeInclusive;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::formats::file_kind::FileKind;
use crate::formats::printable::printable;
use crate::model::{Code, Finding, Severity};
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::scan::{Hit, Pragma, Reach, Report, Scan, Scanner, Selection, Setting, Sources};
use crate::step::{Context, ReadError, Seal, StepError};

/// Zizmor writes a line for each file; more than this is not a list of files.
const LOG_BYTES_MAX: usize = 1 << 20;
/// What zizmor writes on standard error when it is through with a file; the path follows.
const COMPLETED: &str = "completed ";
/// Zizmor's exit codes: nothing found, or something of at least this severity: informational, low, medium, high.
const LOOKED: [i32; 5] = [0, 11, 12, 13, 14];

/// Where zizmor looks for its configuration by itself.
const CONFIGURATION: [Setting; 2] = [Setting::file("zizmor.yml"), Setting::file("zizmor.yaml")];

/// Checks GitHub's workflows, composite actions and the configuration of Dependabot with zizmor, offline and with its pedantic rules.
///
/// What is checked is not configured: every such file of the repository is, and one that zizmor does not report as looked at is an
/// error. Its own configuration has no effect. Comments (`# zizmor: ignore[unpinned-uses]`) are judged here: with `# reason:`,
/// `# owner:` and `# expires:` on the lines directly above, each becomes an exception that is counted and shown; without them it is
/// `IGN-016` and hides nothing. A comment reaches the findings whose main place it stands in or with whose place it shares the first line.
pub type WorkflowLint = Scan<WorkflowScanner>;

/// See [`WorkflowLint`].
#[derive(Debug, Clone)]
pub struct WorkflowScanner(());

impl Default for WorkflowLint {
    fn default() -> Self {
        Self::new()
    }
}

impl WorkflowLint {
    /// Every workflow of the repository.
    #[must_use]
    pub fn new() -> Self {
        Self::of(WorkflowScanner(()))
    }
}

fn invocation(files: &[Utf8PathBuf]) -> Invocation {
    // RUST_LOG could take away the lines that say which files were looked at.
    Invocation::tool("zizmor")
        .args(["--offline", "--persona=pedantic", "--no-ignores", "--strict-collection", "--no-config"])
        .args(["--no-progress", "--color", "never", "--format", "json-v1", "--"])
        .args(files)
        .env_remove_prefix("ZIZMOR_")
        .env_remove_prefix("RUST_")
        .env_remove("GH_TOKEN")
        .env_remove("GITHUB_TOKEN")
        .stderr_bytes_max(LOG_BYTES_MAX)
}

impl Scanner for WorkflowScanner {
    type Input = ();
    type Layout = ();
    const OURS: Option<Seal> = Some(Seal::new());

    fn tool(&self) -> ToolRequirement {
        ToolRequirement::new("zizmor", ">=1.20, <2")
    }

    fn sources(&self, (): &()) -> Selection {
        Selection::of_kinds("workflow", [FileKind::Workflow, FileKind::Action, FileKind::Dependabot])
    }

    fn lay_out(&self, _: &Context, sources: &Sources) -> Result<(), StepError> {
        sources.check_names_on_github()
    }

    fn commands(&self, sources: &Sources, (): &()) -> Vec<Invocation> {
        let files: Vec<_> = sources.paths().map(Utf8Path::to_owned).collect();
        vec![invocation(&files)]
    }

    fn read(&self, _: &Sources, (): &(), captured: &[Captured]) -> Result<Report, StepError> {
        let [captured] = captured else { return Err(unreadable("zizmor was not run once")) };
        let captured = captured.clone().require_exit(&LOOKED)?;
        let reported: Vec<Reported> = serde_json::from_str(captured.stdout_text()?).map_err(unreadable)?;
        let log = String::from_utf8_lossy(captured.stderr_whole()?).into_owned();
        let completed = log.lines().filter_map(|line| line.split_once(COMPLETED)).map(|(_, path)| path.trim());
        let mut hits = Vec::new();
        for one in &reported {
            let primary = one.locations.iter().find(|place| place.is_primary());
            let place = primary.ok_or_else(|| unreadable(format!("{} has no place", printable(&one.ident))))?;
            hits.push(hit(one, place).map_err(unreadable)?);
        }
        Ok(Report::naming(completed).with(&captured, hits))
    }

    fn pragmas(&self, lines: &[&str]) -> Vec<Pragma> {
        pragmas(lines)
    }

    fn settings(&self) -> &'static [Setting] {
        &CONFIGURATION
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![invocation(&["<every workflow>".into()])]
    }
}

fn unreadable(problem: impl std::fmt::Display) -> StepError {
    ReadError::new("zizmor's report", problem).into()
}

#[derive(Deserialize)]
struct Reported {
    ident: String,
    desc: String,
    url: String,
    determinations: Determinations,
    locations: Vec<Place>,
}

#[derive(Deserialize)]
struct Determinations {
    severity: String,
}

#[derive(Deserialize)]
struct Place {
    symbolic: Symbolic,
    concrete: Concrete,
}

#[derive(Deserialize)]
struct Symbolic {
    key: Key,
    annotation: String,
    kind: String,
}

#[derive(Deserialize)]
enum Key {
    Local { verbatim_path: Utf8PathBuf },
}

#[derive(Deserialize)]
struct Concrete {
    location: Span,
}

#[derive(Deserialize)]
struct Span {
    start_point: Point,
    end_point: Point,
}

/// Rows and columns count from 0.
#[derive(Deserialize)]
struct Point {
    row: u32,
    column: u32,
}

impl Place {
    fn path(&self) -> &Utf8Path {
        let Key::Local { verbatim_path } = &self.symbolic.key;
        verbatim_path
    }

    fn is_primary(&self) -> bool {
        self.symbolic.kind == "Primary"
    }

    /// The lines, from 1, whose comments speak of this place.
    fn rows(&self) -> RangeInclusive<u32> {
        let Span { start_point, end_point } = &self.concrete.location;
        let last = if self.is_primary() { end_point.row.max(start_point.row) } else { start_point.row };
        start_point.row.saturating_add(1)..=last.saturating_add(1)
    }
}

/// What was found, reached by comments in its main place and in the first line of every other one.
fn hit(one: &Reported, place: &Place) -> Result<Hit, String> {
    let severity = match one.determinations.severity.as_str() {
        "High" => Severity::High,
        "Medium" => Severity::Medium,
        "Low" | "Informational" => Severity::Low,
        "Unknown" => Severity::Unknown,
        other => return Err(format!("it has the unknown severity {:?}", printable(other))),
    };
    let Point { row, column } = place.concrete.location.start_point;
    let (line, column) = (row.saturating_add(1), column.saturating_add(1));
    let message = format!("{}: {}", printable(&one.desc), printable(&place.symbolic.annotation));
    let finding = Finding::with_code(Code::new(printable(&one.ident)), message).severity(severity);
    let mut hit = Hit::at(finding.help(printable(&one.url)), place.path(), line, column);
    for place in &one.locations {
        hit = hit.heard_in(place.path(), place.rows());
    }
    Ok(hit)
}

/// The comments that ask zizmor to say nothing.
fn pragmas(lines: &[&str]) -> Vec<Pragma> {
    let pragma = |(index, line): (usize, &&str)| {
        let rest = line.split('#').skip(1).find_map(|comment| comment.trim_start().strip_prefix("zizmor:"))?;
        let list = rest.trim_start().strip_prefix("ignore[").and_then(|rest| rest.split_once(']'));
        let rules = list.map_or("", |(rules, _)| rules).split(',').map(str::trim).filter(|rule| !rule.is_empty());
        let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
        Some(Pragma { index, rules: rules.map(str::to_owned).collect(), reach: Reach::Lines(line..=line) })
    };
    lines.iter().enumerate().filter_map(pragma).collect()
}

#[cfg(test)]
#[path = "workflow_lint_tests.rs"]
mod tests;
