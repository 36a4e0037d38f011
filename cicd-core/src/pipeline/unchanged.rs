use std::collections::{BTreeMap, BTreeSet};

use super::StepReport;
use super::clear::ClearanceCode;
use super::resume::{changed, changes};
use crate::model::{Finding, Location, Severity, Status, StepName};
use crate::source::named;
use crate::step::{Context, RunContext, StepError};

/// More differences than this are counted, not named.
const DIFFERENCES_NAMED_MAX: usize = 20;

/// What to do about files that changed.
const AGAIN: &str = "run it again, and let nothing change the checkout meanwhile";
/// The name under which a run tells that it cannot rely on what its steps have looked at.
const NAME: &str = "unchanged";

fn written_to(what: &str) -> String {
    format!("{what} was written to or moved while the run went on: nobody knows what its steps have looked at")
}

/// Tells, when all steps have ended, that files of the checkout or tools were written to meanwhile, whether or not they are as they were.
pub(super) fn at_the_end(run: &RunContext) -> Option<StepReport> {
    let source = run.source.as_ref().ok();
    let files = source.map(|source| source.written_since(run.workspace.root())).filter(|files| !files.is_empty());
    let files = files.map(|files| format!("{}; {AGAIN}", written_to(&named(&files))));
    let problems: Vec<String> = files.into_iter().chain(run.toolbox.altered_since()).collect();
    let name = StepName::new(NAME).ok()?;
    (!problems.is_empty()).then(|| StepReport::not_run(&name, Status::Error, problems.join("\n")))
}

/// Why the files that were judged are not those of the commit, or not all that was there to be judged. What is hidden from the list
/// of files is accepted where a step before the clearance has told it and an exception allows that.
///
/// # Errors
/// When the files cannot be told, or changed while the run went on: then nobody knows what its steps have looked at.
pub(super) fn blockers<'a>(
    cx: &Context,
    before: impl Iterator<Item = &'a StepReport>,
) -> Result<Vec<Finding>, StepError> {
    let source = cx.source()?;
    // Both came from outside; what was built says that it is of this commit.
    let (said, listed) = (&cx.revision()?.commit, source.revision());
    if !listed.as_ref().is_ok_and(|listed| listed.commit == *said) {
        let listed = listed.map_or_else(|why| why, |listed| listed.commit);
        return Err(StepError::not_looked(
            format!("the run was told that commit {said} is checked out, and the files are of {listed}"),
            "let `Outside::gather` find out what is checked out",
        ));
    }
    let now = cx.source_now().map_err(|why| {
        StepError::not_looked(format!("the files cannot be compared with what was judged: {why}"), "run it again")
    })?;
    if now.identity() != source.identity() {
        let files = changes(&changed(&source.listing(), &now.listing()));
        return Err(StepError::not_looked(
            format!("files changed while the run went on: {files}"),
            "run it again, and let nothing change the checkout meanwhile",
        ));
    }
    let written = source.written_since(cx.root());
    if !written.is_empty() {
        return Err(StepError::not_looked(written_to(&named(&written)), AGAIN));
    }
    let accepted: BTreeSet<&str> = before
        .flat_map(|report| &report.findings)
        .filter(|finding| finding.exception.is_some() && finding.code.as_str().starts_with("SRC-"))
        .filter_map(|finding| finding.location.as_ref().map(|location| location.path.as_str()))
        .collect();
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for hidden in source.hidden().iter().filter(|hidden| !accepted.contains(hidden.path.as_str())) {
        found.insert(hidden.path.to_string(), format!("git ignores {} ({})", hidden.path, hidden.rule));
    }
    for foreign in source.foreign().iter().filter(|foreign| !accepted.contains(foreign.path.as_str())) {
        found.insert(foreign.path.to_string(), format!("{} belongs to another repository", foreign.path));
    }
    for difference in source.differences() {
        found.insert(difference.path.to_string(), difference.to_string());
    }
    let more = found.len().saturating_sub(DIFFERENCES_NAMED_MAX);
    let blocker = |message: String| Finding::new(ClearanceCode::OtherFiles, message).severity(Severity::Medium);
    let named = found.into_iter().take(DIFFERENCES_NAMED_MAX);
    let named = named.map(|(path, message)| blocker(message).at(Location::file(path)));
    let more = (more > 0).then(|| format!("and {more} more files"));
    Ok(named.chain(more.into_iter().chain(source.unseen()).map(blocker)).collect())
}

#[cfg(test)]
#[path = "unchanged_tests.rs"]
mod tests;
