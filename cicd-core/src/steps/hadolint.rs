use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::formats::file_kind::FileKind;
use crate::model::{Code, Finding, Level, Location, Severity};
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::scan::{
    Bench, ExitMeaning, Hit, Pragma, Reach, Report, Scan, Scanner, Selection, Setting, Sources, first_from,
};
use crate::step::{Context, ReadError, Seal, StepError};

/// The configuration that hadolint is given, so that a `.hadolint.yaml` in the repository or in a home folder switches nothing
/// off. An empty file would not do: hadolint refuses it and goes on without any.
const NEUTRAL_CONFIGURATION: &str = "ignored: []\n";

/// Where hadolint looks for its configuration by itself.
const CONFIGURATION: [Setting; 2] = [Setting::file(".hadolint.yaml"), Setting::file(".hadolint.yml")];

const CONFIGURATION_NAME: &str = "hadolint.yaml";
const CANARY_NAME: &str = "canary.txt";

/// The rule of a file that hadolint could not parse, and so did not look at.
const PARSE_ERROR: &str = "DL1000";

/// A file that hadolint must find something in, beside all others: without it, one that is broken prints nothing, as one does that
/// finds nothing.
const CANARY: &str = "FROM debian:latest\n";
/// What it finds there.
const CANARY_RULE: &str = "DL3007";

/// Checks every Dockerfile of the repository with hadolint and, through it, its shell with ShellCheck.
///
/// Findings keep their own codes. Its own configuration has no effect. Inline pragmas (`# hadolint ignore=DL3008`) are not shown to
/// hadolint but read here: with `# reason:`, `# owner:` and `# expires:` on the lines directly above, each becomes an exception that
/// is counted and shown; without them it is `IGN-016` and hides nothing. A pragma reaches the instruction on the next line that is
/// no comment; a global one reaches its file.
pub type Hadolint = Scan<HadolintScanner>;

/// See [`Hadolint`].
#[derive(Debug, Clone)]
pub struct HadolintScanner {
    named: Vec<Utf8PathBuf>,
    registries: Vec<String>,
}

impl Hadolint {
    /// Every file of the repository that is a Dockerfile by its name or its text.
    #[must_use]
    pub fn every_dockerfile() -> Self {
        Self::files(Vec::<Utf8PathBuf>::new())
    }

    /// Finds images of other registries than these, such as `docker.io` (`DL3026`).
    #[must_use]
    pub fn trusting_registries(mut self, registries: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.scanner.registries.extend(registries.into_iter().map(Into::into));
        self
    }

    /// These Dockerfiles, relative to the workspace, whatever their names are, and every other one of the repository.
    #[must_use]
    pub fn files(files: impl IntoIterator<Item = impl Into<Utf8PathBuf>>) -> Self {
        let named = files.into_iter().map(Into::into).collect();
        Self::of(HadolintScanner { named, registries: Vec::new() })
    }
}

fn invocation(folder: &Utf8Path, files: &[Utf8PathBuf]) -> Invocation {
    Invocation::tool("hadolint")
        .args(["--no-color", "--no-fail", "--disable-ignore-pragma", "--format", "json", "--config"])
        .arg(folder.join(CONFIGURATION_NAME))
        .arg("--")
        .args(files)
        .arg(folder.join(CANARY_NAME))
        .env_remove_prefix("HADOLINT_")
}

impl Scanner for HadolintScanner {
    type Input = ();
    /// The configuration and the canary.
    type Layout = Bench;
    const OURS: Option<Seal> = Some(Seal::new());

    fn tool(&self) -> ToolRequirement {
        ToolRequirement::new("hadolint", ">=2.12, <3")
    }

    fn sources(&self, (): &()) -> Selection {
        Selection::of_kinds("Dockerfile", [FileKind::Dockerfile]).and_named(self.named.iter().map(Utf8PathBuf::as_path))
    }

    fn lay_out(&self, cx: &Context, sources: &Sources) -> Result<Bench, StepError> {
        let is_instruction = |line: &str| !line.trim().is_empty() && !line.trim().starts_with('#');
        if let Some(empty) = sources.iter().find(|source| !source.text.lines().any(is_instruction)) {
            let what = format!("{} holds no instruction", empty.path);
            return Err(StepError::not_looked(what, "correct the step's files"));
        }
        let bench = Bench::new(cx)?;
        let registries = match self.registries.as_slice() {
            [] => String::new(),
            // A JSON list is a YAML list, whatever the names hold.
            some => format!("trustedRegistries: {}\n", serde_json::json!(some)),
        };
        bench.write(CONFIGURATION_NAME, format!("{NEUTRAL_CONFIGURATION}{registries}"))?;
        bench.write(CANARY_NAME, CANARY)?;
        Ok(bench)
    }

    fn commands(&self, sources: &Sources, bench: &Bench) -> Vec<Invocation> {
        let files: Vec<_> = sources.paths().map(Utf8Path::to_owned).collect();
        vec![invocation(bench.folder(), &files)]
    }

    fn read(&self, _: &Sources, bench: &Bench, captured: &[Captured]) -> Result<Report, StepError> {
        let mut report = Report::proven_otherwise();
        for captured in captured {
            report = report.with(captured, hits(captured, &bench.path(CANARY_NAME))?);
        }
        Ok(report)
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
        vec![invocation(Utf8Path::new("<step>"), &["<every Dockerfile>".into()])]
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

fn hits(captured: &Captured, canary: &Utf8Path) -> Result<Vec<Hit>, StepError> {
    let captured = captured.clone().require_success()?;
    // It says so on standard error and then goes on without the configuration.
    if !captured.stderr_tail.trim_ascii().is_empty() {
        return Err(ReadError::new("hadolint's report", captured.stderr_text()).into());
    }
    let diagnostics: Vec<Diagnostic> =
        serde_json::from_str(captured.stdout_text()?).map_err(|error| ReadError::new("hadolint's report", error))?;
    let (proof, diagnostics): (Vec<_>, Vec<_>) = diagnostics.into_iter().partition(|one| one.file == canary);
    let mut hits = Vec::new();
    for Diagnostic { code, column, file, level, line, message } in diagnostics {
        if code == PARSE_ERROR {
            let error =
                ReadError::new("the Dockerfile", message.replace('\n', ", ")).at(Location::column(&file, line, column));
            return Err(error.help("hadolint looks at nothing in a file that it cannot parse").into());
        }
        let (severity, level) = rating(&level)
            .ok_or_else(|| ReadError::new("hadolint's report", format!("it has the unknown level {level:?}")))?;
        let finding = Finding::with_code(Code::new(code), message).severity(severity).level(level);
        hits.push(Hit::at(finding, &file, line, column));
    }
    if !proof.iter().any(|one| one.code == CANARY_RULE) {
        let what = format!("hadolint did not find {CANARY_RULE} in a file that has it");
        return Err(StepError::not_looked(what, "see the step's log"));
    }
    Ok(hits)
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

fn pragmas(lines: &[&str]) -> Vec<Pragma> {
    let first = first_from(lines, |line| !line.trim_start().starts_with('#'));
    // The line, from 1, of the instruction that follows without a blank line.
    let next_instruction = |index: usize| {
        let next = first.get(index + 1).copied().flatten().filter(|&next| !lines[next].trim().is_empty())?;
        u32::try_from(next + 1).ok()
    };
    let kinds = lines.iter().enumerate().filter_map(|(index, line)| {
        let comment = line.split_once('#')?.1.trim();
        let lower = comment.to_lowercase();
        let is_alone = line.trim_start().starts_with('#');
        let other = Reach::Refused("only `hadolint ignore=` can be justified");
        let (rules, reach) = match lower.strip_prefix("hadolint").filter(|_| is_alone) {
            Some(rest) => match (rest.split_once("ignore"), rest.trim_start().starts_with("global")) {
                (Some((_, rules)), true) => (rules_of(rules), Reach::File),
                (Some((_, rules)), false) => match (rules_of(rules), next_instruction(index)) {
                    (rules, Some(line)) => (rules, Reach::Lines(line..=line)),
                    (rules, None) if rules.is_empty() => (rules, Reach::File),
                    (rules, None) => (rules, Reach::Refused("no instruction follows on the next line")),
                },
                (None, _) => (Vec::new(), other),
            },
            // Behind an instruction hadolint reads no pragma, but ShellCheck may.
            None => lower.starts_with("shellcheck").then_some((Vec::new(), other))?,
        };
        Some(Pragma { index, rules, reach })
    });
    kinds.collect()
}

/// The rules in `=DL3008,SC2086 # why`; whatever follows a blank belongs to no rule.
fn rules_of(text: &str) -> Vec<String> {
    let text = text.trim().trim_start_matches('=').trim();
    let list = text.split('#').next().unwrap_or(text);
    list.split(',').filter_map(|rule| rule.split_whitespace().next()).map(str::to_uppercase).collect()
}

#[cfg(test)]
#[path = "hadolint_tests.rs"]
mod tests;
