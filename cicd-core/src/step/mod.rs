//! Floor 3: what a step is, what it is given and what it gives back.

mod artifact;
mod claims;
mod cleared;
mod clock;
mod context;
mod disk;
mod error;
mod events;
mod files;
mod inputs;
mod judgement;
mod kinds;
mod log;
mod outcome;
mod plain;
mod proof;
mod relied;
mod retry;
mod secrets;
mod tracked;
mod workspace;

pub use artifact::Artifact;
pub(crate) use artifact::sealed::Seal;
pub(crate) use artifact::{Author, Kind, LoadError};
pub use claims::{Claims, Effect};
pub(crate) use cleared::RunToken;
pub use cleared::{Cleared, GateRecord, Permit};
pub use clock::Clock;
pub use context::{Context, RunContext, RunEnvironment};
pub(crate) use disk::is_full;
pub use error::{ReadError, StepError};
pub use events::{EventQueue, EventRecord, EventSender};
pub(crate) use inputs::{Converted, Outputs, Wiring};
pub use inputs::{Handle, InputError, Inputs, NodeId};
pub use judgement::{Given, Judgement};
pub(crate) use kinds::Kinds;
pub use log::StepLog;
pub use outcome::Outcome;
pub use plain::{CommandCode, CommandStep, EffectCommand, FnStep, step_fn};
pub use proof::Proof;
pub(crate) use proof::{proof, proof_getter};
pub use relied::ReliedOn;
pub use retry::Retry;
pub(crate) use secrets::SECRETS_FOLDER;
pub use secrets::SecretFile;
pub use tracked::{Extent, git_tool};
pub use workspace::{LimitsError, Workspace, WorkspaceError};

use std::fmt;

use crate::model::PRODUCTION;
use crate::policy::Exception;
use crate::process::{Invocation, SecretSource, ToolRequirement};

/// One check or action: a value that says what is wanted, with typed input and typed output.
///
/// `Err` means *could not decide* (a tool is missing, was killed, saw nothing); `Ok` means *looked*, with findings as data.
///
/// Its debug form is what a run's definition says of its settings: two steps that would look at something in another way differ in it.
pub trait Step: fmt::Debug + Send + Sync + 'static {
    /// What it needs from earlier steps: `()`, one output, or a tuple or `Vec` of outputs.
    type Input: Send + 'static;
    /// What later steps may use.
    type Output: Artifact;

    /// Looks.
    ///
    /// # Errors
    /// When it cannot decide. A step that found something wrong returns `Ok` with findings.
    fn run(&self, cx: &Context, input: Self::Input) -> Result<Outcome<Self::Output>, StepError>;

    /// The tools it runs; all tools of a run are found and checked before its first step starts.
    fn tools(&self) -> Vec<ToolRequirement> {
        Vec::new()
    }

    /// The secrets it hands to processes. All secrets of a run are read before its first step starts, so that nothing shows
    /// them, whichever step it is; a step that lacks one is an error.
    fn secrets(&self) -> Vec<SecretSource> {
        Vec::new()
    }

    /// The command lines it will run, for `--explain`; where a value is only known later, a `<placeholder>` stands.
    fn explain(&self) -> Vec<Invocation> {
        Vec::new()
    }

    /// What it needs for itself while it runs.
    fn claims(&self) -> Claims {
        Claims::none()
    }

    /// What it does that only a justification allows, and that has happened by the time its findings are judged, such as load on
    /// another machine. It does not start where the pipeline's policy does not accept one of these exceptions.
    fn permissions(&self) -> Vec<Exception> {
        Vec::new()
    }

    /// The exceptions among its own settings. Each is held to the policy whatever becomes of the step: also where it could not look,
    /// or was not started. A step that brings one in its [`Outcome`] all the same, and does not name it here, is an error.
    fn relaxations(&self) -> Vec<Exception> {
        self.permissions()
    }

    /// The exceptions for it that files of the repository hold, asked only where it came to no verdict, so that they are held to the
    /// policy then too.
    ///
    /// # Errors
    /// When a file cannot be read.
    fn exceptions_in_files(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        let _ = cx;
        Ok(Vec::new())
    }

    /// How often it is tried again when a network or a server fails it. Only errors that the step itself calls
    /// [transient](StepError::Transient), as [`Context::run_remote`] does, are worth it: a finding never is. The next attempt
    /// begins with an empty folder; the step keeps its claims meanwhile.
    fn retry(&self) -> Retry {
        Retry::NEVER
    }

    /// What it changes in the world. Steps with an effect run only when asked for by name, and only with a [`Cleared`] among their
    /// inputs, or where [`Pipeline::nothing_to_clear`](crate::pipeline::Pipeline::nothing_to_clear) says why there is none. Asked
    /// once, when the step is added.
    fn effect(&self) -> Effect {
        Effect::None
    }

    /// Where it has its effect: a clearance for another environment is refused when the graph is checked, as what is accepted for a
    /// laptop clears nothing for production. Asked once, when the step is added.
    fn environment(&self) -> &str {
        PRODUCTION
    }

    /// By what the step is known whole, so that `--resume` may load what it came to in the last run: a word that is another one as soon
    /// as it would look at something in another way. Whoever gives one vouches that the step depends on nothing but the files of the
    /// repository, the environment, the programs that it starts and this word. Without one, a step that is not of this library, or
    /// that runs code of the repository, is run again.
    fn resume_key(&self) -> Option<String> {
        None
    }

    /// Whose code looks: a step of the library may be given a part of anybody's.
    #[doc(hidden)]
    fn looked_by(&self, seal: &Seal) -> Author {
        self.author(seal)
    }

    /// Whose step it is: a proof comes out of the step that makes it, never through another one.
    #[doc(hidden)]
    fn author(&self, _: &Seal) -> Author {
        Author::Anyone
    }
}
