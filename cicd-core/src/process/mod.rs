//! Floor 2: the only place that starts a process.
//!
//! Every process runs in its own process group, with a deadline, an empty standard input, its full output in the step's
//! log and a bounded part of it in memory. When a process ends, for whatever reason, nothing of its group is left.

mod cancel;
mod captured;
mod child;
mod ended;
mod error;
mod execute;
mod guard;
mod invocation;
mod redact;
mod secret;
mod sink;
#[cfg(target_os = "linux")]
mod strays;
mod temporary;
mod toolbox;
mod tools;

pub use cancel::{Cancel, CancelReason};
pub use captured::{Captured, Exit};
pub(crate) use ended::has_ended;
pub use error::ProcessError;
pub use execute::{GRACE, execute};
pub use guard::Guard;
pub use invocation::{DEADLINE_DEFAULT, Invocation, Program};
pub(crate) use invocation::{GIT_REPOSITORY_VARIABLES, MARK};
pub use redact::{REDACTED, Redactor, StreamRedactor};
pub(crate) use secret::SECRET_BYTES_MAX;
pub use secret::{Secret, SecretError, SecretOrigin, SecretSource};
pub use sink::{Discard, OutputSink, Stream};
#[cfg(target_os = "linux")]
pub(crate) use strays::{adopt_orphans, end_all};
pub use temporary::{Temporary, sweep_temporary};
pub use toolbox::Toolbox;
pub use tools::{Probe, Tool, ToolError, ToolProblem, ToolRequirement};
