use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::formats::Suppressions;
use crate::formats::printable::{counted, printable};
use crate::model::{Code, Finding, Judged, Location, Severity, Subject};
use crate::policy::{Exception, Suppression};
use crate::process::{Captured, Exit, Invocation, ToolRequirement};
use crate::step::{Context, Outcome, ReadError, Step, StepError, git_tool};

/// Zizmor writes a line for each file; more than this is not a list of files.
const LOG_BYTES_MAX: usize = 1 << 20;
/// What zizmor writes on standard error when it is through with a file; the path follows.
const COMPLETED: &str = "completed ";
/// Zizmor's exit codes: nothing found, or something of at least this severity: informational, low, medium, high.
const LOOKED: [i32; 5] = [0, 11, 12, 13, 14];

/// Checks GitHub's workflows, composite actions and the configuration of Dependabot with zizmor, offline and with its pedantic rules.
///
/// What is checked is not configured: every such file of the repository is, and one that zizmor does not report as looked at is an
/// error. Its own configuration has no effect. Comments (`# zizmor: ignore[unpinned-uses]`) are judged here: with `# reason:`,
/// `# owner:` and `# expires:` on the lines directly above, each becomes an exception that is counted and shown; without them it is
/// `IGN-016` and hides nothing. A comment reaches the findings whose main place it stands in or with whose place it shares the first line.
#[derive(Debug, Clone)]
pub struct WorkflowLint;

impl Default for WorkflowLint {
    fn default() -> Self {
        Self::new()
    }
}

impl WorkflowLint {
    /// Every workflow of the repository.
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

/// What zizmor looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowsChecked {
    /// The files, relative to the workspace.
    pub files: Vec<Utf8PathBuf>,
    /// The commit whose files they are.
    pub commit: String,
}

impl crate::step::Proof for WorkflowsChecked {}

impl Judged for WorkflowsChecked {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

fn zizmor_tool() -> ToolRequirement {
    ToolRequirement::new("zizmor", ">=1.20, <2")
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

impl Step for WorkflowLint {
    type Input = ();
    type Output = WorkflowsChecked;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<WorkflowsChecked>, StepError> {
        cx.require(&zizmor_tool())?;
        let mut files = cx.source_files("".into(), "yml")?;
        files.extend(cx.source_files("".into(), "yaml")?);
        files.retain(|path| is_checked(path));
        if files.is_empty() {
            return Err(StepError::not_looked("the repository has no workflow", "leave the step out, or add one"));
        }
        let read = |path: Utf8PathBuf| {
            let text = cx.read_text(&path)?;
            Ok((path, text))
        };
        let sources = files.iter().cloned().map(read).collect::<Result<Vec<_>, StepError>>()?;
        let captured = cx.run(&invocation(&files))?;
        let Judgement { findings, exceptions } = judge(&captured, &sources)?;
        let (count, pragmas) = (files.len(), exceptions.len());
        let headline = match findings.len() {
            0 => counted(count, "file"),
            found => format!("{}, {}", counted(count, "file"), counted(found, "finding")),
        };
        let commit = cx.revision()?.commit.clone();
        Ok(Outcome::of(WorkflowsChecked { files, commit })
            .findings(findings)
            .exceptions(exceptions)
            .fact("files", count)
            .fact("pragmas", pragmas)
            .headline(headline))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![zizmor_tool(), git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![invocation(&["<every workflow>".into()])]
    }
}

/// Whether GitHub would read this file as a workflow, an action or the configuration of Dependabot.
fn is_checked(path: &Utf8Path) -> bool {
    let folder = path.parent().map_or("", Utf8Path::as_str);
    match path.file_stem() {
        _ if folder == ".github/workflows" => true,
        Some("action") => true,
        Some("dependabot") => folder == ".github",
        _ => false,
    }
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

    /// Whether a comment in this row speaks of this place.
    fn hears(&self, row: u32) -> bool {
        let Span { start_point, end_point } = &self.concrete.location;
        row == start_point.row || (self.is_primary() && (start_point.row..=end_point.row).contains(&row))
    }
}

#[derive(Debug)]
struct Judgement {
    findings: Vec<Finding>,
    exceptions: Vec<Exception>,
}

fn judge(captured: &Captured, sources: &[(Utf8PathBuf, String)]) -> Result<Judgement, StepError> {
    let captured = captured.clone().require_exit(&LOOKED)?;
    let unreadable = |problem: String| StepError::from(ReadError::new("zizmor's report", problem));
    let reported: Vec<Reported> =
        serde_json::from_str(captured.stdout_text()?).map_err(|error| unreadable(error.to_string()))?;
    if (captured.exit == Exit::Code(0)) != reported.is_empty() {
        let problem = format!("it has {} findings, but zizmor ended with {}", reported.len(), captured.exit);
        return Err(unreadable(problem));
    }
    every_file_completed(&String::from_utf8_lossy(captured.stderr_whole()?), sources)?;
    let mut findings = Vec::new();
    for one in &reported {
        let primary = one.locations.iter().find(|place| place.is_primary());
        let place = primary.ok_or_else(|| unreadable(format!("{} has no place", printable(&one.ident))))?;
        if !sources.iter().any(|(path, _)| path == place.path()) {
            return Err(unreadable(format!("it names {}, which zizmor was not given", place.path())));
        }
        findings.push(finding(one, place).map_err(unreadable)?);
    }
    let mut comments = Suppressions::default();
    for (path, text) in sources {
        let lines: Vec<_> = text.lines().collect();
        for (index, rules) in pragmas(&lines) {
            let row = u32::try_from(index).unwrap_or(u32::MAX);
            let heard = |one: &Reported| one.locations.iter().any(|place| place.path() == path && place.hears(row));
            let reached = reported.iter().zip(&findings).filter(|(one, _)| heard(one));
            let targets: Vec<_> = reached.filter_map(|(_, finding)| finding.target.clone()).collect();
            comments.judge(Suppression { path, lines: &lines, index }, &rules, &targets);
        }
    }
    let exceptions = comments.settle(&mut findings);
    Ok(Judgement { findings, exceptions })
}

fn every_file_completed(log: &str, sources: &[(Utf8PathBuf, String)]) -> Result<(), StepError> {
    let completed: BTreeSet<_> =
        log.lines().filter_map(|line| line.split_once(COMPLETED)).map(|(_, path)| path.trim()).collect();
    let missed: Vec<_> =
        sources.iter().map(|(path, _)| path).filter(|path| !completed.contains(path.as_str())).collect();
    match missed.as_slice() {
        [] => Ok(()),
        [first, ..] => Err(StepError::not_looked(
            format!("zizmor did not look at {} of {} files, among them {first}", missed.len(), sources.len()),
            "see the step's log",
        )),
    }
}

fn finding(one: &Reported, place: &Place) -> Result<Finding, String> {
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
    Ok(Finding::with_code(Code::new(printable(&one.ident)), message)
        .severity(severity)
        .target(Location::line(place.path(), line))
        .at(Location::column(place.path(), line, column))
        .help(printable(&one.url)))
}

/// The comments that ask zizmor to say nothing: their lines from 0, and the rules they name.
fn pragmas(lines: &[&str]) -> Vec<(usize, Vec<String>)> {
    let pragma = |(index, line): (usize, &&str)| {
        let rest = line.split('#').skip(1).find_map(|comment| comment.trim_start().strip_prefix("zizmor:"))?;
        let list = rest.trim_start().strip_prefix("ignore[").and_then(|rest| rest.split_once(']'));
        let rules = list.map_or("", |(rules, _)| rules).split(',').map(str::trim).filter(|rule| !rule.is_empty());
        Some((index, rules.map(str::to_owned).collect()))
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
    const BAD: &str = include_str!("../../tests/data/zizmor/bad.yml");
    const GOOD: &str = include_str!("../../tests/data/zizmor/good.yml");
    const FINDINGS: &str = include_str!("../../tests/data/zizmor/findings.json");
    const FINDINGS_LOG: &str = include_str!("../../tests/data/zizmor/findings.stderr.txt");
    const CLEAN: &str = include_str!("../../tests/data/zizmor/clean.json");
    const CLEAN_LOG: &str = include_str!("../../tests/data/zizmor/clean.stderr.txt");
    const BROKEN_LOG: &str = include_str!("../../tests/data/zizmor/broken.stderr.txt");

    fn sources(bad: &str) -> Vec<(Utf8PathBuf, String)> {
        let good = (".github/workflows/good.yml".into(), GOOD.to_owned());
        if bad.is_empty() { vec![good] } else { vec![(".github/workflows/bad.yml".into(), bad.to_owned()), good] }
    }

    fn look(code: i32, json: &str, log: &str, bad: &str) -> Result<Judgement, StepError> {
        judge(&Captured::recorded(Exit::Code(code), json, log), &sources(bad))
    }

    fn open(bad: &str) -> Vec<String> {
        let Judgement { findings, exceptions } = look(14, FINDINGS, FINDINGS_LOG, bad).expect("looked");
        let verdict = evaluate(findings, &exceptions, &Policy::default(), TODAY);
        assert_eq!(verdict.status, Status::Failed);
        let open = verdict.findings.iter().filter(|one| one.exception.is_none());
        open.map(|one| format!("{} {}", one.code, one.location.as_ref().and_then(|at| at.line).unwrap_or(0))).collect()
    }

    const OTHERS: [&str; 8] = [
        "artipacked 7",
        "excessive-permissions 1",
        "excessive-permissions 4",
        "dangerous-triggers 2",
        "template-injection 12",
        "unpinned-uses 7",
        "anonymous-definition 4",
        "concurrency-limits 2",
    ];

    #[test]
    fn a_justified_comment_exempts_its_line_and_a_bare_one_nothing() {
        let mut expected: Vec<_> = OTHERS.map(str::to_owned).to_vec();
        expected.push("IGN-016 12".to_owned());
        assert_eq!(open(BAD), expected, "unpinned-uses on line 11 is the only one that is exempted");
        expected.insert(6, "unpinned-uses 11".to_owned());
        for (from, to, defect) in [
            ("2027-02-01", "2020-02-01", "EXC-001 11"),
            ("ignore[unpinned-uses]", "ignore[artipacked]", "EXC-002 11"),
            ("# owner: @example/platform", "# owner: nobody", "IGN-016 11"),
            ("ignore[unpinned-uses]", "ignore[]", "IGN-016 11"),
            ("ignore[unpinned-uses]", "ignore", "IGN-016 11"),
        ] {
            let mut seen = open(&BAD.replacen(from, to, 1));
            let at = seen.iter().position(|one| one == defect).unwrap_or_else(|| panic!("{defect}: {seen:?}"));
            seen.remove(at);
            assert_eq!(seen, expected, "{to}");
        }
        let late = open(&BAD.replace("2027-02-01", "2029-02-01"));
        assert!(late.contains(&"EXC-004 11".to_owned()), "{late:?}");
    }

    #[test]
    fn what_was_not_looked_at_is_an_error() {
        assert!(look(0, CLEAN, CLEAN_LOG, "").expect("looked").findings.is_empty());
        let missed = look(14, FINDINGS, CLEAN_LOG, BAD).expect_err("one file").to_string();
        assert!(missed.contains("did not look at 1 of 2 files, among them .github/workflows/bad.yml"), "{missed}");
        let foreign = FINDINGS.replace("bad.yml", "other.yml");
        let severity = FINDINGS.replace("\"Medium\"", "\"Awful\"");
        let placeless = FINDINGS.replace("\"Primary\"", "\"Related\"");
        let remote = FINDINGS.replace("\"Local\"", "\"Remote\"");
        for (code, json, log) in [
            (1, "", BROKEN_LOG),
            (0, CLEAN, ""),
            (3, CLEAN, CLEAN_LOG),
            (0, FINDINGS, FINDINGS_LOG),
            (14, CLEAN, FINDINGS_LOG),
            (14, &FINDINGS[..FINDINGS.len() / 2], FINDINGS_LOG),
            (14, "{}", FINDINGS_LOG),
            (14, "null", FINDINGS_LOG),
            (14, &foreign, FINDINGS_LOG),
            (14, &severity, FINDINGS_LOG),
            (14, &placeless, FINDINGS_LOG),
            (14, &remote, FINDINGS_LOG),
        ] {
            assert!(look(code, json, log, BAD).is_err(), "{code} {:?}", &json[..json.len().min(40)]);
        }
    }

    #[test]
    fn a_hostile_text_stays_one_line() {
        let hostile = FINDINGS.replace("overly broad permissions", "x\\n::error::y\\u001b[2J");
        let findings = look(14, &hostile, FINDINGS_LOG, BAD).expect("looked").findings;
        assert!(findings.iter().all(|one| !one.message.contains(char::is_control)));
    }

    #[test]
    fn workflows_actions_and_dependabot_are_checked() {
        for (path, checked) in [
            (".github/workflows/ci.yml", true),
            (".github/workflows/deep/x.yml", false),
            (".github/dependabot.yaml", true),
            ("dependabot.yml", false),
            ("action.yml", true),
            ("tools/build/action.yaml", true),
            ("compose.yml", false),
        ] {
            assert_eq!(is_checked(path.into()), checked, "{path}");
        }
    }
}
