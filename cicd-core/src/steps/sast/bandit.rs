use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::formats::Suppressions;
use crate::formats::printable::{counted, printable};
use crate::model::{Code, Finding, Judged, Location, Severity, Subject};
use crate::policy::{Exception, Suppression};
use crate::process::{Captured, Exit, Invocation, ToolRequirement};
use crate::step::{Chosen, Context, Outcome, ReadError, Step, StepError, git_tool, leave_out};

/// The key under which bandit adds up the counts of all files.
const TOTALS: &str = "_totals";

/// Searches a folder's Python for insecure code with bandit.
///
/// ```
/// use cicd_core::steps::Sast;
///
/// let sast = Sast::bandit("flask-app").leaving_out("flask-app/tests");
/// ```
///
/// Every Python file of the folder is named on the command line, so that neither `.bandit` nor `pyproject.toml` decides what is
/// looked at; one that bandit does not count, or cannot parse, is an error. Comments (`# nosec B301`) are judged here: with
/// `# reason:`, `# owner:` and `# expires:` on the lines directly above, each becomes an exception that is counted and shown; without
/// them, or without a rule, it is `IGN-016` and hides nothing.
#[derive(Debug, Clone)]
pub struct Sast {
    dir: Utf8PathBuf,
    left_out: Vec<Utf8PathBuf>,
}

impl Sast {
    /// The Python below this folder, relative to the workspace.
    #[must_use]
    pub fn bandit(dir: impl Into<Utf8PathBuf>) -> Self {
        Self { dir: dir.into(), left_out: Vec::new() }
    }

    /// Does not look below this folder: tests assert, and keep passwords that are none. What is left out is shown in the report.
    #[must_use]
    pub fn leaving_out(mut self, dir: impl Into<Utf8PathBuf>) -> Self {
        self.left_out.push(dir.into());
        self
    }

    fn files(&self, cx: &Context) -> Result<Chosen, StepError> {
        leave_out(cx.source_files(&self.dir, "py")?, &self.left_out, &format!("no Python file of {}", self.dir))
    }
}

/// What was searched for insecure code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeSearched {
    /// The files, relative to the workspace.
    pub files: Vec<Utf8PathBuf>,
    /// The commit whose files they are.
    pub commit: String,
}

impl crate::step::Proof for CodeSearched {}

impl Judged for CodeSearched {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

fn bandit_tool() -> ToolRequirement {
    ToolRequirement::new("bandit", ">=1.8, <2")
}

fn invocation(files: &[Utf8PathBuf]) -> Invocation {
    Invocation::tool("bandit")
        .args(["--format", "json", "--ignore-nosec", "--quiet", "--"])
        .args(files)
        .env_remove_prefix("PYTHON")
        .env_remove_prefix("BANDIT_")
}

impl Step for Sast {
    type Input = ();
    type Output = CodeSearched;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<CodeSearched>, StepError> {
        cx.require(&bandit_tool())?;
        let Chosen { files, left_out } = self.files(cx)?;
        let read = |path: Utf8PathBuf| {
            // Bandit has parsed the file by then, or the step is an error; in another encoding comments are still ASCII.
            let bytes = cx.read_file(&path)?;
            Ok((path, String::from_utf8_lossy(&bytes).into_owned()))
        };
        let sources = files.iter().cloned().map(read).collect::<Result<Vec<_>, StepError>>()?;
        let captured = cx.run(&invocation(&files))?;
        let Judgement { findings, exceptions, lines } = judge(&captured, &sources)?;
        let (count, pragmas) = (files.len(), exceptions.len());
        let headline = match findings.len() {
            0 => format!("{}, {}", counted(count, "file"), counted(lines, "line")),
            found => format!("{}, {}", counted(count, "file"), counted(found, "finding")),
        };
        let left_out_dirs: Vec<_> = self.left_out.iter().map(|dir| dir.as_str()).collect();
        let commit = cx.revision()?.commit.clone();
        Ok(Outcome::of(CodeSearched { files, commit })
            .findings(findings)
            .exceptions(exceptions)
            .fact("files", count)
            .fact("lines", lines)
            .fact("pragmas", pragmas)
            .fact("left_out", left_out_dirs.join(", "))
            .fact("left_out_files", left_out)
            .headline(headline))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![bandit_tool(), git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![invocation(&[self.dir.join("<every Python file>")])]
    }
}

#[derive(Deserialize)]
struct Report {
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

#[derive(Debug)]
struct Judgement {
    findings: Vec<Finding>,
    exceptions: Vec<Exception>,
    lines: u64,
}

fn judge(captured: &Captured, sources: &[(Utf8PathBuf, String)]) -> Result<Judgement, StepError> {
    let captured = captured.clone().require_exit(&[0, 1])?;
    let Report { errors, metrics, results } = read(captured.stdout_text()?)?;
    if let Some(unread) = errors.first() {
        let path = Utf8Path::new(&unread.filename);
        let error = ReadError::new("the Python file", printable(&unread.reason)).at(Location::file(plain(path)));
        return Err(error.help("bandit looks at nothing in a file that it cannot parse").into());
    }
    let lines = every_file_searched(&metrics, sources)?;
    if (captured.exit == Exit::Code(0)) != results.is_empty() {
        let problem = format!("it has {} findings, but bandit ended with {}", results.len(), captured.exit);
        return Err(unreadable(problem));
    }
    let mut findings = results.iter().map(|issue| finding(issue, sources)).collect::<Result<Vec<_>, _>>()?;
    let mut comments = Suppressions::default();
    for (path, text) in sources {
        let lines: Vec<_> = text.lines().collect();
        for (index, rules) in pragmas(&lines) {
            let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let heard = |issue: &Issue| plain(&issue.filename) == path && issue.line_range.contains(&line);
            let reached = results.iter().zip(&findings).filter(|(issue, _)| heard(issue));
            let targets: Vec<_> = reached.filter_map(|(_, finding)| finding.target.clone()).collect();
            comments.judge(Suppression { path, lines: &lines, index }, &rules, &targets);
        }
    }
    let exceptions = comments.settle(&mut findings);
    Ok(Judgement { findings, exceptions, lines })
}

fn unreadable(problem: impl std::fmt::Display) -> StepError {
    ReadError::new("bandit's report", problem).into()
}

/// Reads the report. Of a file that could not be parsed bandit knows no counts; its reason is worth more than their lack.
fn read(text: &str) -> Result<Report, StepError> {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Unread>,
    }
    let Errors { errors } = serde_json::from_str(text).map_err(unreadable)?;
    if !errors.is_empty() {
        return Ok(Report { errors, metrics: BTreeMap::new(), results: Vec::new() });
    }
    serde_json::from_str(text).map_err(unreadable)
}

/// Bandit writes `./` before relative paths.
fn plain(path: &Utf8Path) -> &Utf8Path {
    path.strip_prefix(".").unwrap_or(path)
}

/// How many lines of code were searched, if those are the files that should be.
fn every_file_searched(
    metrics: &BTreeMap<Utf8PathBuf, Metrics>,
    sources: &[(Utf8PathBuf, String)],
) -> Result<u64, StepError> {
    let seen: BTreeSet<_> = metrics.keys().map(|path| plain(path)).filter(|path| *path != TOTALS).collect();
    let expected: BTreeSet<_> = sources.iter().map(|(path, _)| path.as_path()).collect();
    if let Some(missed) = expected.difference(&seen).next() {
        let count = expected.difference(&seen).count();
        return Err(StepError::not_looked(
            format!("bandit did not look at {count} of {} Python files, among them {missed}", expected.len()),
            "see the step's log",
        ));
    }
    if let Some(foreign) = seen.difference(&expected).next() {
        return Err(unreadable(format!("it names {foreign}, which bandit was not given")));
    }
    let hidden: u64 = metrics.values().map(|counts| counts.nosec.saturating_add(counts.skipped_tests)).sum();
    if hidden > 0 {
        return Err(unreadable("comments have hidden findings, although bandit was told to ignore them"));
    }
    match metrics.get(Utf8Path::new(TOTALS)) {
        Some(totals) => Ok(totals.loc),
        None => Err(unreadable("it has no totals")),
    }
}

fn finding(issue: &Issue, sources: &[(Utf8PathBuf, String)]) -> Result<Finding, StepError> {
    let path = plain(&issue.filename);
    if !sources.iter().any(|(source, _)| source == path) {
        return Err(unreadable(format!("it names {path}, which bandit was not given")));
    }
    let severity = match issue.issue_severity.as_str() {
        "HIGH" => Severity::High,
        "MEDIUM" => Severity::Medium,
        "LOW" => Severity::Low,
        "UNDEFINED" => Severity::Unknown,
        other => return Err(unreadable(format!("it has the unknown severity {:?}", printable(other)))),
    };
    let column = u32::try_from(issue.col_offset.saturating_add(1)).unwrap_or(1);
    Ok(Finding::with_code(Code::new(printable(&issue.test_id)), printable(&issue.issue_text))
        .severity(severity)
        .target(Location::line(path, issue.line_number))
        .at(Location::column(path, issue.line_number, column))
        .help(printable(&issue.more_info)))
}

/// The comments that ask bandit to say nothing: their lines from 0, and the rules they name, such as `B301`.
fn pragmas(lines: &[&str]) -> Vec<(usize, Vec<String>)> {
    let is_rule = |word: &&str| {
        word.strip_prefix('B').is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
    };
    let pragma = |(index, line): (usize, &&str)| {
        let rest = line.split('#').skip(1).find_map(|comment| comment.trim_start().strip_prefix("nosec"))?;
        if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let words = rest.trim_start_matches(':').split([',', ' ', '\t']).filter(|word| !word.is_empty());
        Some((index, words.take_while(is_rule).map(str::to_owned).collect()))
    };
    lines.iter().enumerate().filter_map(pragma).collect()
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, date};

    use super::*;
    use crate::model::Status;
    use crate::policy::{Policy, evaluate};

    const TODAY: Date = date(2026, 11, 21);
    const BAD: &str = include_str!("../../../tests/data/bandit/bad.py.txt");
    const FINDINGS: &str = include_str!("../../../tests/data/bandit/findings.json");
    const CLEAN: &str = include_str!("../../../tests/data/bandit/clean.json");
    const BROKEN: &str = include_str!("../../../tests/data/bandit/broken.json");
    const MISSING: &str = include_str!("../../../tests/data/bandit/missing.json");

    fn look(code: i32, json: &str, sources: &[(&str, &str)]) -> Result<Judgement, StepError> {
        let sources: Vec<_> = sources.iter().map(|(path, text)| ((*path).into(), (*text).to_owned())).collect();
        judge(&Captured::recorded(Exit::Code(code), json, ""), &sources)
    }

    const EMPTY: [(&str, &str); 2] = [("shop/__init__.py", ""), ("shop/empty.py", "")];

    fn with_bad(bad: &str) -> [(&str, &str); 3] {
        [EMPTY[0], ("shop/bad.py", bad), EMPTY[1]]
    }

    fn open(bad: &str) -> Vec<String> {
        let Judgement { findings, exceptions, .. } = look(1, FINDINGS, &with_bad(bad)).expect("looked");
        let verdict = evaluate(findings, &exceptions, &Policy::default(), TODAY);
        assert_eq!(verdict.status, Status::Failed);
        let open = verdict.findings.iter().filter(|one| one.exception.is_none());
        open.map(|one| format!("{} {}", one.code, one.location.as_ref().and_then(|at| at.line).unwrap_or(0))).collect()
    }

    #[test]
    fn a_justified_comment_exempts_its_line_and_a_bare_one_nothing() {
        assert_eq!(open(BAD), ["B403 2", "B404 3", "B602 14", "B105 17", "IGN-016 14"], "B301 on line 10 is exempted");
        for (from, to, defect) in [
            ("2027-03-01", "2020-03-01", "EXC-001 10"),
            ("nosec B301", "nosec B302", "EXC-002 10"),
            ("nosec B301", "nosec: pickle", "IGN-016 10"),
            ("nosec B301", "nosec", "IGN-016 10"),
            ("    # reason: ", "    # why: ", "IGN-016 10"),
        ] {
            let seen = open(&BAD.replacen(from, to, 1));
            assert!(seen.contains(&"B301 10".to_owned()) && seen.contains(&defect.to_owned()), "{to}: {seen:?}");
        }
        assert!(open(&BAD.replace("2027-03-01", "2029-03-01")).contains(&"EXC-004 10".to_owned()));
        assert_eq!(open(&BAD.replace("nosec B301", "nosec: B301, B302 - why")).last().expect("one"), "EXC-002 10");
    }

    #[test]
    fn what_was_not_looked_at_is_an_error() {
        let looked = look(0, CLEAN, &EMPTY).expect("looked");
        assert!(looked.findings.is_empty() && looked.lines == 1);
        let error = |code, json: &str, sources: &[(&str, &str)]| look(code, json, sources).expect_err(json).to_string();
        let broken = error(0, BROKEN, &[EMPTY[0], ("broken.py", "")]);
        assert!(broken.starts_with("broken.py: the Python file cannot be read: syntax error"), "{broken}");
        assert!(error(0, MISSING, &EMPTY).contains("No such file"));
        assert!(error(0, CLEAN, &with_bad("")).contains("did not look at 1 of 3 Python files, among them shop/bad.py"));
        assert!(error(1, FINDINGS, &EMPTY).contains("it names shop/bad.py, which bandit was not given"));
    }

    #[test]
    fn what_proves_nothing_is_an_error() {
        let hidden = CLEAN.replace("\"nosec\": 0", "\"nosec\": 1");
        let severity = FINDINGS.replace("\"MEDIUM\"", "\"AWFUL\"");
        let uncounted = CLEAN.replace("\"SEVERITY.UNDEFINED\"", "\"SEVERITY.OTHER\"");
        let untold = CLEAN.replace("_totals", "totals");
        for (code, json, bad) in [
            (0, FINDINGS, true),
            (1, CLEAN, false),
            (2, CLEAN, false),
            (0, "", false),
            (0, "{}", false),
            (0, "null", false),
            (0, "{\"errors\": [], \"metrics\": {}, \"results\": []}", false),
            (1, &FINDINGS[..FINDINGS.len() / 2], true),
            (0, &hidden, false),
            (1, &severity, true),
            (0, &uncounted, false),
            (0, &untold, false),
        ] {
            let sources = with_bad(BAD);
            let result = if bad { look(code, json, &sources) } else { look(code, json, &EMPTY) };
            assert!(result.is_err(), "{code} {:?}", &json[..json.len().min(40)]);
        }
    }
}
