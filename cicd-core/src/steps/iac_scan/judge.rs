use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use camino::{Utf8Path, Utf8PathBuf};
use regex::Regex;

use super::report::{Check, read};
use crate::formats::printable::printable;
use crate::model::{Code, Finding, Location, Severity};
use crate::policy::{Exception, Suppression};
use crate::process::{Captured, Exit};
use crate::step::{ReadError, StepError};

/// What checkov's log has for something it goes on without.
const COMPLAINTS: [&str; 4] = ["[ERROR]", "[WARNI]", "[WARNING]", "Traceback"];

#[derive(Debug)]
pub(super) struct Judgement {
    pub(super) findings: Vec<Finding>,
    pub(super) exceptions: Vec<Exception>,
    pub(super) checks: usize,
}

/// Judges a report on copies of `sources`, in which comments have no effect.
pub(super) fn judge(
    captured: &Captured,
    version: &semver::Version,
    sources: &[(Utf8PathBuf, String)],
) -> Result<Judgement, StepError> {
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
            .at(Location::file(plain(Utf8Path::new(path))))
            .into());
    }
    if let Some(check) = results.iter().flat_map(|results| &results.skipped_checks).next() {
        let what = format!("a comment has hidden {} in {}, although none was left", check.check_id, check.file_path);
        return Err(unreadable(what));
    }
    let failed: Vec<&Check> = results.iter().flat_map(|results| &results.failed_checks).collect();
    let passed = results.iter().flat_map(|results| &results.passed_checks);
    let all: Vec<&Check> = passed.chain(failed.iter().copied()).collect();
    every_file_checked(&all, sources)?;
    if (captured.exit == Exit::Code(1)) == failed.is_empty() {
        let problem = format!("it has {} failed checks, but checkov ended with {}", failed.len(), captured.exit);
        return Err(unreadable(problem));
    }
    let mut findings = failed.iter().map(|check| finding(check)).collect::<Result<Vec<_>, _>>()?;
    let (mut exceptions, mut unjustified) = (Vec::new(), Vec::new());
    for (path, text) in sources {
        let lines: Vec<_> = text.lines().collect();
        for (index, rules) in pragmas(&lines) {
            let reach = reach(&lines, index);
            let heard = |check: &Check| {
                let [first, last] = check.file_line_range;
                plain(&check.file_path) == path && reach.clone().any(|line| (first..=last).contains(&line))
            };
            let reached = failed.iter().zip(&findings).filter(|(check, _)| heard(check));
            let targets: Vec<_> = reached.filter_map(|(_, finding)| finding.target.clone()).collect();
            match (Suppression { path, lines: &lines, index }).exceptions(&rules, &targets) {
                Ok(some) => exceptions.extend(some),
                Err(finding) => unjustified.push(finding),
            }
        }
    }
    findings.extend(unjustified);
    Ok(Judgement { findings, exceptions, checks: all.len() })
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

/// Checkov writes a `/` before paths of folders.
fn plain(path: &Utf8Path) -> &Utf8Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn every_file_checked(all: &[&Check], sources: &[(Utf8PathBuf, String)]) -> Result<(), StepError> {
    let seen: BTreeSet<_> = all.iter().map(|check| plain(&check.file_path)).collect();
    let expected: BTreeSet<_> = sources.iter().map(|(path, _)| path.as_path()).collect();
    if let Some(missed) = expected.difference(&seen).next() {
        let count = expected.difference(&seen).count();
        return Err(StepError::not_looked(
            format!("checkov did not look at {count} of {} files, among them {missed}", expected.len()),
            "it passes over names that it does not take for a Dockerfile's, and workflows that its own schema does not allow, such as one with an expression for `cancel-in-progress`",
        ));
    }
    match seen.difference(&expected).next() {
        Some(foreign) => Err(unreadable(format!("it names {foreign}, which checkov was not given"))),
        None => Ok(()),
    }
}

fn finding(check: &Check) -> Result<Finding, StepError> {
    let severity = match check.severity.as_deref() {
        None => Severity::Medium,
        Some(word) => word.parse().map_err(unreadable)?,
    };
    let path = plain(&check.file_path);
    let line = check.file_line_range[0].max(1);
    let message = format!("{} ({})", printable(&check.check_name), printable(&check.resource));
    let finding = Finding::with_code(Code::new(printable(&check.check_id)), message)
        .severity(severity)
        .target(Location::line(printable(path.as_str()), line))
        .at(Location::line(path, line));
    Ok(match &check.guideline {
        Some(guideline) => finding.help(printable(guideline)),
        None => finding,
    })
}

/// The lines, from 1, that a comment speaks of: its own, and the next one that is no comment.
fn reach(lines: &[&str], index: usize) -> RangeInclusive<u32> {
    let line = |index: usize| u32::try_from(index + 1).unwrap_or(u32::MAX);
    let is_comment = |text: &&str| text.trim_start().starts_with('#');
    let next = (index..lines.len()).find(|&at| lines.get(at).is_some_and(|text| !is_comment(text)));
    line(index)..=line(next.unwrap_or(index))
}

/// The comments that ask checkov to say nothing: their lines from 0, and the rules they name.
fn pragmas(lines: &[&str]) -> Vec<(usize, Vec<String>)> {
    let pragma = |(index, line): (usize, &&str)| {
        let lower = line.to_ascii_lowercase();
        let start = ["checkov:skip=", "bridgecrew:skip=", "cortex:skip="]
            .iter()
            .filter_map(|word| lower.find(word).map(|at| at + word.len()))
            .min()?;
        let list = line.get(start..).unwrap_or("").trim_start();
        let list = list.split([':', ' ', '\t']).next().unwrap_or(list);
        let rules = list.split(',').map(str::trim).filter(|rule| !rule.is_empty());
        Some((index, rules.map(str::to_owned).collect()))
    };
    lines.iter().enumerate().filter_map(pragma).collect()
}
