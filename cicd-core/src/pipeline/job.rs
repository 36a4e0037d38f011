use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

use camino::Utf8PathBuf;

use super::StepReport;
use super::panics::contained;
use crate::model::{Facts, Finding};
use crate::policy::Exception;
use crate::process::{Invocation, SecretSource, ToolRequirement};
use crate::step::{
    Artifact, Author, Claims, Context, LoadError, Outcome, Outputs, Retry, Seal, Step, StepError, Wiring,
};

/// A step with its wiring, its types forgotten: what the scheduler runs.
pub(super) trait Job: Send + Sync {
    fn run(&self, cx: &Context, upstream: &Upstream) -> Result<JobEnd, StepError>;

    /// What its output is, as it is written beside its saved form.
    fn kind(&self) -> String;

    /// The output from its saved form.
    fn load(&self, _: &str) -> Result<Arc<dyn Any + Send + Sync>, LoadError> {
        Err(LoadError::Never)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        Vec::new()
    }

    fn secrets(&self) -> Vec<SecretSource> {
        Vec::new()
    }

    fn explain(&self) -> Vec<Invocation> {
        Vec::new()
    }

    fn claims(&self) -> Claims {
        Claims::none()
    }

    fn permissions(&self) -> Vec<Exception> {
        Vec::new()
    }

    fn relaxations(&self) -> Vec<Exception> {
        Vec::new()
    }

    fn exceptions_in_files(&self, _: &Context) -> Result<Vec<Exception>, StepError> {
        Ok(Vec::new())
    }

    fn retry(&self) -> Retry {
        Retry::NEVER
    }

    /// Every setting, for the definition of the pipeline.
    fn settings(&self) -> String;

    /// By what it is known whole, beside its settings, or why it has to be run again.
    fn known_by(&self) -> Result<String, &'static str> {
        Ok(String::new())
    }
}

/// What a job may see of the steps before it.
pub(super) struct Upstream {
    /// The outputs of the steps that ended green.
    pub(super) outputs: Outputs,
    /// The reports of every step that this one depends on, directly or not, by place.
    pub(super) ancestors: BTreeMap<usize, StepReport>,
    /// Whether an effect that depends on this step was asked for.
    pub(super) effect_wanted: bool,
}

pub(super) enum JobEnd {
    /// It looked.
    Looked(JobOutcome),
    /// It looked, and what it found leaves it without an output.
    Found(Box<Finding>),
    /// It holds its output back, for this reason, without anything being wrong.
    Withheld(String),
}

pub(super) struct JobOutcome {
    pub(super) output: Arc<dyn Any + Send + Sync>,
    pub(super) json: String,
    pub(super) findings: Vec<Finding>,
    pub(super) exceptions: Vec<Exception>,
    pub(super) facts: Facts,
    pub(super) attachments: Vec<Utf8PathBuf>,
}

impl JobOutcome {
    pub(super) fn of<T: Artifact>(outcome: Outcome<T>) -> Result<Self, StepError> {
        let Outcome { value, findings, exceptions, facts, attachments } = outcome;
        let json = value.save(&Seal::new()).map_err(|error| {
            StepError::not_looked(
                format!("its output cannot be written: {error}"),
                "give the output type a working `Serialize`",
            )
        })?;
        Ok(Self { output: Arc::new(value), json, findings, exceptions, facts, attachments })
    }
}

/// A step with what it says of itself, asked once, when it is added, where a panic is the pipeline's own. It cannot answer otherwise
/// later, and until the pipeline goes, its code runs only for a worker, who survives whatever it does.
pub(super) struct Asked {
    job: Box<dyn Job>,
    kind: String,
    tools: Vec<ToolRequirement>,
    secrets: Vec<SecretSource>,
    explain: Vec<Invocation>,
    claims: Claims,
    permissions: Vec<Exception>,
    relaxations: Vec<Exception>,
    retry: Retry,
    settings: String,
    known_by: Result<String, &'static str>,
}

impl Asked {
    pub(super) fn new(job: impl Job + 'static) -> Self {
        Self {
            kind: job.kind(),
            tools: job.tools(),
            secrets: job.secrets(),
            explain: job.explain(),
            claims: job.claims(),
            permissions: job.permissions(),
            relaxations: job.relaxations(),
            retry: job.retry(),
            settings: job.settings(),
            known_by: job.known_by(),
            job: Box::new(job),
        }
    }

    pub(super) fn run(&self, cx: &Context, upstream: &Upstream) -> Result<JobEnd, StepError> {
        contained(|| self.job.run(cx, upstream)).unwrap_or_else(|panic| Err(StepError::Panicked(panic)))
    }

    pub(super) fn load(&self, json: &str) -> Result<Arc<dyn Any + Send + Sync>, LoadError> {
        contained(|| self.job.load(json)).unwrap_or_else(|panic| Err(LoadError::Panicked(panic)))
    }

    pub(super) fn exceptions_in_files(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        contained(|| self.job.exceptions_in_files(cx)).unwrap_or_else(|panic| Err(StepError::Panicked(panic)))
    }

    pub(super) fn kind(&self) -> &str {
        &self.kind
    }

    pub(super) fn tools(&self) -> &[ToolRequirement] {
        &self.tools
    }

    pub(super) fn secrets(&self) -> &[SecretSource] {
        &self.secrets
    }

    pub(super) fn explain(&self) -> &[Invocation] {
        &self.explain
    }

    pub(super) fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(super) fn permissions(&self) -> &[Exception] {
        &self.permissions
    }

    pub(super) fn relaxations(&self) -> &[Exception] {
        &self.relaxations
    }

    pub(super) fn retry(&self) -> Retry {
        self.retry
    }

    pub(super) fn settings(&self) -> &str {
        &self.settings
    }

    pub(super) fn known_by(&self) -> Result<&str, &'static str> {
        self.known_by.as_deref().map_err(|why| *why)
    }
}

pub(super) struct StepJob<S: Step> {
    pub(super) step: S,
    pub(super) inputs: Wiring<S::Input>,
}

impl<S: Step> Job for StepJob<S> {
    fn run(&self, cx: &Context, upstream: &Upstream) -> Result<JobEnd, StepError> {
        let input = self
            .inputs
            .resolve(&upstream.outputs)
            .map_err(|error| StepError::not_looked(error.to_string(), "run the steps it needs too"))?;
        if self.step.looked_by(&Seal::new()) == Author::Anyone {
            cx.relies_on_environment();
        }
        match self.step.run(cx, input) {
            Ok(outcome) => Ok(JobEnd::Looked(JobOutcome::of(outcome)?)),
            Err(StepError::Found(finding)) => Ok(JobEnd::Found(finding)),
            Err(error) => Err(error),
        }
    }

    fn kind(&self) -> String {
        S::Output::kind(&Seal::new()).label()
    }

    fn load(&self, json: &str) -> Result<Arc<dyn Any + Send + Sync>, LoadError> {
        Ok(Arc::new(S::Output::load(json, &Seal::new())?))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        self.step.tools()
    }

    fn secrets(&self) -> Vec<SecretSource> {
        self.step.secrets()
    }

    fn explain(&self) -> Vec<Invocation> {
        self.step.explain()
    }

    fn claims(&self) -> Claims {
        let claims = self.step.claims();
        // Nobody knows what a command or a step of one's own runs.
        match self.step.author(&Seal::new()) {
            Author::Library => claims,
            Author::Anyone => claims.running_code(),
        }
    }

    fn permissions(&self) -> Vec<Exception> {
        self.step.permissions()
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.step.relaxations()
    }

    fn exceptions_in_files(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        self.step.exceptions_in_files(cx)
    }

    fn retry(&self) -> Retry {
        self.step.retry()
    }

    fn settings(&self) -> String {
        format!("{:?}", self.step)
    }

    fn known_by(&self) -> Result<String, &'static str> {
        let by_settings = match self.step.looked_by(&Seal::new()) {
            Author::Library if self.step.claims().runs_code() => {
                Err("it runs code of the repository, which may look at anything")
            }
            Author::Library => Ok(String::new()),
            Author::Anyone => {
                Err("it is not of this library and has no `resume_key`, so nobody knows what it depends on")
            }
        };
        self.step.resume_key().map_or(by_settings, Ok)
    }
}
