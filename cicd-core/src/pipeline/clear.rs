use super::StepReport;
use super::gates::Subjects;
use super::job::{Job, JobEnd, JobOutcome, Upstream};
use super::unchanged;
use crate::docker::{BaseOrigin, Fresh, Image};
use crate::model::{Finding, Severity, Subject, finding_codes};
use crate::policy::blocking;
use crate::step::{Cleared, Context, GateRecord, Handle, Kind, Outcome, StepError, Wiring};

finding_codes! {
    /// Why an image is not cleared.
    pub enum ClearanceCode {
        Blocked = "CLR-001" {
            summary: "a step before the clearance reported something that blocks it",
            help: "resolve what is named, or write down an exception for exactly that",
            example: "--effect push from a checkout with uncommitted changes",
        },
        OtherSubject = "CLR-002" {
            summary: "a gate looked at something else than the image or the commit it was built from",
            help: "wire the gate to the image that is to be cleared",
            example: "a scan of another image handed to `clear`",
        },
        Resumed = "CLR-003" {
            summary: "a step before the clearance was loaded from an earlier run",
            help: "run the whole pipeline again without --resume",
            example: "--resume --effect push",
        },
        OtherFiles = "CLR-004" {
            summary: "the files that were judged are not exactly those of the commit",
            help: "commit what belongs to it, restore or remove the rest, and run it again; `SourceCheck` tells more",
            example: "an edited file that `git update-index --skip-worktree` keeps out of git status",
        },
        UnprovenBase = "CLR-005" {
            summary: "the image is built on one of which only a step of the pipeline's own says what it is",
            help: "make the base with `PinnedBase` or `DockerBuild::intermediate`, or name it in the Dockerfile, where IMG-003 asks who answers for it",
            example: "a step of one's own that gives an `UnprovenBase`",
        },
    }
}

pub(super) struct ClearJob {
    pub(super) image: Handle<Image<Fresh>>,
    pub(super) gates: Wiring<Subjects>,
    pub(super) environment: String,
}

fn resumed(report: &StepReport) -> Option<Finding> {
    let run = report.loaded_from.as_ref()?;
    Some(Finding::new(ClearanceCode::Resumed, format!("{} was loaded from run {run}", report.name)))
}

/// What nobody knows of what an image is built on.
fn unproven(image: &Image<Fresh>) -> impl Iterator<Item = Finding> {
    let bases = image.bases.iter().filter(|base| base.origin == BaseOrigin::Unproven);
    bases.map(|base| {
        let message =
            format!("{} is built on {}, and no step of the library knows what that is", image.name, base.reference);
        Finding::new(ClearanceCode::UnprovenBase, message)
    })
}

impl ClearJob {
    /// What a step found that no exception allows in this environment.
    fn blocking(&self, report: &StepReport, cx: &Context) -> Vec<Finding> {
        let exceptions: Vec<_> = report.exceptions.iter().map(|one| &one.exception).collect();
        let open = blocking(&report.findings, &exceptions, &self.environment, cx.today()).into_iter();
        let blocked = open.map(|finding| {
            let elsewhere = finding.exception.as_ref().map_or_else(String::new, |exception| {
                format!(" (accepted in {} only, not in {})", exception.environments, self.environment)
            });
            let Finding { code, message, .. } = finding;
            Finding::new(ClearanceCode::Blocked, format!("{}: {code} {message}{elsewhere}", report.name))
        });
        blocked.collect()
    }
}

impl Job for ClearJob {
    fn run(&self, cx: &Context, upstream: &Upstream) -> Result<JobEnd, StepError> {
        let missing = |error: crate::step::InputError| StepError::not_looked(error.to_string(), "run the gates too");
        let image = upstream.outputs.get(&self.image).map_err(missing)?;
        let mut gates = Vec::new();
        let mut findings = Vec::new();
        for (node, subject) in self.gates.resolve(&upstream.outputs).map_err(missing)? {
            let report = upstream.ancestors.get(&node.index).ok_or_else(|| missing(crate::step::InputError(node)))?;
            if subject != Subject::Image(image.id.clone()) && subject != Subject::Commit(image.commit.clone()) {
                let message = format!(
                    "{} looked at {subject}, not at image {} built from commit {}",
                    report.name, image.id, image.commit
                );
                findings.push(Finding::new(ClearanceCode::OtherSubject, message).severity(Severity::Critical));
            }
            gates.push(GateRecord { step: report.name.clone(), subject });
        }
        let blockers: Vec<Finding> = upstream
            .ancestors
            .values()
            .flat_map(|report| self.blocking(report, cx))
            .chain(upstream.ancestors.values().filter_map(resumed))
            .chain(unproven(&image))
            .chain(unchanged::blockers(cx, upstream.ancestors.values())?)
            .collect();
        if !blockers.is_empty() && !upstream.effect_wanted && findings.is_empty() {
            let reasons: Vec<_> = blockers.iter().map(|finding| finding.message.as_str()).collect();
            return Ok(JobEnd::Withheld(format!("not cleared: {}", reasons.join("; "))));
        }
        findings.extend(blockers);
        let headline = format!("{} for {} by {} gates", image.short_id(), self.environment, gates.len());
        let cleared = Cleared::grant(cx, image, gates, self.environment.clone());
        let outcome = Outcome::of(cleared).findings(findings).headline(headline);
        Ok(JobEnd::Looked(JobOutcome::of(outcome)?))
    }

    fn kind(&self) -> String {
        Kind::Clearance.label()
    }

    /// What it compares is in the graph; what it clears for is not.
    fn settings(&self) -> String {
        format!("clearance for {}", self.environment)
    }
}

#[cfg(test)]
#[path = "clear_tests.rs"]
mod tests;
