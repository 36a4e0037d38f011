use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::formats::file_kind::FileKind;
use crate::formats::printable::printable;
use crate::model::{Code, Finding, Location, Severity};
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::scan::{Hit, Pragma, Reach, Report, Scan, Scanner, Selection, Setting, Sources};
use crate::step::{Context, ReadError, Seal, StepError};

/// The key under which bandit adds up the counts of all files.
const TOTALS: &str = "_totals";
/// Where bandit, called by hand, finds what to leave out.
const CONFIGURATION: [Setting; 2] = [Setting::file(".bandit"), Setting::table("pyproject.toml", "tool.bandit")];

/// Searches a folder's Python for insecure code with bandit.
///
/// ```
/// use cicd_core::policy::Justification;
/// use cicd_core::steps::Sast;
///
/// let tests = Justification::new("tests assert, and keep passwords that are none", "@org/security", "2027-03-01")?;
/// let sast = Sast::bandit("flask-app").leaving_out("flask-app/tests", tests);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Every Python file is named on the command line, whatever its extension, so that neither `.bandit` nor `pyproject.toml` decides what
/// is looked at; one that bandit does not count, or cannot parse, is an error. Comments (`# nosec B301`) are judged here: with
/// `# reason:`, `# owner:` and `# expires:` on the lines directly above, each becomes an exception that is counted and shown; without
/// them, or without a rule, it is `IGN-016` and hides nothing.
pub type Sast = Scan<BanditScanner>;

/// See [`Sast`].
#[derive(Debug, Clone)]
pub struct BanditScanner {
    dir: Utf8PathBuf,
}

impl Sast {
    /// The Python below this folder, relative to the workspace.
    #[must_use]
    pub fn bandit(dir: impl Into<Utf8PathBuf>) -> Self {
        Self::of(BanditScanner { dir: dir.into() })
    }
}

fn invocation(files: &[Utf8PathBuf]) -> Invocation {
    Invocation::tool("bandit")
        .args(["--format", "json", "--ignore-nosec", "--quiet", "--"])
        .args(files)
        .env_remove_prefix("PYTHON")
        .env_remove_prefix("BANDIT_")
}

impl Scanner for BanditScanner {
    type Input = ();
    type Layout = ();
    const OURS: Option<Seal> = Some(Seal::new());

    fn tool(&self) -> ToolRequirement {
        ToolRequirement::new("bandit", ">=1.8, <2")
    }

    fn sources(&self, (): &()) -> Selection {
        Selection::of_kinds("Python file", [FileKind::Python]).below(&self.dir)
    }

    fn lay_out(&self, _: &Context, _: &Sources) -> Result<(), StepError> {
        Ok(())
    }

    fn commands(&self, sources: &Sources, (): &()) -> Vec<Invocation> {
        let files: Vec<_> = sources.paths().map(Utf8Path::to_owned).collect();
        vec![invocation(&files)]
    }

    fn read(&self, _: &Sources, (): &(), captured: &[Captured]) -> Result<Report, StepError> {
        let [captured] = captured else { return Err(unreadable("bandit was not run once")) };
        let captured = captured.clone().require_exit(&[0, 1])?;
        let BanditReport { errors, metrics, results } = read(captured.stdout_text()?)?;
        if let Some(unread) = errors.first() {
            let path = Utf8Path::new(&unread.filename);
            let error = ReadError::new("the Python file", printable(&unread.reason)).at(Location::file(plain(path)));
            return Err(error.help("bandit looks at nothing in a file that it cannot parse").into());
        }
        let hidden: u64 = metrics.values().map(|counts| counts.nosec.saturating_add(counts.skipped_tests)).sum();
        if hidden > 0 {
            return Err(unreadable("comments have hidden findings, although bandit was told to ignore them"));
        }
        let totals = metrics.get(Utf8Path::new(TOTALS)).ok_or_else(|| unreadable("it has no totals"))?;
        let hits = results.iter().map(hit).collect::<Result<Vec<_>, _>>()?;
        let searched = metrics.keys().map(|path| plain(path)).filter(|path| *path != TOTALS);
        Ok(Report::naming(searched).with(&captured, hits).count("line", totals.loc))
    }

    fn pragmas(&self, lines: &[&str]) -> Vec<Pragma> {
        pragmas(lines)
    }

    fn settings(&self) -> &'static [Setting] {
        &CONFIGURATION
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![invocation(&[self.dir.join("<every Python file>")])]
    }
}

#[derive(Deserialize)]
struct BanditReport {
    errors: Vec<Unread>,
    metrics: BTreeMap<Utf8PathBuf, Metrics>,
    results: Vec<Issue>,
}

#[derive(Deserialize)]
struct Unread {
    filename: String,
    reason: String,
}

#[derive(Deserialize)]
struct Metrics {
    loc: u64,
    /// Bandit counts issues only for files that it has searched to the end.
    #[serde(rename = "SEVERITY.UNDEFINED")]
    _searched: IgnoredAny,
    /// Findings that comments have hidden.
    nosec: u64,
    skipped_tests: u64,
}

#[derive(Deserialize)]
struct Issue {
    test_id: String,
    filename: Utf8PathBuf,
    issue_severity: String,
    issue_text: String,
    line_number: u32,
    line_range: Vec<u32>,
    col_offset: i64,
    more_info: String,
}

fn unreadable(problem: impl std::fmt::Display) -> StepError {
    ReadError::new("bandit's report", problem).into()
}

/// Reads the report. Of a file that could not be parsed bandit knows no counts; its reason is worth more than their lack.
fn read(text: &str) -> Result<BanditReport, StepError> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Unread>,
    }
    let Errors { errors } = serde_json::from_str(text).map_err(unreadable)?;
    if !errors.is_empty() {
        return Ok(BanditReport { errors, metrics: BTreeMap::new(), results: Vec::new() });
    }
    serde_json::from_str(text).map_err(unreadable)
}

/// Bandit writes `./` before relative paths.
fn plain(path: &Utf8Path) -> &Utf8Path {
    path.strip_prefix(".").unwrap_or(path)
}

fn hit(issue: &Issue) -> Result<Hit, StepError> {
    let path = plain(&issue.filename);
    let severity = match issue.issue_severity.as_str() {
        "HIGH" => Severity::High,
        "MEDIUM" => Severity::Medium,
        "LOW" => Severity::Low,
        "UNDEFINED" => Severity::Unknown,
        other => return Err(unreadable(format!("it has the unknown severity {:?}", printable(other)))),
    };
    let column = u32::try_from(issue.col_offset.saturating_add(1)).unwrap_or(1);
    let finding = Finding::with_code(Code::new(printable(&issue.test_id)), printable(&issue.issue_text));
    let mut hit =
        Hit::at(finding.severity(severity).help(printable(&issue.more_info)), path, issue.line_number, column);
    for line in &issue.line_range {
        hit = hit.heard_in(path, *line..=*line);
    }
    Ok(hit)
}

/// The comments that ask bandit to say nothing: each names rules such as `B301`.
fn pragmas(lines: &[&str]) -> Vec<Pragma> {
    let is_rule = |word: &&str| {
        word.strip_prefix('B').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let pragma = |(index, line): (usize, &&str)| {
        let rest = line.split('#').skip(1).find_map(|comment| comment.trim_start().strip_prefix("nosec"))?;
        if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let words = rest.trim_start_matches(':').split([',', ' ', '\t']).filter(|word| !word.is_empty());
        let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let rules = words.take_while(is_rule).map(str::to_owned).collect();
        Some(Pragma { index, rules, reach: Reach::Lines(line..=line) })
    };
    lines.iter().enumerate().filter_map(pragma).collect()
}

#[cfg(test)]
#[path = "bandit_tests.rs"]
mod tests;
