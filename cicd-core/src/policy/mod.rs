//! Floor 1: exceptions, what they are held to, and the verdict. Pure: today's date is an argument.

mod by_name;
mod codes;
mod evaluate;
mod exception;
mod inline;
mod justification;
mod keys;
mod limits;
mod reason;
mod suppression;

pub use by_name::FindingsByName;
pub use codes::ExceptionCode;
pub(crate) use evaluate::unsound;
pub use evaluate::{Verdict, blocking, evaluate, is_sound};
pub use exception::{Applies, Exception, Origin, Scope};
pub use inline::{MissingKeys, SuppressionCode, Unjustified, justification_above};
pub use justification::{InvalidJustification, Justification, check_owner};
pub use keys::{CommentLine, LIMIT, comment_line};
pub use limits::{ExpiryLimits, Policy};
pub use reason::{REASON_CHARS_MIN, check_reason};
pub use suppression::{Suppression, stray_configuration};
