use super::{Artifact, Context, Outcome, Step, StepError};
use crate::model::{Code, Finding};
use crate::process::{Exit, Invocation};

/// A step from a closure.
pub struct FnStep<I, O> {
    run: Box<RunFn<I, O>>,
}

type RunFn<I, O> = dyn Fn(&Context, I) -> Result<Outcome<O>, StepError> + Send + Sync;

/// Makes a step of a closure, for glue that needs no name of its own.
pub fn step_fn<I, O>(
    run: impl Fn(&Context, I) -> Result<Outcome<O>, StepError> + Send + Sync + 'static,
) -> FnStep<I, O> {
    FnStep { run: Box::new(run) }
}

impl<I: Send + 'static, O: Artifact> Step for FnStep<I, O> {
    type Input = I;
    type Output = O;

    fn run(&self, cx: &Context, input: I) -> Result<Outcome<O>, StepError> {
        (self.run)(cx, input)
    }
}

impl<I, O> std::fmt::Debug for FnStep<I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FnStep")
    }
}

/// A command whose exit code is the verdict: 0 passes, any other fails, a signal is an error.
#[derive(Debug, Clone)]
pub struct CommandStep {
    invocation: Invocation,
}

impl CommandStep {
    /// A step that runs this command.
    #[must_use]
    pub fn new(command: impl Into<Invocation>) -> Self {
        Self { invocation: command.into() }
    }
}

impl Step for CommandStep {
    type Input = ();
    type Output = ();

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        let captured = cx.run(&self.invocation)?;
        match captured.exit {
            Exit::Code(0) => Ok(Outcome::of(())),
            Exit::Code(code) => {
                let mut shown = captured.stderr_text();
                if shown.is_empty() {
                    let stdout = String::from_utf8_lossy(&captured.stdout);
                    let lines: Vec<_> = stdout.trim_end().lines().collect();
                    shown = lines[lines.len().saturating_sub(12)..].join("\n");
                }
                let message = format!("`{}` ended with exit code {code}", self.invocation);
                Ok(Outcome::of(()).findings([Finding::with_code(Code::from_static("CMD-001"), message).help(shown)]))
            }
            Exit::Signal(_) => Err(captured
                .require_success()
                .err()
                .map_or_else(|| StepError::Panicked("a signal is never a success".to_owned()), StepError::from)),
        }
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![self.invocation.clone()]
    }
}
