use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::comments::{Pragma, Reach, format_pragmas, lint_pragmas};
use crate::formats::Suppressions;
use crate::formats::printable::counted;
use crate::model::{Code, Finding, Judged, Location, Severity, Subject, Target, finding_codes};
use crate::policy::{Exception, Suppression};
use crate::process::{Captured, Exit, Invocation, ToolRequirement};
use crate::step::{Context, Outcome, ReadError, Step, StepError, git_tool};

/// What a file that cannot be parsed is reported as.
const UNPARSABLE: &str = "invalid-syntax";

finding_codes! {
    /// What comments keep from ruff without a trace in its report; its rules keep their own names.
    pub enum RuffCode {
        PassedOver = "RUFF-001" {
            summary: "a comment has code passed over when imports are sorted or code is formatted",
            help: "delete it, or justify it with reason, owner and expiry on the lines above it",
            example: "# fmt: off",
        },
    }
}

/// Checks a folder's Python with the rules that its `pyproject.toml` selects.
///
/// The findings keep ruff's own codes. A Python file that ruff would not look at, because the configuration excludes it, is
/// an error, not a pass.
///
/// Comments (`# noqa: F401`, `# ruff: disable[F401]`, `# isort: skip`) are not shown to ruff but judged here: with `# reason:`,
/// `# owner:` and `# expires:` on the lines directly above, each becomes an exception that is counted and shown; without them, or
/// without a rule, it is `IGN-016` and hides nothing.
#[derive(Debug, Clone)]
pub struct RuffLint {
    dir: Utf8PathBuf,
}

/// Checks that a folder's Python is formatted as ruff formats it. Nothing is changed.
///
/// Ruff cannot be kept from obeying `# fmt: off` and the like, so each such comment is a finding: `RUFF-001` that its justification
/// exempts, or `IGN-016` without one.
#[derive(Debug, Clone)]
pub struct RuffFormat {
    dir: Utf8PathBuf,
}

impl RuffLint {
    /// The Python below this folder, relative to the workspace.
    #[must_use]
    pub fn in_dir(dir: impl Into<Utf8PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn invocation(&self) -> Invocation {
        ruff("check").args(["--no-fix", "--ignore-noqa", "--output-format", "json"]).arg(&self.dir)
    }
}

impl RuffFormat {
    /// The Python below this folder, relative to the workspace.
    #[must_use]
    pub fn check(dir: impl Into<Utf8PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn invocation(&self) -> Invocation {
        ruff("format").args(["--check", "--output-format", "json"]).arg(&self.dir)
    }
}

/// What a linter looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonChecked {
    /// The files, relative to the workspace.
    pub files: Vec<Utf8PathBuf>,
    /// The commit whose files they are.
    pub commit: String,
}

impl crate::step::Proof for PythonChecked {}

impl Judged for PythonChecked {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

fn ruff_tool() -> ToolRequirement {
    ToolRequirement::new("ruff", ">=0.15, <1")
}

fn ruff(command: &str) -> Invocation {
    Invocation::tool("ruff").arg(command).arg("--no-cache").env_remove_prefix("RUFF_")
}

impl Step for RuffLint {
    type Input = ();
    type Output = PythonChecked;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<PythonChecked>, StepError> {
        let files = files_looked_at(cx, &self.dir)?;
        let reported = read_report(&cx.run(&self.invocation())?, cx.root(), &[0, 1])?;
        let (findings, exceptions) = judge(&sources(cx, &files)?, &reported, lint_pragmas);
        checked(cx, files, findings, exceptions)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![ruff_tool(), git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![show_files(&self.dir), self.invocation()]
    }
}

impl Step for RuffFormat {
    type Input = ();
    type Output = PythonChecked;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<PythonChecked>, StepError> {
        let files = files_looked_at(cx, &self.dir)?;
        // 2 stands for a file that cannot be parsed, which is in the report, as well as for a wrong command line, which is not.
        let reported = read_report(&cx.run(&self.invocation())?, cx.root(), &[0, 1, 2])?;
        let (findings, exceptions) = judge(&sources(cx, &files)?, &reported, format_pragmas);
        checked(cx, files, findings, exceptions)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![ruff_tool(), git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![show_files(&self.dir), self.invocation()]
    }
}

/// The files and their text. Ruff has parsed them by then, or says that it could not; in another encoding comments are still ASCII.
fn sources(cx: &Context, files: &[Utf8PathBuf]) -> Result<Vec<(Utf8PathBuf, String)>, StepError> {
    let read = |path: &Utf8PathBuf| {
        let bytes = cx.read_file(path)?;
        Ok((path.clone(), String::from_utf8_lossy(&bytes).into_owned()))
    };
    files.iter().map(read).collect()
}

/// What ruff reported, and what comments make of it.
fn judge(
    sources: &[(Utf8PathBuf, String)],
    reported: &[Reported],
    pragmas: impl Fn(&[&str]) -> Vec<Pragma>,
) -> (Vec<Finding>, Vec<Exception>) {
    let mut findings: Vec<_> = reported.iter().map(|one| one.finding.clone()).collect();
    let mut comments = Suppressions::default();
    for (path, text) in sources {
        let lines: Vec<_> = text.lines().collect();
        for Pragma { index, rules, reach } in pragmas(&lines) {
            let comment = Suppression { path, lines: &lines, index };
            let heard = |one: &&Reported| {
                // What cannot be parsed was not looked at, whatever a comment says.
                one.path == *path
                    && one.finding.code.as_str() != UNPARSABLE
                    && match &reach {
                        Reach::Statement(line) => one.noqa_row == Some(*line) || one.row == Some(*line),
                        Reach::Lines(lines) => one.row.is_some_and(|row| lines.contains(&row)),
                        Reach::File => true,
                        Reach::Endless | Reach::Unseen => false,
                    }
            };
            let targets: Vec<_> = reported.iter().filter(heard).filter_map(|one| one.finding.target.clone()).collect();
            match reach {
                Reach::Unseen => {
                    let message = "ruff passes over this code when it sorts or formats";
                    comments.judge_unseen(comment, Finding::new(RuffCode::PassedOver, message).severity(Severity::Low));
                }
                Reach::Endless => comments.refuse(comment, "no `# ruff: enable` follows with the same rules"),
                Reach::Statement(_) | Reach::Lines(_) | Reach::File => comments.judge(comment, &rules, &targets),
            }
        }
    }
    let exceptions = comments.settle(&mut findings);
    (findings, exceptions)
}

fn checked(
    cx: &Context,
    files: Vec<Utf8PathBuf>,
    findings: Vec<Finding>,
    exceptions: Vec<Exception>,
) -> Result<Outcome<PythonChecked>, StepError> {
    let (count, problems, pragmas) = (files.len(), findings.len(), exceptions.len());
    let headline = match problems {
        0 => counted(count, "file"),
        problems => format!("{}, {}", counted(count, "file"), counted(problems, "finding")),
    };
    let commit = cx.revision()?.commit.clone();
    Ok(Outcome::of(PythonChecked { files, commit })
        .findings(findings)
        .exceptions(exceptions)
        .fact("files", count)
        .fact("pragmas", pragmas)
        .headline(headline))
}

fn show_files(dir: &Utf8Path) -> Invocation {
    ruff("check").arg("--show-files").arg(dir)
}

/// The Python files of the folder, all of which ruff would look at.
fn files_looked_at(cx: &Context, dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, StepError> {
    cx.require(&ruff_tool())?;
    let expected = cx.source_files(dir, "py")?;
    let shown = cx.run_ok(&show_files(dir))?;
    compare(cx.root(), dir, expected, shown.stdout_text()?)
}

fn compare(
    root: &Utf8Path,
    dir: &Utf8Path,
    expected: Vec<Utf8PathBuf>,
    shown: &str,
) -> Result<Vec<Utf8PathBuf>, StepError> {
    if expected.is_empty() {
        return Err(StepError::not_looked(format!("{dir} holds no Python file"), "correct the step's folder"));
    }
    let shown: BTreeSet<_> = shown.lines().map(|line| relative(root, line)).collect();
    let missed: Vec<_> =
        expected.iter().filter(|path| !shown.contains(path.as_path())).map(|path| path.as_str()).collect();
    match missed.as_slice() {
        [] => Ok(expected),
        [first, ..] => Err(StepError::not_looked(
            format!("ruff does not look at {} of {} Python files, among them {first}", missed.len(), expected.len()),
            "remove the `exclude` from ruff's configuration that leaves them out",
        )),
    }
}

fn relative(root: &Utf8Path, path: &str) -> Utf8PathBuf {
    let path = Utf8Path::new(path);
    path.strip_prefix(root).unwrap_or(path).to_owned()
}

#[derive(Deserialize)]
struct Diagnostic {
    code: Option<String>,
    filename: String,
    message: String,
    location: Option<Position>,
    /// Where a `noqa` comment for it belongs, which is not where it is in a statement of several lines.
    noqa_row: Option<u32>,
    url: Option<String>,
}

/// What ruff reported, and where a comment that hides it may stand.
#[derive(Debug)]
struct Reported {
    finding: Finding,
    path: Utf8PathBuf,
    row: Option<u32>,
    noqa_row: Option<u32>,
}

#[derive(Deserialize)]
struct Position {
    row: u32,
    column: u32,
}

fn read_report(captured: &Captured, root: &Utf8Path, codes: &[i32]) -> Result<Vec<Reported>, StepError> {
    let captured = captured.clone().require_exit(codes)?;
    let diagnostics: Vec<Diagnostic> = serde_json::from_str(captured.stdout_text()?)
        .map_err(|error| ReadError::new("ruff's report", format!("{error} ({})", captured.stderr_text())))?;
    // `E902`: a file could not be read, so it was not looked at.
    if let Some(unread) = diagnostics.iter().find(|one| one.code.as_deref() == Some("E902")) {
        return Err(StepError::not_looked(format!("{}: {}", unread.filename, unread.message), "make it readable"));
    }
    if (captured.exit == Exit::Code(0)) != diagnostics.is_empty() {
        return Err(StepError::not_looked(
            format!("ruff ended with {}, but its report has {} findings", captured.exit, diagnostics.len()),
            "see the step's log",
        ));
    }
    Ok(diagnostics.into_iter().map(|one| reported(root, one)).collect())
}

fn reported(root: &Utf8Path, diagnostic: Diagnostic) -> Reported {
    let Diagnostic { code, filename, message, location, noqa_row, url } = diagnostic;
    let path = relative(root, &filename);
    let code = Code::new(code.unwrap_or_else(|| UNPARSABLE.to_owned()));
    let finding = Finding::with_code(code, message).severity(Severity::Medium);
    let row = location.as_ref().map(|place| place.row);
    let finding = match location {
        Some(place) => {
            finding.target(Location::line(&path, place.row)).at(Location::column(&path, place.row, place.column))
        }
        None => finding.target(Target::file(&path)).at(Location::file(&path)),
    };
    let finding = match url {
        Some(url) => finding.help(url),
        None => finding,
    };
    Reported { finding, path, row, noqa_row }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHECK: &str = include_str!("../../../tests/data/ruff/check.json");
    const FORMAT: &str = include_str!("../../../tests/data/ruff/format.json");
    const FORMAT_SYNTAX: &str = include_str!("../../../tests/data/ruff/format-syntax-error.json");
    const FILES: &str = include_str!("../../../tests/data/ruff/files.txt");
    const MISSING: &str = include_str!("../../../tests/data/ruff/missing.json");

    fn read(code: i32, stdout: &str) -> Result<Vec<String>, StepError> {
        let captured = Captured::recorded(Exit::Code(code), stdout, "");
        let reported = read_report(&captured, "/src".into(), &[0, 1, 2])?;
        let findings = reported.iter().map(|one| &one.finding);
        Ok(findings.map(|one| format!("{} {}", one.code, one.location.as_ref().expect("a place"))).collect())
    }

    #[test]
    fn findings_keep_their_code_and_place() {
        assert_eq!(
            read(1, CHECK).expect("looked"),
            [
                "I001 shop/bad.py:1:1",
                "F401 shop/bad.py:1:8",
                "F401 shop/bad.py:2:8",
                "PLR1730 shop/cart.py:16:9",
                "invalid-syntax shop/syntax.py:1:12",
                "invalid-syntax shop/syntax.py:2:1",
                "I001 tests/test_cart.py:1:1",
            ]
        );
        assert_eq!(read(1, FORMAT).expect("looked"), ["unformatted shop/bad.py:3:1"]);
        assert_eq!(read(2, FORMAT_SYNTAX).expect("looked").len(), 2);
        assert!(read(0, "[]").expect("looked").is_empty());
    }

    const QUIET: &str = include_str!("../../../tests/data/ruff/quiet.py.txt");
    const QUIET_REPORT: &str = include_str!("../../../tests/data/ruff/quiet.json");

    /// The findings that no comment exempts.
    fn open(text: &str, pragmas: fn(&[&str]) -> Vec<Pragma>) -> Vec<String> {
        let captured = Captured::recorded(Exit::Code(1), QUIET_REPORT, "");
        let reported = read_report(&captured, "/src".into(), &[0, 1]).expect("looked");
        let today = jiff::civil::date(2026, 11, 21);
        let sources = [("shop/quiet.py".into(), text.to_owned())];
        let (findings, exceptions) = judge(&sources, &reported, pragmas);
        let verdict = crate::policy::evaluate(findings, &exceptions, &crate::policy::Policy::default(), today);
        let open = verdict.findings.iter().filter(|one| one.exception.is_none());
        open.map(|one| format!("{} {}", one.code, one.location.as_ref().and_then(|at| at.line).unwrap_or(0))).collect()
    }

    #[test]
    fn a_justified_comment_exempts_what_it_reaches_and_a_bare_one_nothing() {
        let others = ["F401 7", "F401 15", "F401 21", "F401 25", "IGN-016 7", "IGN-016 15", "EXC-002 25"];
        assert_eq!(open(QUIET, lint_pragmas), others);
        for (from, to, more) in [
            ("# expires: 2027-03-01\nimport abc", "# expires: 2026-03-01\nimport abc", vec!["F401 6", "EXC-001 6"]),
            ("# expires: 2027-03-01\nimport abc", "# expires: 2028-03-01\nimport abc", vec!["F401 6", "EXC-004 6"]),
            ("# ruff: enable[F401]", "# ruff: enable[E501]", vec!["F401 12", "F401 13", "IGN-016 11"]),
            ("# isort: off", "# isort: on", vec![]),
            ("# expires: 2027-03-01\n# isort: off", "#\n# isort: off", vec!["IGN-016 19"]),
        ] {
            assert!(QUIET.contains(from), "{from}");
            let mut seen = open(&QUIET.replacen(from, to, 1), lint_pragmas);
            for one in more {
                let at = seen.iter().position(|found| found == one).unwrap_or_else(|| panic!("{one}: {seen:?}"));
                seen.remove(at);
            }
            assert_eq!(seen, others, "{to}");
        }
    }

    #[test]
    fn what_the_formatter_passes_over_needs_somebody_who_answers_for_it() {
        let text = |above: &str| format!("# reason: a table is read more easily in columns\n{above}# fmt: off\n");
        let of = |text: &str| {
            let (findings, exceptions) = judge(&[("a.py".into(), text.to_owned())], &[], format_pragmas);
            (findings.iter().map(|one| one.code.to_string()).collect::<Vec<_>>(), exceptions.len())
        };
        assert_eq!(of(&text("# owner: @example/platform\n# expires: 2027-03-01\n")), (vec!["RUFF-001".to_owned()], 1));
        assert_eq!(of(&text("")), (vec!["IGN-016".to_owned()], 0));
    }

    #[test]
    fn what_proves_nothing_is_an_error() {
        for (code, stdout) in [
            (0, CHECK),
            (1, "[]"),
            (2, "[]"),
            (0, ""),
            (1, MISSING),
            (1, &CHECK[..CHECK.len() / 2]),
            (0, "null"),
            (101, "[]"),
        ] {
            assert!(read(code, stdout).is_err(), "exit code {code} with {:?}", &stdout[..stdout.len().min(30)]);
        }
    }

    #[test]
    fn a_file_that_is_excluded_is_an_error() {
        let paths = |names: &[&str]| names.iter().map(Utf8PathBuf::from).collect::<Vec<_>>();
        let all = paths(&["shop/__init__.py", "shop/cart.py"]);
        assert_eq!(compare("/src".into(), "shop".into(), all.clone(), FILES).expect("all"), all);
        let error = compare("/src".into(), "shop".into(), paths(&["shop/cart.py", "shop/hidden.py"]), FILES)
            .expect_err("hidden");
        assert!(error.to_string().contains("1 of 2 Python files, among them shop/hidden.py"), "{error}");
        assert!(compare("/src".into(), "shop".into(), Vec::new(), FILES).is_err());
    }
}
