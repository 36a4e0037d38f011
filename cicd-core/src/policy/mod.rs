//! Floor 1: exceptions and the verdict. Pure: today's date is an argument.

mod by_name;
mod evaluate;
mod exception;
mod inline;
mod justification;
mod suppression;

pub use by_name::FindingsByName;
pub use evaluate::{ExceptionCode, Verdict, evaluate, expired};
pub use exception::{Exception, Origin, Scope};
pub use inline::{MissingKeys, SuppressionCode, Unjustified, justification_above};
pub use justification::{InvalidJustification, Justification, REASON_CHARS_MIN, check_owner, check_reason};
pub use suppression::{Suppression, stray_configuration};
