use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::formats::Suppressions;
use crate::formats::printable::counted;
use crate::model::{Code, Finding, Judged, Level, Location, Severity, Subject};
use crate::policy::{Exception, Suppression, stray_configuration};
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::step::{Context, Outcome, ReadError, Step, StepError};

/// The configuration that hadolint is given, so that a `.hadolint.yaml` in the repository or in a home folder switches nothing
/// off. An empty file would not do: hadolint refuses it and goes on without any.
const NEUTRAL_CONFIGURATION: &str = "ignored: []\n";

/// Where hadolint looks for its configuration by itself.
const CONFIGURATION_FILES: [&str; 2] = [".hadolint.yaml", ".hadolint.yml"];

/// The rule of a file that hadolint could not parse, and so did not look at.
const PARSE_ERROR: &str = "DL1000";

/// Checks Dockerfiles with hadolint and, through it, their shell with ShellCheck.
///
/// Findings keep their own codes. Inline pragmas (`# hadolint ignore=DL3008`) are not shown to hadolint but read here: with
/// `# reason:`, `# owner:` and `# expires:` on the lines directly above, each becomes an exception that is counted and shown;
/// without them it is `IGN-016` and hides nothing. A pragma reaches the instruction on the next line that is no comment; a
/// global one reaches its file.
#[derive(Debug, Clone)]
pub struct Hadolint {
    files: Vec<Utf8PathBuf>,
    config: Option<Utf8PathBuf>,
}

impl Hadolint {
    /// These Dockerfiles, relative to the workspace.
    #[must_use]
    pub fn files(files: impl IntoIterator<Item = impl Into<Utf8PathBuf>>) -> Self {
        let files = files.into_iter().map(Into::into).collect();
        Self { files, config: None }
    }

    /// Uses this configuration of hadolint, relative to the workspace. What it ignores, no report shows.
    #[must_use]
    pub fn config(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.config = Some(path.into());
        self
    }

    fn invocation(&self, config: &Utf8Path) -> Invocation {
        Invocation::tool("hadolint")
            .args(["--no-color", "--no-fail", "--disable-ignore-pragma", "--format", "json", "--config"])
            .arg(config)
            .args(&self.files)
            .env_remove_prefix("HADOLINT_")
    }
}

/// What hadolint looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerfilesChecked {
    /// The files, relative to the workspace.
    pub files: Vec<Utf8PathBuf>,
    /// The commit whose files they are.
    pub commit: String,
}

impl crate::step::Proof for DockerfilesChecked {}

impl Judged for DockerfilesChecked {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

fn hadolint_tool() -> ToolRequirement {
    ToolRequirement::new("hadolint", ">=2.12, <3")
}

impl Step for Hadolint {
    type Input = ();
    type Output = DockerfilesChecked;

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<DockerfilesChecked>, StepError> {
        cx.require(&hadolint_tool())?;
        let mut dockerfiles = Vec::new();
        for path in &self.files {
            let text = cx.read_text(path)?;
            if !text.lines().map(str::trim).any(|line| !line.is_empty() && !line.starts_with('#')) {
                return Err(StepError::not_looked(format!("{path} holds no instruction"), "correct the step's files"));
            }
            dockerfiles.push((path.clone(), text));
        }
        if dockerfiles.is_empty() {
            return Err(StepError::not_looked("hadolint is given no file", "name the Dockerfiles to check"));
        }
        let config = match &self.config {
            Some(path) => cx.path(path),
            None => {
                let path = cx.dir().join("hadolint.yaml");
                fs::write(&path, NEUTRAL_CONFIGURATION).map_err(StepError::io("writing", &path))?;
                path
            }
        };
        let captured = cx.run(&self.invocation(&config))?;
        let (mut findings, exceptions) = judge(&captured, &dockerfiles)?;
        let (files, pragmas) = (dockerfiles.len(), exceptions.len());
        let commit = cx.revision()?.commit.clone();
        let headline = match findings.len() {
            0 => counted(files, "Dockerfile"),
            found => format!("{}, {}", counted(files, "Dockerfile"), counted(found, "finding")),
        };
        let stray = CONFIGURATION_FILES.into_iter().map(Utf8Path::new);
        let stray = stray.filter(|path| self.config.as_deref() != Some(path) && cx.path(path).exists());
        findings.extend(stray.map(|path| stray_configuration(path, "hadolint")));
        Ok(Outcome::of(DockerfilesChecked { files: self.files.clone(), commit })
            .findings(findings)
            .exceptions(exceptions)
            .fact("files", files)
            .fact("pragmas", pragmas)
            .headline(headline))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![hadolint_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        let config = self.config.clone().unwrap_or_else(|| "<step folder>/hadolint.yaml".into());
        vec![self.invocation(&config)]
    }
}

#[derive(Deserialize)]
struct Diagnostic {
    code: String,
    column: u32,
    file: Utf8PathBuf,
    level: String,
    line: u32,
    message: String,
}

fn judge(
    captured: &Captured,
    dockerfiles: &[(Utf8PathBuf, String)],
) -> Result<(Vec<Finding>, Vec<Exception>), StepError> {
    let captured = captured.clone().require_success()?;
    // It says so on standard error and then goes on without the configuration.
    if !captured.stderr_tail.trim_ascii().is_empty() {
        return Err(ReadError::new("hadolint's report", captured.stderr_text()).into());
    }
    let diagnostics: Vec<Diagnostic> =
        serde_json::from_str(captured.stdout_text()?).map_err(|error| ReadError::new("hadolint's report", error))?;
    let mut findings = Vec::new();
    for diagnostic in diagnostics {
        let Diagnostic { code, column, file, level, line, message } = diagnostic;
        let location = Location::column(&file, line, column);
        if code == PARSE_ERROR {
            let error = ReadError::new("the Dockerfile", message.replace('\n', ", ")).at(location);
            return Err(error.help("hadolint looks at nothing in a file that it cannot parse").into());
        }
        if !dockerfiles.iter().any(|(path, _)| *path == file) {
            return Err(ReadError::new("hadolint's report", format!("it names {file}, which it was not given")).into());
        }
        let (severity, level) = rating(&level)
            .ok_or_else(|| ReadError::new("hadolint's report", format!("it has the unknown level {level:?}")))?;
        let target = Location::line(&file, line);
        let finding = Finding::with_code(Code::new(code), message).severity(severity).level(level).target(target);
        findings.push(finding.at(location));
    }
    let mut comments = Suppressions::default();
    for (path, text) in dockerfiles {
        let lines: Vec<&str> = text.lines().collect();
        for Pragma { index, kind } in pragmas(&lines) {
            let comment = Suppression { path, lines: &lines, index };
            let reached = |line: Option<u32>| {
                let is_there =
                    |place: &Location| place.path == *path && line.is_none_or(|line| place.line == Some(line));
                let reached = findings.iter().filter(|one: &&Finding| one.location.as_ref().is_some_and(is_there));
                reached.filter_map(|one| one.target.clone()).collect::<Vec<_>>()
            };
            match kind {
                PragmaKind::Other => comments.refuse(comment, "only `hadolint ignore=` can be justified"),
                PragmaKind::Rules(rules, Some(line)) => comments.judge(comment, &rules, &reached(Some(line))),
                PragmaKind::Rules(rules, None) if !rules.is_empty() => {
                    comments.refuse(comment, "no instruction follows on the next line");
                }
                PragmaKind::Rules(rules, None) | PragmaKind::Global(rules) => {
                    comments.judge(comment, &rules, &reached(None));
                }
            }
        }
    }
    let exceptions = comments.settle(&mut findings);
    Ok((findings, exceptions))
}

fn rating(level: &str) -> Option<(Severity, Level)> {
    Some(match level {
        "error" => (Severity::High, Level::Deny),
        "warning" => (Severity::Medium, Level::Deny),
        "info" => (Severity::Low, Level::Deny),
        "style" => (Severity::Low, Level::Warn),
        _ => return None,
    })
}

/// A comment that would have hidden something.
struct Pragma {
    /// Its line, from 0.
    index: usize,
    kind: PragmaKind,
}

enum PragmaKind {
    /// Rules for one instruction, by its line from 1.
    Rules(Vec<String>, Option<u32>),
    /// Rules for the whole file.
    Global(Vec<String>),
    /// Something that cannot be turned into rules: another shell, or ShellCheck's own pragma.
    Other,
}

fn pragmas(lines: &[&str]) -> Vec<Pragma> {
    let kinds = lines.iter().enumerate().filter_map(|(index, line)| {
        let comment = line.split_once('#')?.1.trim();
        let lower = comment.to_lowercase();
        let kind = if !line.trim_start().starts_with('#') {
            // Behind an instruction hadolint reads no pragma, but ShellCheck may.
            lower.starts_with("shellcheck").then_some(PragmaKind::Other)?
        } else if let Some(rest) = lower.strip_prefix("hadolint") {
            match (rest.split_once("ignore"), rest.trim_start().starts_with("global")) {
                (Some((_, rules)), true) => PragmaKind::Global(rules_of(rules)),
                (Some((_, rules)), false) => PragmaKind::Rules(rules_of(rules), next_instruction(lines, index)),
                (None, _) => PragmaKind::Other,
            }
        } else {
            lower.starts_with("shellcheck").then_some(PragmaKind::Other)?
        };
        Some(Pragma { index, kind })
    });
    kinds.collect()
}

/// The rules in `=DL3008,SC2086 # why`; whatever follows a blank belongs to no rule.
fn rules_of(text: &str) -> Vec<String> {
    let text = text.trim().trim_start_matches('=').trim();
    let list = text.split('#').next().unwrap_or(text);
    list.split(',').filter_map(|rule| rule.split_whitespace().next()).map(str::to_uppercase).collect()
}

/// The line, from 1, of the instruction that follows without a blank line.
fn next_instruction(lines: &[&str], index: usize) -> Option<u32> {
    let (offset, line) =
        lines.iter().enumerate().skip(index + 1).find(|(_, line)| !line.trim_start().starts_with('#'))?;
    (!line.trim().is_empty()).then_some(())?;
    u32::try_from(offset + 1).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::model::Status;
    use crate::policy::{Policy, evaluate};
    use crate::process::Exit;

    const DOCKERFILE: &str = include_str!("../../tests/data/hadolint/Dockerfile");
    const FINDINGS: &str = include_str!("../../tests/data/hadolint/findings.json");
    const UNPARSABLE: &str = include_str!("../../tests/data/hadolint/unparsable.json");

    fn judged(
        captured: &Captured,
        dockerfiles: &[(Utf8PathBuf, String)],
    ) -> Result<(Vec<Finding>, Vec<Exception>), StepError> {
        judge(captured, dockerfiles)
    }

    fn look(json: &str, text: &str) -> Result<(Vec<Finding>, Vec<Exception>), StepError> {
        judged(&Captured::recorded(Exit::Code(0), json, ""), &[("Dockerfile".into(), text.to_owned())])
    }

    fn verdict(json: &str, text: &str) -> (Status, Vec<String>) {
        let (findings, exceptions) = look(json, text).expect("looked");
        let verdict = evaluate(findings, &exceptions, &Policy::default(), date(2026, 11, 21));
        let open = verdict.findings.iter().filter(|one| one.exception.is_none());
        let shown =
            open.map(|one| format!("{} {}", one.code, one.location.as_ref().and_then(|at| at.line).unwrap_or(0)));
        (verdict.status, shown.collect())
    }

    #[test]
    fn a_justified_pragma_exempts_and_a_bare_one_does_not() {
        let (status, open) = verdict(FINDINGS, DOCKERFILE);
        assert_eq!(status, Status::Failed);
        assert_eq!(
            open,
            ["DL3007 1", "DL3015 7", "DL3047 12", "DL4006 12", "DL3003 14", "SC2086 14", "IGN-016 11"],
            "DL3008 on line 7 is the only one that is exempted"
        );
    }

    const ONE: &str =
        r#"[{"code":"DL3008","column":1,"file":"Dockerfile","level":"warning","line":6,"message":"pin"}]"#;

    fn with_pragma(pragma: &str, rest: &str) -> String {
        let above = "FROM x\n# reason: versions move with every security fix\n# owner: @example/platform\n# expires: 2027-03-01\n";
        format!("{above}{pragma}\n{rest}")
    }

    #[test]
    fn what_a_pragma_reaches_is_its_own_instruction() {
        assert_eq!(verdict(ONE, &with_pragma("# hadolint ignore=DL3008", "RUN x\n")).0, Status::Exempted);
        assert_eq!(verdict(ONE, &with_pragma("#  Hadolint  ignore = dl3008 # why", "RUN x\n")).0, Status::Exempted);
        assert_eq!(verdict(ONE, &with_pragma("# hadolint global ignore=DL3008", "RUN x\n")).0, Status::Exempted);
        for (pragma, rest, open) in [
            ("# hadolint ignore=DL3009", "RUN x\n", vec!["DL3008 6", "EXC-002 5"]),
            ("# hadolint ignore=DL3008,DL3009", "RUN x\n", vec!["EXC-002 5"]),
            ("# hadolint ignore=DL3008", "", vec!["DL3008 6", "IGN-016 5"]),
            ("# hadolint ignore=DL3008", "\nRUN x\n", vec!["DL3008 6", "IGN-016 5"]),
            ("# hadolint ignore=DL3008", "# more\nRUN x\n", vec!["DL3008 6", "EXC-002 5"]),
            ("# hadolint ignore=", "RUN x\n", vec!["DL3008 6", "IGN-016 5"]),
            ("# hadolint shell=powershell", "RUN x\n", vec!["DL3008 6", "IGN-016 5"]),
            ("# shellcheck disable=SC2086", "RUN x\n", vec!["DL3008 6", "IGN-016 5"]),
        ] {
            assert_eq!(
                verdict(ONE, &with_pragma(pragma, rest)),
                (Status::Failed, open.iter().map(|s| (*s).to_owned()).collect()),
                "{pragma}"
            );
        }
        let expired = with_pragma("# hadolint ignore=DL3008", "RUN x\n").replace("2027", "2020");
        assert_eq!(verdict(ONE, &expired), (Status::Failed, vec!["DL3008 6".to_owned(), "EXC-001 5".to_owned()]));
        let late = with_pragma("# hadolint ignore=DL3008", "RUN x\n").replace("2027-03", "2027-09");
        assert_eq!(verdict(ONE, &late), (Status::Failed, vec!["DL3008 6".to_owned(), "EXC-004 5".to_owned()]));
    }

    #[test]
    fn a_file_that_was_not_looked_at_is_an_error() {
        let unparsable = judged(
            &Captured::recorded(Exit::Code(0), UNPARSABLE, ""),
            &[("unparsable.Dockerfile".into(), "FRM x".to_owned())],
        );
        let error = unparsable.expect_err("unparsable").to_string();
        assert!(
            error.starts_with("unparsable.Dockerfile:1:1: the Dockerfile cannot be read: unexpected 'F'"),
            "{error}"
        );
        let foreign = ONE.replace("\"Dockerfile\"", "\"other\"");
        let level = ONE.replace("warning", "fatal");
        for bad in ["", "{}", "null", &ONE[..40], &foreign, &level] {
            assert!(look(bad, "FROM x\n").is_err(), "{bad:?} was accepted");
        }
        let files = [("Dockerfile".into(), "FROM x\n".to_owned())];
        assert!(judged(&Captured::recorded(Exit::Code(1), "[]", ""), &files).is_err());
        assert!(judged(&Captured::recorded(Exit::Code(0), "[]", "Error parsing your config file"), &files).is_err());
        assert!(judged(&Captured::recorded(Exit::Code(0), "[]", ""), &files).is_ok());
    }
}
