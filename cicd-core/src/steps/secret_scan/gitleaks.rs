use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use super::SecretCode;
use super::export::{Copies, Exported};
use super::judge::{Found, hits};
use super::searcher::Searcher;
use crate::formats::printable::printable;
use crate::model::{Code, FindingCode as _, Severity};
use crate::policy::Exception;
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::scan::{ExitMeaning, Pragma, Reach, Report, Scan, Scanner, Selection, Setting, Sources};
use crate::step::{Context, ReadError, Seal, StepError};

/// Half a gigabyte of text takes gitleaks about a minute and a half.
const SCAN_DEADLINE: Duration = Duration::from_secs(600);
/// How gitleaks ends where it found something and nothing kept it from looking; 1 also stands for any fatal error.
const FOUND: i32 = 10;
/// By the first bytes of a file gitleaks takes it for a program and passes over it. A blank line has none of them.
const LEAD: u32 = 1;
/// How many encodings are taken off, one inside the other: gitleaks' own choice.
const DECODE_DEPTH: &str = "5";
/// What gitleaks, called by hand, obeys.
const CONFIGURATION: [Setting; 2] = [Setting::file(".gitleaks.toml"), Setting::file(".gitleaksignore")];
/// The comment that gitleaks obeys. In two parts, so that this file holds none.
const ALLOW: [&str; 2] = ["gitleaks", ":allow"];

/// Searches every file of the repository for secrets with the rules of gitleaks: those that git tracks, and new ones that it does not
/// ignore, as they lie. The history is not searched.
///
/// ```
/// use cicd_core::steps::Gitleaks;
///
/// let scan = Gitleaks::new().exceptions_file("ci/exceptions.toml");
/// ```
///
/// As for [`SecretScan`](super::SecretScan), it is given copies under neutral names, each with a known secret in its last line, and
/// has to find that one in every file. Its configuration is the one that it comes with. Codes are the names of its rules behind
/// `gitleaks/`, and so are the rules of exceptions in a file. A comment `gitleaks:allow` has to name the rule (`gitleaks:allow
/// github-pat`), and needs `reason:`, `owner:` and `expires:` in comments directly above it.
pub type Gitleaks = Scan<GitleaksScanner>;

/// See [`Gitleaks`].
#[derive(Debug, Clone)]
pub struct GitleaksScanner {
    exceptions_file: Option<Utf8PathBuf>,
}

impl Default for Gitleaks {
    fn default() -> Self {
        Self::new()
    }
}

impl Gitleaks {
    /// Every file, and no exceptions but those in comments.
    #[must_use]
    pub fn new() -> Self {
        Self::of(GitleaksScanner { exceptions_file: None })
    }

    /// The file with what looks like a secret and is none.
    #[must_use]
    pub fn exceptions_file(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.scanner.exceptions_file = Some(path.into());
        self
    }
}

fn invocation(tree: &Utf8Path, report: &Utf8Path) -> Invocation {
    Invocation::tool("gitleaks")
        .args(["dir", "--no-banner", "--no-color", "--redact", "--ignore-gitleaks-allow"])
        .args(["--max-decode-depth", DECODE_DEPTH, "--exit-code", &FOUND.to_string()])
        .args(["--gitleaks-ignore-path", tree.as_str(), "--report-format", "json", "--report-path"])
        .args([report, tree])
        .report(report)
        .env_remove_prefix("GITLEAKS_")
        // The package's own variables name another program, and a place to load one from.
        .env_remove_prefix("NOGOO9_")
        .env_remove_prefix("PYTHON")
        .deadline(SCAN_DEADLINE)
}

/// What is laid out: a numbered copy of every file.
#[derive(Debug)]
pub struct Layout {
    copies: Copies,
    report: Utf8PathBuf,
}

impl Scanner for GitleaksScanner {
    type Input = ();
    type Layout = Layout;
    const OURS: Option<Seal> = Some(Seal::new());

    fn tool(&self) -> ToolRequirement {
        ToolRequirement::new("gitleaks", ">=8.28, <9")
    }

    fn sources(&self, (): &()) -> Selection {
        Selection::every_file()
    }

    fn lay_out(&self, cx: &Context, sources: &Sources) -> Result<Layout, StepError> {
        Ok(Layout { copies: Copies::of(cx, sources, LEAD)?, report: cx.path(cx.dir()).join("report.json") })
    }

    fn commands(&self, _: &Sources, layout: &Layout) -> Vec<Invocation> {
        vec![invocation(&layout.copies.tree(), &layout.report)]
    }

    fn read(&self, _: &Sources, layout: &Layout, captured: &[Captured]) -> Result<Report, StepError> {
        let [captured] = captured else {
            return Err(StepError::not_looked("gitleaks was not run once", "see the step's log"));
        };
        let captured = captured.clone().require_exit(&[FOUND])?;
        let found = found(captured.report_bytes()?, &layout.copies.tree())?;
        // A comment has an effect only where something is found.
        let mut texts = Vec::new();
        let hits = hits(Searcher::Gitleaks, &found, layout.copies.all(), |file| {
            let text = layout.copies.text(file)?;
            texts.push((file.path.clone(), own_text(&text, file)));
            Ok(text)
        })?;
        let report = Report::proven_otherwise().with(&captured, hits).unrepeated().proof("a canary found in each");
        Ok(texts.into_iter().fold(report, |report, (path, text)| report.text(path, text)))
    }

    fn exit_meaning(&self) -> ExitMeaning {
        ExitMeaning::Unrelated
    }

    fn pragmas(&self, lines: &[&str]) -> Vec<Pragma> {
        pragmas(lines)
    }

    fn comment_starts(&self) -> &'static [&'static str] {
        &["#", "//", "--", ";", "%"]
    }

    fn settings(&self) -> &'static [Setting] {
        &CONFIGURATION
    }

    fn exceptions(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        Searcher::Gitleaks.exceptions(cx, self.exceptions_file.as_deref())
    }

    fn left_out_code(&self) -> Code {
        SecretCode::LeftOut.code()
    }

    fn explain(&self) -> Vec<Invocation> {
        let step = Utf8Path::new("<step>");
        vec![invocation(&step.join("<copies>"), &step.join("report.json"))]
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Leak {
    #[serde(rename = "RuleID")]
    rule: String,
    start_line: u32,
    end_line: u32,
    file: Utf8PathBuf,
}

/// What a report names, by the copies' names.
fn found(json: &[u8], tree: &Utf8Path) -> Result<Vec<(String, Found)>, StepError> {
    let leaks: Vec<Leak> = serde_json::from_slice(json).map_err(|error| ReadError::new("gitleaks' report", error))?;
    let found = leaks.into_iter().map(|Leak { rule, start_line, end_line, file }| {
        let copy = file.strip_prefix(tree).unwrap_or(&file).to_string();
        let title = format!("a secret ({})", printable(&rule));
        (copy, Found { rule, title, severity: Severity::High, lines: (start_line, end_line) })
    });
    Ok(found.collect())
}

/// The text of a file alone, of which a copy has more.
fn own_text(copy: &[u8], file: &Exported) -> String {
    let text = String::from_utf8_lossy(copy);
    let own = text.lines().take(file.own_lines as usize).skip(file.lead as usize);
    own.flat_map(|line| [line, "\n"]).collect()
}

/// The comments of gitleaks: each names rules such as `github-pat`.
fn pragmas(lines: &[&str]) -> Vec<Pragma> {
    let is_rule = |word: &&str| {
        word.contains('-') && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    };
    let pragma = |(index, line): (usize, &&str)| {
        let (_, rest) = line.split_once(&ALLOW.concat())?;
        let words = rest.split([',', ' ', '\t']).filter(|word| !word.is_empty());
        let rules = words.take_while(is_rule).map(|rule| Searcher::Gitleaks.code(rule)).collect();
        let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
        Some(Pragma { index, rules, reach: Reach::Lines(line..=line) })
    };
    lines.iter().enumerate().filter_map(pragma).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_names_rules() {
        for (rest, rules) in [
            (" github-pat, aws-access-token as agreed", &["gitleaks/github-pat", "gitleaks/aws-access-token"][..]),
            ("", &[]),
            (" because", &[]),
            (" -->", &[]),
        ] {
            let line = format!("key = 1 // {}{rest}", ALLOW.concat());
            let all = pragmas(&["nothing", &line]);
            assert_eq!((all.len(), all[0].index), (1, 1));
            assert_eq!(
                (all[0].rules.iter().map(String::as_str).collect::<Vec<_>>(), &all[0].reach),
                (rules.to_vec(), &Reach::Lines(2..=2))
            );
        }
    }

    #[test]
    fn a_report_is_read_whole_or_not_at_all() {
        let leak = r#"[{"RuleID": "github-pat", "StartLine": 2, "EndLine": 2, "File": "/x/tree/000000.txt"}]"#;
        let read = |text: &str| found(text.as_bytes(), "/x/tree".into());
        let all = read(leak).expect("read");
        assert_eq!((all[0].0.as_str(), all[0].1.lines), ("000000.txt", (2, 2)));
        for cut in (0..leak.len()).step_by(7) {
            assert!(read(&leak[..cut]).is_err(), "{cut}");
        }
        for key in ["RuleID", "StartLine", "EndLine", "File"] {
            assert!(read(&leak.replace(key, "Other")).is_err(), "{key}");
        }
        assert!(read("null").is_err() && read("{}").is_err());
    }
}
