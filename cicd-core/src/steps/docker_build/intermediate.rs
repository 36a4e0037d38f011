use super::DockerBuild;
use super::step::Purpose;
use crate::docker::{BaseImage, Bases};
use crate::policy::Exception;
use crate::process::{Invocation, SecretSource, ToolRequirement};
use crate::step::{Author, Claims, Context, Outcome, Seal, Step, StepError};

/// Builds an image that others start from, exactly as [`DockerBuild`] does, and judges it as such: its user and its health check
/// are of no interest, since it is never run. Its output is no `Image`, so nothing that leads to a deploy takes it.
#[derive(Debug, Clone)]
pub struct IntermediateBuild(DockerBuild);

impl IntermediateBuild {
    pub(super) fn new(build: DockerBuild) -> Self {
        Self(build)
    }
}

impl Step for IntermediateBuild {
    type Input = Bases;
    type Output = BaseImage;

    fn run(&self, cx: &Context, input: Bases) -> Result<Outcome<BaseImage>, StepError> {
        let outcome = self.0.build(cx, input, Purpose::Base)?;
        Ok(outcome.map(BaseImage::from))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        self.0.tools()
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.0.relaxations()
    }

    fn secrets(&self) -> Vec<SecretSource> {
        self.0.secrets()
    }

    fn explain(&self) -> Vec<Invocation> {
        self.0.explain()
    }

    fn claims(&self) -> Claims {
        self.0.claims()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}
