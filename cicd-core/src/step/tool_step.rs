use super::{Artifact, Claims, Context, Outcome, ReadError, Step, StepError};
use crate::process::{Captured, Invocation, SecretSource, ToolRequirement};

/// A step that runs one tool and reads what it left: two pure functions, so it can be tested on recorded output without the
/// tool and shown without being run. Everything between them is the library's.
pub trait ToolStep: std::fmt::Debug + Send + Sync + 'static {
    /// What it needs from earlier steps.
    type Input: Send + 'static;
    /// What later steps may use.
    type Output: Artifact;

    /// The tool.
    fn tool(&self) -> ToolRequirement;

    /// The command line. `cx` gives paths and dates; nothing is to be run or read here.
    ///
    /// # Errors
    /// When the input makes no command line.
    fn invocation(&self, cx: &Context, input: &Self::Input) -> Result<Invocation, StepError>;

    /// The meaning of what the tool left: its exit code, output and report.
    ///
    /// # Errors
    /// When that does not prove that the tool looked.
    fn read(&self, cx: &Context, input: Self::Input, captured: &Captured) -> Result<Outcome<Self::Output>, ReadError>;

    /// What it needs for itself while it runs.
    fn claims(&self) -> Claims {
        Claims::none()
    }

    /// The secrets it hands to its tool; see [`Step::secrets`].
    fn secrets(&self) -> Vec<SecretSource> {
        Vec::new()
    }

    /// The command line for `--explain`, with `<placeholders>` for what is only known later.
    fn explain(&self) -> Vec<Invocation> {
        Vec::new()
    }
}

impl<T: ToolStep> Step for T {
    type Input = T::Input;
    type Output = T::Output;

    fn run(&self, cx: &Context, input: Self::Input) -> Result<Outcome<Self::Output>, StepError> {
        cx.require(&ToolStep::tool(self))?;
        let invocation = self.invocation(cx, &input)?;
        let captured = cx.run(&invocation)?;
        Ok(self.read(cx, input, &captured)?)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![ToolStep::tool(self)]
    }

    fn claims(&self) -> Claims {
        ToolStep::claims(self)
    }

    fn secrets(&self) -> Vec<SecretSource> {
        ToolStep::secrets(self)
    }

    fn explain(&self) -> Vec<Invocation> {
        ToolStep::explain(self)
    }
}
