use camino::Utf8PathBuf;

use super::AuditCode;
use super::flaws::{every_locked, merge};
use super::pip_audit::{Opinion, ask, explain, pip_audit_tool};
use crate::formats::ignore_file::{self, IgnoreFile};
use crate::formats::printable::counted;
use crate::formats::requirements::LockedRequirements;
use crate::model::{Finding, Judged, Level, Location, Severity, Subject};
use crate::policy::{Applies, Exception, FindingsByName, Justification, Scope};
use crate::process::{Invocation, ToolRequirement};
use crate::python::LockFile;
use crate::step::{Author, Context, Outcome, ReadError, Seal, Step, StepError, proof};
use crate::trivy::ScanReport;

/// Judges the locked Python packages of an image by two sources: what Trivy's scan of it found, and, as a second opinion, what
/// the package index tells pip-audit.
///
/// ```
/// use cicd_core::steps::DependencyAudit;
///
/// let audit = DependencyAudit::locked("flask-app/requirements.txt").ignore_file("ci/.trivyignore");
/// ```
///
/// One flaw is one finding, whatever its names (`CVE`, `GHSA`, `PYSEC`) and however many sources know it. A locked package that
/// somebody was asked about and did not look at is an error. Where the package index does not answer, the step passes with
/// `AUD-001`, which blocks every clearance that follows from it.
///
/// The exceptions are those of the scan, from the same file; whether one of them is stale, the scan says. An entry for a flaw
/// that only pip-audit knows has the line `# found-by: pip-audit`; it is judged here, when the package index answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DependencyAudit {
    locked: LockFile,
    ignore_file: Option<Utf8PathBuf>,
    threshold: Severity,
    second_opinion: SecondOpinion,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum SecondOpinion {
    /// Without it, nothing is cleared.
    Wanted,
    /// Without it, there is no verdict.
    Required,
    /// Without it, this exception is spent.
    Spared(Exception),
}

impl DependencyAudit {
    /// The packages that this file pins, relative to the workspace; every flaw of any severity fails the step.
    #[must_use]
    pub fn locked(requirements: impl Into<LockFile>) -> Self {
        Self {
            locked: requirements.into(),
            ignore_file: None,
            threshold: Severity::Low,
            second_opinion: SecondOpinion::Wanted,
        }
    }

    /// The file with the exceptions, `.trivyignore` or `.trivyignore.yaml`; see [`ignore_file`].
    #[must_use]
    pub fn ignore_file(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.ignore_file = Some(path.into());
        self
    }

    /// The lowest severity that fails the step; what is below it is a warning. What nobody has rated always fails it.
    #[must_use]
    pub fn severity(mut self, threshold: Severity) -> Self {
        self.threshold = threshold;
        self
    }

    /// Makes it an error when the package index does not answer.
    #[must_use]
    pub fn second_opinion_required(mut self) -> Self {
        self.second_opinion = SecondOpinion::Required;
        self
    }

    /// Lets verdicts of Trivy alone clear effects. It is an exception like any other, and is only spent in runs in which the
    /// package index did not answer.
    #[must_use]
    #[track_caller]
    pub fn accept_one_source(mut self, justification: Justification) -> Self {
        self.second_opinion =
            SecondOpinion::Spared(Exception::in_pipeline(AuditCode::OneSource, Scope::Any, justification));
        self
    }

    fn read_ignore_file(&self, cx: &Context) -> Result<IgnoreFile, StepError> {
        let Some(path) = &self.ignore_file else { return Ok(IgnoreFile::default()) };
        let bytes = cx.read_file(path)?;
        Ok(ignore_file::read(&cx.relative(path), &bytes)
            .map_err(|error| ReadError::new("the ignore file", &error.problem).at(error.location))?)
    }

    /// What both sources together mean.
    pub(super) fn judge(
        &self,
        scan: ScanReport,
        locked: &LockedRequirements,
        opinion: Opinion,
        ledger: IgnoreFile,
    ) -> Result<Outcome<AuditReport>, StepError> {
        if !scan.python_judged {
            return Err(StepError::not_looked(
                format!("the {} knows nothing about Python packages", scan.database),
                "scan with a database that does",
            ));
        }
        let (audited, silent) = match opinion {
            Opinion::Given(audited) => (audited, None),
            Opinion::NotAvailable(why) => (Vec::new(), Some(why)),
        };
        every_locked(self.locked.path(), locked, &scan.python, silent.is_none().then_some(audited.as_slice()))?;
        let flaws = merge(&scan.python, &audited);
        let place = (self.locked.path(), locked);
        let mut findings: Vec<_> = flaws.iter().map(|flaw| flaw.finding(self.threshold, place)).collect();
        let by_name = FindingsByName::new(&findings, ledger.exceptions.iter().chain(&ledger.second_opinion));
        let is_used = |exception: &Exception| by_name.covered_by(exception).next().is_some();
        let mut exceptions: Vec<_> = ledger.exceptions.into_iter().filter(is_used).collect();
        let (used, unused): (Vec<_>, Vec<_>) = ledger.second_opinion.into_iter().partition(is_used);
        exceptions.extend(used);
        let undetermined = if silent.is_some() { unused.len() } else { 0 };
        // Whether an entry is needed, the silent index alone knows; how long it may last does not depend on that.
        let applies = if silent.is_some() { Applies::AtTimes } else { Applies::Here };
        exceptions.extend(unused.into_iter().map(|exception| exception.applies(applies)));
        findings.extend(ledger.findings);
        findings.extend(self.locked.findings(locked));
        exceptions.extend(self.locked.exceptions());
        let sources = if silent.is_none() { "Trivy and pip-audit" } else { "Trivy alone" };
        let value = AuditReport {
            image: scan.image,
            packages: scan.python.len(),
            flaws: flaws.len(),
            second_opinion: silent.is_none(),
        };
        let headline =
            format!("{}, {}, by {sources}", counted(value.packages, "package"), counted(value.flaws, "flaw"));
        let outcome = Outcome::of(value)
            .headline(headline)
            .fact("locked_packages", locked.packages.len())
            .fact("flaws", flaws.len())
            .fact("sources", sources)
            .fact("database", scan.database)
            .findings(findings)
            .exceptions(exceptions);
        match silent {
            Some(why) => self.without_second_opinion(outcome.fact("undetermined_entries", undetermined), why),
            None => Ok(outcome),
        }
    }

    fn without_second_opinion(
        &self,
        outcome: Outcome<AuditReport>,
        why: String,
    ) -> Result<Outcome<AuditReport>, StepError> {
        let accepted = match &self.second_opinion {
            SecondOpinion::Required => {
                return Err(StepError::not_looked(
                    format!("the package index gives no second opinion ({why})"),
                    "run where it answers, or do not require it",
                ));
            }
            SecondOpinion::Wanted => None,
            SecondOpinion::Spared(exception) => Some(exception.clone()),
        };
        let finding = Finding::new(AuditCode::OneSource, format!("no second opinion on {}: {why}", self.locked.path()))
            .level(Level::BlockClearance)
            .severity(Severity::Medium)
            .at(Location::file(self.locked.path()));
        Ok(outcome.fact("why_one_source", why).findings([finding]).exceptions(accepted))
    }
}

proof! {
    /// What an audit was about, and by whom.
    pub struct AuditReport("audit of the dependencies") {
        /// The id of the image.
        image: String => &str,
        /// How many Python packages it has.
        packages: usize,
        /// How many flaws were found, each counted once, whatever their severity and whether or not they are ignored.
        flaws: usize,
        /// Whether the package index gave a second opinion.
        second_opinion: bool,
    }
}

impl Judged for AuditReport {
    fn subject(&self) -> Subject {
        Subject::Image(self.image.clone())
    }
}

impl Step for DependencyAudit {
    type Input = ScanReport;
    type Output = AuditReport;

    fn run(&self, cx: &Context, scan: ScanReport) -> Result<Outcome<AuditReport>, StepError> {
        cx.require(&pip_audit_tool())?;
        let (ledger, locked) = (self.read_ignore_file(cx)?, self.locked.read(cx)?);
        cx.progress("asking the package index for a second opinion");
        let opinion = ask(cx, &locked)?;
        self.judge(scan, &locked, opinion, ledger)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![pip_audit_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        explain()
    }

    fn relaxations(&self) -> Vec<Exception> {
        let mut all = self.locked.exceptions();
        match &self.second_opinion {
            SecondOpinion::Spared(exception) => all.push(exception.clone()),
            SecondOpinion::Required | SecondOpinion::Wanted => {}
        }
        all
    }

    fn exceptions_in_files(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        Ok(self.read_ignore_file(cx)?.second_opinion)
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}
