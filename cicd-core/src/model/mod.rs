//! Floor 0: values that every other floor speaks in. No input, no output, no clock.

mod attempt;
mod by_folder;
pub(crate) mod by_key;
mod code;
mod environment;
mod event;
mod exit;
mod facts;
mod finding;
mod location;
mod name;
mod revision;
mod severity;
mod status;
mod subject;
mod suggest;
mod target;

pub use attempt::Attempt;
pub(crate) use by_folder::ByFolder;
pub(crate) use code::finding_codes;
pub use code::{Code, CodeInfo, FindingCode};
pub use environment::{Environments, InvalidEnvironment, PRODUCTION};
pub use event::{Event, EventKind};
pub use exit::ExitStatus;
pub use facts::{Fact, Facts};
pub use finding::{ExceptionRef, Finding, Level};
pub use location::Location;
pub use name::{InvalidName, RunId, StepName};
pub use revision::Revision;
pub use severity::{ParseSeverityError, Severity};
pub use status::Status;
pub use subject::{Judged, Subject};
pub use suggest::closest;
pub(crate) use target::Reach;
pub use target::{Purl, Target};
