use std::collections::BTreeSet;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::examples::Examples;
use super::{CodeSearched, Sast};
use crate::formats::printable::{counted, printable};
use crate::model::{Code, Finding, Judged, Location, Severity, Subject};
use crate::policy::{Exception, Suppression};
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::step::{Context, Outcome, ReadError, Step, StepError};

/// A thousand files take about a minute; one that takes this long hangs.
const SEARCH_DEADLINE: Duration = Duration::from_secs(600);

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
/// Comments (`# nosemgrep: shell-command`) are judged as bandit's are: only with `# reason:`, `# owner:` and `# expires:` above.
#[derive(Debug, Clone)]
pub struct Semgrep {
    rules: Utf8PathBuf,
}

impl Sast {
    /// The rules of this folder, for the files that bandit has searched; see [`Semgrep`].
    #[must_use]
    pub fn semgrep(rules: impl Into<Utf8PathBuf>) -> Semgrep {
        Semgrep { rules: rules.into() }
    }
}

impl Semgrep {}

/// What was searched by rules of the repository's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesSearched {
    /// How many files.
    pub files: usize,
    /// The rules.
    pub rules: Vec<String>,
    /// The commit whose files they are.
    pub commit: String,
}

impl crate::step::Proof for RulesSearched {}

impl Judged for RulesSearched {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

fn semgrep_tool() -> ToolRequirement {
    ToolRequirement::new("semgrep", ">=1.100, <2")
}

fn invocation(rules: &Utf8Path, own: &Utf8Path, files: &[Utf8PathBuf]) -> Invocation {
    Invocation::tool("semgrep")
        .args(["scan", "--metrics", "off", "--disable-version-check", "--disable-nosem", "--json", "--quiet"])
        // Semgrep passes over longer files without a word.
        .args(["--max-target-bytes", "0", "--config", rules.as_str(), "--"])
        .args(files)
        .env_remove_prefix("SEMGREP_")
        .env_remove_prefix("PYTHON")
        // It would write both into the home folder.
        .env("SEMGREP_SETTINGS_FILE", own.join("settings.yml").as_str())
        .env("SEMGREP_LOG_FILE", own.join("semgrep.log").as_str())
        .deadline(SEARCH_DEADLINE)
}

impl Step for Semgrep {
    type Input = CodeSearched;
    type Output = RulesSearched;

    fn run(&self, cx: &Context, searched: CodeSearched) -> Result<Outcome<RulesSearched>, StepError> {
        cx.require(&semgrep_tool())?;
        let examples = Examples::copy(cx, &self.rules)?;
        let read = |path: &Utf8PathBuf| {
            // Bandit has parsed the file; in another encoding comments are still ASCII.
            let bytes = cx.read_file(path)?;
            Ok((path.clone(), String::from_utf8_lossy(&bytes).into_owned()))
        };
        let sources = searched.files.iter().map(read).collect::<Result<Vec<_>, StepError>>()?;
        let all: Vec<_> = searched.files.iter().chain(&examples.files).cloned().collect();
        let captured = cx.run(&invocation(&self.rules, cx.dir(), &all))?;
        let Judgement { findings, exceptions } = judge(&captured, &sources, &examples)?;
        let (files, rules, pragmas) = (sources.len(), examples.rules.len(), exceptions.len());
        let headline = match findings.len() {
            0 => format!("{}, {}, each proven", counted(files, "file"), counted(rules, "rule")),
            found => format!("{}, {}", counted(files, "file"), counted(found, "finding")),
        };
        let value =
            RulesSearched { files, rules: examples.rules.into_iter().collect(), commit: cx.revision()?.commit.clone() };
        Ok(Outcome::of(value)
            .findings(findings)
            .exceptions(exceptions)
            .fact("files", files)
            .fact("rules", rules)
            .fact("pragmas", pragmas)
            .headline(headline))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![semgrep_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        let files = ["<every file that bandit searched>".into(), "<every rule's example>".into()];
        vec![invocation(&self.rules, Utf8Path::new("<step>"), &files)]
    }
}

#[derive(Deserialize)]
struct Report {
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

#[derive(Debug)]
struct Judgement {
    findings: Vec<Finding>,
    exceptions: Vec<Exception>,
}

fn judge(captured: &Captured, sources: &[(Utf8PathBuf, String)], examples: &Examples) -> Result<Judgement, StepError> {
    // It ends with 0 when it found something too, and for some errors.
    let captured = captured.clone().require_exit(&[0, 2, 7])?;
    let report: Report = serde_json::from_str(captured.stdout_text()?).map_err(unreadable)?;
    if let Some(problem) = report.errors.first() {
        let path = problem.path.as_ref().map_or_else(String::new, |path| format!("{path}: "));
        let what = format!("{path}semgrep could not look: {}", printable(&problem.message));
        return Err(StepError::not_looked(what, "correct the file or the rule; see the step's log"));
    }
    captured.require_exit(&[0])?;
    if !report.skipped_rules.is_empty() {
        return Err(unreadable(format!("it has left out {} rules", report.skipped_rules.len())));
    }
    looked_at_all(&report, sources, examples)?;
    let (proof, results): (Vec<_>, Vec<_>) = report.results.iter().partition(|one| examples.files.contains(&one.path));
    proven(&proof, examples)?;
    let mut findings = results.iter().map(|one| finding(one, sources)).collect::<Result<Vec<_>, _>>()?;
    let (mut exceptions, mut unjustified) = (Vec::new(), Vec::new());
    for (path, text) in sources {
        let lines: Vec<_> = text.lines().collect();
        for (index, rules) in pragmas(&lines) {
            let heard = |one: &Match| one.path == *path && hears(one, &lines, index);
            let reached = results.iter().zip(&findings).filter(|(one, _)| heard(one));
            let targets: Vec<_> = reached.filter_map(|(_, finding)| finding.target.clone()).collect();
            match (Suppression { path, lines: &lines, index }).exceptions(&rules, &targets) {
                Ok(some) => exceptions.extend(some),
                Err(finding) => unjustified.push(finding),
            }
        }
    }
    findings.extend(unjustified);
    Ok(Judgement { findings, exceptions })
}

fn unreadable(problem: impl std::fmt::Display) -> StepError {
    ReadError::new("semgrep's report", problem).into()
}

fn looked_at_all(report: &Report, sources: &[(Utf8PathBuf, String)], examples: &Examples) -> Result<(), StepError> {
    let expected: BTreeSet<_> = sources.iter().map(|(path, _)| path).chain(&examples.files).collect();
    let scanned: BTreeSet<_> = report.paths.scanned.iter().collect();
    let missed: Vec<_> = expected.difference(&scanned).collect();
    match missed.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(StepError::not_looked(
            format!("semgrep did not look at {} of {} files, among them {first}", missed.len(), expected.len()),
            "see the step's log",
        )),
    }
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

fn finding(one: &Match, sources: &[(Utf8PathBuf, String)]) -> Result<Finding, StepError> {
    if !sources.iter().any(|(source, _)| *source == one.path) {
        return Err(unreadable(format!("it names {}, which semgrep was not given", one.path)));
    }
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
    let finding = Finding::with_code(Code::new(printable(one.rule())), printable(message))
        .severity(severity)
        .target(Location::line(&one.path, one.start.line))
        .at(Location::column(&one.path, one.start.line, one.start.col));
    Ok(match help {
        Some(help) => finding.help(printable(help)),
        None => finding,
    })
}

/// A comment is for the match that it stands in, or directly above when it has a line of its own.
fn hears(one: &Match, lines: &[&str], index: usize) -> bool {
    let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
    let alone = lines.get(index).is_some_and(|text| text.trim_start().starts_with('#'));
    (one.start.line..=one.end.line).contains(&line) || (alone && one.start.line == line.saturating_add(1))
}

/// The comments that ask semgrep to say nothing: their lines from 0, and the rules they name.
fn pragmas(lines: &[&str]) -> Vec<(usize, Vec<String>)> {
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
        Some((index, words.take_while(|word| *word != "-").map(name).collect()))
    };
    lines.iter().enumerate().filter_map(pragma).collect()
}

#[cfg(test)]
#[path = "semgrep_tests.rs"]
mod tests;
