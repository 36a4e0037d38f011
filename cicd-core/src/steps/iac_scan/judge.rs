use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use regex::Regex;

use super::report::{Check, read};
use crate::formats::printable::printable;
use crate::model::{Code, Finding, Location, Severity};
use crate::process::Captured;
use crate::scan::{Hit, Pragma, Reach, Report, first_from};
use crate::step::{ReadError, StepError};

/// What checkov's log has for something it goes on without.
const COMPLAINTS: [&str; 4] = ["[ERROR]", "[WARNI]", "[WARNING]", "Traceback"];

/// Reads a report on copies of the sources, in which comments have no effect. `names` are the sources by what their copies are called.
pub(super) fn report(
    captured: &Captured,
    version: &semver::Version,
    names: &BTreeMap<Utf8PathBuf, Utf8PathBuf>,
) -> Result<Report, StepError> {
    let captured = captured.clone().require_exit(&[0, 1])?;
    let log = String::from_utf8_lossy(captured.stderr_whole()?).into_owned();
    if let Some(line) = log.lines().find(|line| COMPLAINTS.iter().any(|word| line.contains(word))) {
        return Err(StepError::not_looked(
            format!("checkov says: {}", printable(line)),
            "it goes on without what it complains about; correct that",
        ));
    }
    let frameworks = read(captured.stdout_text()?, version).map_err(unreadable)?;
    let results: Vec<_> = frameworks.iter().map(|framework| &framework.results).collect();
    if let Some(path) = results.iter().flat_map(|results| &results.parsing_errors).next() {
        return Err(ReadError::new("the file", "checkov cannot parse it, and so looks at nothing in it")
            .at(Location::file(source(names, Utf8Path::new(path))))
            .into());
    }
    if let Some(check) = results.iter().flat_map(|results| &results.skipped_checks).next() {
        let what = format!("a comment has hidden {} in {}, although none was left", check.check_id, check.file_path);
        return Err(unreadable(what));
    }
    let failed: Vec<&Check> = results.iter().flat_map(|results| &results.failed_checks).collect();
    let passed = results.iter().flat_map(|results| &results.passed_checks);
    let all: Vec<&Check> = passed.chain(failed.iter().copied()).collect();
    let hits = failed.iter().map(|check| hit(check, source(names, &check.file_path))).collect::<Result<Vec<_>, _>>()?;
    let looked_at = all.iter().map(|check| source(names, &check.file_path));
    Ok(Report::naming(looked_at).with(&captured, hits).count("check", all.len() as u64))
}

/// The source of a copy; checkov writes a `/` before paths of folders.
fn source<'a>(names: &'a BTreeMap<Utf8PathBuf, Utf8PathBuf>, copy: &'a Utf8Path) -> &'a Utf8Path {
    let copy = copy.strip_prefix("/").unwrap_or(copy);
    names.get(copy).map_or(copy, |source| source)
}

/// A source as checkov may see it: what it would take for a comment that hides something is made into another word.
pub(super) fn without_pragmas(text: &str) -> Result<String, StepError> {
    Ok(pragma_pattern()?.replace_all(text, "${tool}.skip=").into_owned())
}

fn pragma_pattern() -> Result<Regex, StepError> {
    Regex::new(r"(?i)(?<tool>checkov|bridgecrew|cortex):skip=")
        .map_err(|error| ReadError::new("the pattern of comments", error).into())
}

fn unreadable(problem: impl std::fmt::Display) -> StepError {
    ReadError::new("checkov's report", problem).help("see the step's log").into()
}

fn hit(check: &Check, path: &Utf8Path) -> Result<Hit, StepError> {
    let severity = match check.severity.as_deref() {
        None => Severity::Medium,
        Some(word) => word.parse().map_err(unreadable)?,
    };
    let [first, last] = check.file_line_range;
    let message = format!("{} ({})", printable(&check.check_name), printable(&check.resource));
    let finding = Finding::with_code(Code::new(printable(&check.check_id)), message).severity(severity);
    let finding = match &check.guideline {
        Some(guideline) => finding.help(printable(guideline)),
        None => finding,
    };
    Ok(Hit::in_line(finding, path, first.max(1)).heard_in(path, first..=last.max(first)))
}

/// The comments that ask checkov to say nothing.
pub(super) fn pragmas(lines: &[&str]) -> Vec<Pragma> {
    let first = first_from(lines, |line| !line.trim_start().starts_with('#'));
    let number = |index: usize| u32::try_from(index + 1).unwrap_or(u32::MAX);
    let pragma = |(index, line): (usize, &&str)| {
        let lower = line.to_ascii_lowercase();
        let start = ["checkov:skip=", "bridgecrew:skip=", "cortex:skip="]
            .iter()
            .filter_map(|word| lower.find(word).map(|at| at + word.len()))
            .min()?;
        let list = line.get(start..).unwrap_or("").trim_start();
        let list = list.split([':', ' ', '\t']).next().unwrap_or(list);
        let rules = list.split(',').map(str::trim).filter(|rule| !rule.is_empty());
        // It speaks of its own line, and of the next one that is no comment.
        let last = first.get(index).copied().flatten().unwrap_or(index);
        let reach = Reach::Lines(number(index)..=number(last));
        Some(Pragma { index, rules: rules.map(str::to_owned).collect(), reach })
    };
    lines.iter().enumerate().filter_map(pragma).collect()
}
