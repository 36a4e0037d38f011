use std::collections::BTreeSet;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Sast;
use super::examples::Examples;
use crate::formats::printable::printable;
use crate::model::{Code, Finding, Severity};
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::scan::{ExitMeaning, Hit, Pragma, Reach, Report, Scan, Scanned, Scanner, Selection, Setting, Sources};
use crate::step::{Context, ReadError, Seal, StepError};

/// A thousand files take about a minute; one that takes this long hangs.
const SEARCH_DEADLINE: Duration = Duration::from_secs(600);

/// What semgrep, called by hand, passes over.
const CONFIGURATION: [Setting; 1] = [Setting::file(".semgrepignore")];

/// Searches Python for what rules of the repository's own describe, with semgrep.
///
/// ```
/// use cicd_core::pipeline::Pipeline;
/// use cicd_core::steps::Sast;
///
/// let mut ci = Pipeline::new("shop");
/// let sast = ci.add("sast", Sast::bandit("shop"), ());
/// ci.add("sast-rules", Sast::semgrep("ci/semgrep"), &sast);
/// ```
///
/// It looks at the files that bandit has searched, and takes them from its output: semgrep passes over what it cannot parse, often
/// without a word, and bandit has parsed every one of them. Each rule is a file `<rule>.yaml` with an example `<rule>.py.txt`
/// beside it; every line that is marked `# finds: <rule>` has to be found in the same run, and no other, or nothing is proven.
/// The examples are Python, as their text says: leave the folder out of the steps that search or format Python.
/// Comments (`# nosemgrep: shell-command`) are judged as bandit's are: only with `# reason:`, `# owner:` and `# expires:` above.
pub type Semgrep = Scan<SemgrepScanner>;

/// See [`Semgrep`].
#[derive(Debug, Clone)]
pub struct SemgrepScanner {
    rules: Utf8PathBuf,
}

impl Sast {
    /// The rules of this folder, for the files that bandit has searched; see [`Semgrep`].
    #[must_use]
    pub fn semgrep(rules: impl Into<Utf8PathBuf>) -> Semgrep {
        Semgrep::of(SemgrepScanner { rules: rules.into() })
    }
}

fn invocation(rules: &Utf8Path, own: &Utf8Path, files: &[&Utf8Path]) -> Invocation {
    Invocation::tool("semgrep")
        .args(["scan", "--metrics", "off", "--disable-version-check", "--disable-nosem", "--json", "--quiet"])
        // Semgrep passes over longer files without a word.
        .args(["--max-target-bytes", "0", "--scan-unknown-extensions", "--config", rules.as_str(), "--"])
        .args(files)
        .env_remove_prefix("SEMGREP_")
        .env_remove_prefix("PYTHON")
        // It would write both into the home folder.
        .env("SEMGREP_SETTINGS_FILE", own.join("settings.yml").as_str())
        .env("SEMGREP_LOG_FILE", own.join("semgrep.log").as_str())
        .deadline(SEARCH_DEADLINE)
}

impl Scanner for SemgrepScanner {
    type Input = Scanned;
    type Layout = Examples;
    const OURS: Option<Seal> = Some(Seal::new());

    fn tool(&self) -> ToolRequirement {
        semgrep_tool()
    }

    fn sources(&self, searched: &Scanned) -> Selection {
        Selection::exactly("file", searched.paths())
    }

    fn lay_out(&self, cx: &Context, _: &Sources) -> Result<Examples, StepError> {
        Examples::copy(cx, &self.rules)
    }

    fn commands(&self, sources: &Sources, examples: &Examples) -> Vec<Invocation> {
        let files: Vec<_> = sources.paths().chain(examples.files.iter().map(Utf8PathBuf::as_path)).collect();
        vec![invocation(&self.rules, examples.folder(), &files)]
    }

    fn read(&self, _: &Sources, examples: &Examples, captured: &[Captured]) -> Result<Report, StepError> {
        let [captured] = captured else { return Err(unreadable("semgrep was not run once")) };
        // It ends with 0 when it found something too, and for some errors.
        let captured = captured.clone().require_exit(&[0, 2, 7])?;
        let report: SemgrepReport = serde_json::from_str(captured.stdout_text()?).map_err(unreadable)?;
        if let Some(problem) = report.errors.first() {
            let path = problem.path.as_ref().map_or_else(String::new, |path| format!("{path}: "));
            let what = format!("{path}semgrep could not look: {}", printable(&problem.message));
            return Err(StepError::not_looked(what, "correct the file or the rule; see the step's log"));
        }
        let captured = captured.require_exit(&[0])?;
        if !report.skipped_rules.is_empty() {
            return Err(unreadable(format!("it has left out {} rules", report.skipped_rules.len())));
        }
        let is_example = |path: &Utf8PathBuf| examples.files.contains(path);
        if let Some(missed) = examples.files.iter().find(|path| !report.paths.scanned.contains(*path)) {
            let what = format!("semgrep did not look at the example {missed}");
            return Err(StepError::not_looked(what, "see the step's log"));
        }
        let (proof, results): (Vec<_>, Vec<_>) = report.results.iter().partition(|one| is_example(&one.path));
        proven(&proof, examples)?;
        let hits = results.into_iter().map(hit).collect::<Result<Vec<_>, _>>()?;
        let scanned = report.paths.scanned.iter().filter(|path| !is_example(path)).cloned();
        let rules = examples.rules.len() as u64;
        Ok(Report::naming(scanned).with(&captured, hits).count("rule", rules).proof("each proven"))
    }

    fn exit_meaning(&self) -> ExitMeaning {
        ExitMeaning::Unrelated
    }

    fn pragmas(&self, lines: &[&str]) -> Vec<Pragma> {
        pragmas(lines)
    }

    fn settings(&self) -> &'static [Setting] {
        &CONFIGURATION
    }

    fn explain(&self) -> Vec<Invocation> {
        let files = ["<every file that bandit searched>", "<every rule's example>"].map(Utf8Path::new);
        vec![invocation(&self.rules, Utf8Path::new("<step>"), &files)]
    }
}

fn semgrep_tool() -> ToolRequirement {
    ToolRequirement::new("semgrep", ">=1.100, <2")
}

#[derive(Deserialize)]
struct SemgrepReport {
    errors: Vec<Problem>,
    paths: Paths,
    results: Vec<Match>,
    skipped_rules: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Problem {
    message: String,
    path: Option<Utf8PathBuf>,
}

#[derive(Deserialize)]
struct Paths {
    scanned: BTreeSet<Utf8PathBuf>,
}

#[derive(Deserialize)]
struct Match {
    check_id: String,
    path: Utf8PathBuf,
    start: Position,
    end: Position,
    extra: Extra,
}

#[derive(Deserialize)]
struct Position {
    line: u32,
    col: u32,
}

#[derive(Deserialize)]
struct Extra {
    message: String,
    severity: String,
}

impl Match {
    /// Semgrep writes the folder in front of the rule: `ci.semgrep.flask-debug`.
    fn rule(&self) -> &str {
        self.check_id.rsplit('.').next().unwrap_or(&self.check_id)
    }
}

fn unreadable(problem: impl std::fmt::Display) -> StepError {
    ReadError::new("semgrep's report", problem).into()
}

/// Every rule has found what it must find in its example, and nothing else there.
fn proven(results: &[&Match], examples: &Examples) -> Result<(), StepError> {
    let found: BTreeSet<_> =
        results.iter().map(|one| (one.path.clone(), one.start.line, one.rule().to_owned())).collect();
    let told = |(path, line, rule): &(Utf8PathBuf, u32, String)| {
        format!("{rule} in line {line} of the example {}", path.file_stem().unwrap_or(path.as_str()))
    };
    if let Some(missed) = examples.expected.difference(&found).next() {
        return Err(StepError::not_looked(format!("semgrep did not find {}", told(missed)), "correct the rule"));
    }
    match found.difference(&examples.expected).next() {
        Some(extra) => Err(StepError::not_looked(
            format!("semgrep found {}, which is not marked", told(extra)),
            "correct the rule, or mark the line",
        )),
        None => Ok(()),
    }
}

fn hit(one: &Match) -> Result<Hit, StepError> {
    let severity = match one.extra.severity.as_str() {
        "CRITICAL" => Severity::Critical,
        "ERROR" | "HIGH" => Severity::High,
        "WARNING" | "MEDIUM" => Severity::Medium,
        "INFO" | "LOW" => Severity::Low,
        other => return Err(unreadable(format!("it has the unknown severity {:?}", printable(other)))),
    };
    let (message, help) = match one.extra.message.split_once("; ") {
        Some((message, help)) => (message, Some(help)),
        None => (one.extra.message.as_str(), None),
    };
    let finding = Finding::with_code(Code::new(printable(one.rule())), printable(message)).severity(severity);
    let finding = match help {
        Some(help) => finding.help(printable(help)),
        None => finding,
    };
    let Match { path, start, end, .. } = one;
    Ok(Hit::at(finding, path, start.line, start.col).heard_in(path, start.line..=end.line.max(start.line)))
}

/// The comments that ask semgrep to say nothing. One is for the match that it stands in, or directly above when it has a line of its
/// own.
fn pragmas(lines: &[&str]) -> Vec<Pragma> {
    let pragma = |(index, line): (usize, &&str)| {
        let rest = line.split('#').skip(1).find_map(|comment| {
            let comment = comment.trim_start();
            comment.strip_prefix("nosemgrep").or_else(|| comment.strip_prefix("nosem"))
        })?;
        if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let rules = rest.trim_start().strip_prefix(':').unwrap_or("");
        let words = rules.split([',', ' ', '\t']).filter(|word| !word.is_empty());
        let name = |word: &str| word.rsplit('.').next().unwrap_or(word).to_owned();
        let rules = words.take_while(|word| *word != "-").map(name).collect();
        let first = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let last = if line.trim_start().starts_with('#') { first.saturating_add(1) } else { first };
        Some(Pragma { index, rules, reach: Reach::Lines(first..=last) })
    };
    lines.iter().enumerate().filter_map(pragma).collect()
}

#[cfg(test)]
#[path = "semgrep_tests.rs"]
mod tests;
