use super::{Artifact, Claims, Context, Effect, Outcome, Permit, Step, StepError};
use crate::model::{Code, Finding, PRODUCTION, finding_codes};
use crate::policy::{Exception, Justification, Scope};
use crate::process::{Exit, Invocation, ProcessError};

finding_codes! {
    /// What a plain command can find.
    pub enum CommandCode {
        Failed = "CMD-001" {
            summary: "a command ended with an exit code other than 0",
            help: "run the command that is shown and mend what it says",
            example: "ci.command(\"fmt\", …) on unformatted code",
        },
    }
}

/// How much of a failing command's output is shown; the log has all of it.
const LINES_SHOWN: usize = 12;

/// A step from a closure.
pub struct FnStep<I, O> {
    run: Box<RunFn<I, O>>,
    effect: Effect,
    environment: String,
    resume_key: Option<String>,
    accepted: Vec<Exception>,
}

type RunFn<I, O> = dyn Fn(&Context, I) -> Result<Outcome<O>, StepError> + Send + Sync;

/// Makes a step of a closure, for glue that needs no name of its own.
pub fn step_fn<I, O>(
    run: impl Fn(&Context, I) -> Result<Outcome<O>, StepError> + Send + Sync + 'static,
) -> FnStep<I, O> {
    FnStep {
        run: Box::new(run),
        effect: Effect::None,
        environment: PRODUCTION.to_owned(),
        resume_key: None,
        accepted: Vec::new(),
    }
}

impl<I, O> FnStep<I, O> {
    /// Says what it changes in the world, under the name that `--effect` takes.
    #[must_use]
    pub fn effect(mut self, name: &'static str) -> Self {
        self.effect = Effect::Named(name);
        self
    }

    /// Says where it has its effect, where that is not `production`; see [`Step::environment`].
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = name.into();
        self
    }

    /// Accepts what the closure finds under this code, as far as the scope reaches. The exception is held to the pipeline's policy like
    /// any other, and is a finding where it covers nothing.
    ///
    /// ```
    /// use cicd_core::model::{Code, Finding};
    /// use cicd_core::pipeline::Pipeline;
    /// use cicd_core::policy::{Justification, Scope};
    /// use cicd_core::step::{Outcome, step_fn};
    ///
    /// let old = Code::from_static("ACME-7");
    /// let mut ci = Pipeline::new("example");
    /// let because = Justification::new("the printer at the till reads nothing newer", "@example/shop", "2027-03-01")?;
    /// let found = old.clone();
    /// let format = step_fn(move |_, ()| {
    ///     Ok(Outcome::of(()).findings([Finding::with_code(found.clone(), "receipts have the format of 2019")]))
    /// });
    /// ci.add("receipts", format.accept(old, Scope::Any, because), ());
    /// # Ok::<(), cicd_core::policy::InvalidJustification>(())
    /// ```
    #[must_use]
    #[track_caller]
    pub fn accept(mut self, code: impl Into<Code>, scope: Scope, because: Justification) -> Self {
        self.accepted.push(Exception::in_pipeline(code, scope, because));
        self
    }

    /// Says by what it is known whole, as [`Step::resume_key`] does: everything that it captured, in a word.
    #[must_use]
    pub fn resume_key(mut self, key: impl Into<String>) -> Self {
        self.resume_key = Some(key.into());
        self
    }
}

impl<I: Send + 'static, O: Artifact> Step for FnStep<I, O> {
    type Input = I;
    type Output = O;

    fn run(&self, cx: &Context, input: I) -> Result<Outcome<O>, StepError> {
        Ok((self.run)(cx, input)?.exceptions(self.accepted.clone()))
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.accepted.clone()
    }

    fn effect(&self) -> Effect {
        self.effect.clone()
    }

    fn environment(&self) -> &str {
        &self.environment
    }

    fn resume_key(&self) -> Option<String> {
        self.resume_key.clone()
    }
}

impl<I, O> std::fmt::Debug for FnStep<I, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("FnStep");
        shown.field("effect", &self.effect).field("environment", &self.environment);
        shown.field("resume_key", &self.resume_key).field("accepted", &self.accepted).finish_non_exhaustive()
    }
}

/// A command whose exit code is the verdict: 0 passes, any other fails, a signal is an error.
#[derive(Debug, Clone)]
pub struct CommandStep {
    invocation: Invocation,
    claims: Claims,
    resume_key: Option<String>,
}

impl CommandStep {
    /// A step that runs this command.
    #[must_use]
    pub fn new(command: impl Into<Invocation>) -> Self {
        Self { invocation: command.into(), claims: Claims::none(), resume_key: None }
    }

    /// Says what it changes in the world, under the name that `--effect` takes: `kubectl apply`, `cargo publish`. It takes the
    /// clearance of what it ships.
    ///
    /// ```
    /// use cicd_core::pipeline::Pipeline;
    /// use cicd_core::process::Invocation;
    /// use cicd_core::step::CommandStep;
    /// use cicd_core::steps::{DockerBuild, Push, Sbom};
    ///
    /// let mut ci = Pipeline::new("example");
    /// let image = ci.add("image", DockerBuild::context("app"), ());
    /// let listed = ci.add("sbom", Sbom::new(), &image);
    /// let cleared = ci.clear(&image, &listed);
    /// let pushed = ci.add("push", Push::to("registry.example.org/app"), &cleared);
    /// let apply = Invocation::tool("kubectl").args(["apply", "--filename", "deploy.yaml"]);
    /// ci.add("deploy", CommandStep::new(apply).effect("deploy"), &pushed);
    /// ci.check()?;
    /// # Ok::<(), cicd_core::pipeline::GraphError>(())
    /// ```
    #[must_use]
    pub fn effect(self, name: &'static str) -> EffectCommand {
        EffectCommand { command: self, effect: name, environment: PRODUCTION.to_owned() }
    }

    /// Sets what it needs for itself while it runs.
    #[must_use]
    pub fn claiming(mut self, claims: Claims) -> Self {
        self.claims = claims;
        self
    }

    /// Says by what it is known whole, as [`Step::resume_key`] does: the version of what the command starts itself, for one.
    #[must_use]
    pub fn resume_key(mut self, key: impl Into<String>) -> Self {
        self.resume_key = Some(key.into());
        self
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
                let stderr = captured.stderr_text();
                let shown = match stderr.is_empty() {
                    false => stderr,
                    // What was kept is the start of it.
                    true if captured.is_cut() => {
                        "it printed more than is kept here; the step's log has its end".to_owned()
                    }
                    true => last_lines(&captured.stdout),
                };
                let message = format!("`{}` ended with exit code {code}:\n{shown}", captured.command);
                Ok(Outcome::of(()).findings([Finding::new(CommandCode::Failed, message)]))
            }
            exit @ Exit::Signal(_) => {
                let stderr = captured.stderr_text();
                Err(ProcessError::Exited { command: captured.command, exit, stderr }.into())
            }
        }
    }

    fn explain(&self) -> Vec<Invocation> {
        vec![self.invocation.clone()]
    }

    fn claims(&self) -> Claims {
        self.claims.clone()
    }

    fn resume_key(&self) -> Option<String> {
        self.resume_key.clone()
    }
}

/// A command that changes something in the world; see [`CommandStep::effect`].
#[derive(Debug, Clone)]
pub struct EffectCommand {
    command: CommandStep,
    effect: &'static str,
    environment: String,
}

impl EffectCommand {
    /// Says where it has its effect, where that is not `production`; see [`Step::environment`].
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = name.into();
        self
    }
}

impl Step for EffectCommand {
    type Input = Permit;
    type Output = ();

    fn run(&self, cx: &Context, permit: Permit) -> Result<Outcome<()>, StepError> {
        permit.check(cx)?;
        self.command.run(cx, ())
    }

    fn explain(&self) -> Vec<Invocation> {
        self.command.explain()
    }

    fn claims(&self) -> Claims {
        self.command.claims()
    }

    fn effect(&self) -> Effect {
        Effect::Named(self.effect)
    }

    fn environment(&self) -> &str {
        &self.environment
    }
}

fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
}
