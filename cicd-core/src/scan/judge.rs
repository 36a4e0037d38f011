use super::{ExitMeaning, Hit, Report, Scanner, Sources, comments};
use crate::model::Finding;
use crate::policy::Exception;
use crate::process::Exit;
use crate::step::{ReadError, StepError};

/// What a report comes to: findings, and the exceptions that comments make.
#[derive(Debug)]
pub struct Judgement {
    /// What was found, and what is wrong with comments.
    pub findings: Vec<Finding>,
    /// What comments allow.
    pub exceptions: Vec<Exception>,
}

/// Judges a report on `sources`: it must be about all of them and nothing else, and agree with the exit code.
///
/// # Errors
/// When it does not prove that the tool looked at every file.
pub fn judge<S: Scanner>(scanner: &S, sources: &Sources, report: &Report) -> Result<Judgement, StepError> {
    let tool = &sources.tool().name;
    let unreadable = |problem: String| ReadError::new(format!("{tool}'s report"), problem).help("see the step's log");
    if let Some(seen) = &report.seen {
        let missed: Vec<_> = sources.all_paths().difference(seen).collect();
        if let [first, ..] = missed.as_slice() {
            let (count, all) = (missed.len(), sources.count());
            let what = format!("{tool} did not look at {count} of {all} {}s, among them {first}", sources.what());
            return Err(StepError::not_looked(what, scanner.missed_help()));
        }
        if let Some(foreign) = seen.difference(sources.all_paths()).next() {
            return Err(unreadable(format!("it names {foreign}, which {tool} was not given")).into());
        }
    }
    if let Some(foreign) = report.hits.iter().find(|hit| !report.follows && !sources.contains(&hit.path)) {
        return Err(unreadable(format!("it names {}, which {tool} was not given", foreign.path)).into());
    }
    if scanner.exit_meaning() == ExitMeaning::ZeroIsClean
        && let Some((exit, count)) = report.exits.iter().find(|(exit, count)| (*exit == Exit::Code(0)) != (*count == 0))
    {
        return Err(unreadable(format!("it has {count} findings, but {tool} ended with {exit}")).into());
    }
    let comments = comments::gather(scanner, sources, report);
    let mut findings: Vec<_> = report.hits.iter().map(|Hit { finding, .. }| finding.clone()).collect();
    let exceptions = comments.settle(&mut findings);
    Ok(Judgement { findings, exceptions })
}
