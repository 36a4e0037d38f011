use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The stable name of one kind of finding: ours (`IGN-003`), a tool's rule (`DL3008`, `F401`) or an
/// advisory (`CVE-2023-32681`). Scripts may match on it; it never changes meaning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(Cow<'static, str>);

impl Code {
    /// A code that is only known at run time, such as a tool's rule or an advisory.
    #[must_use]
    pub fn new(code: impl Into<String>) -> Self {
        Self(Cow::Owned(code.into()))
    }

    /// A code that is part of a program.
    #[must_use]
    pub const fn from_static(code: &'static str) -> Self {
        Self(Cow::Borrowed(code))
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What one code of ours means: a row of the table of finding codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeInfo {
    /// The stable code, such as `IGN-003`.
    pub code: &'static str,
    /// One line: what is wrong.
    pub summary: &'static str,
    /// One line: what to do about it.
    pub help: &'static str,
    /// The smallest input that gives this finding.
    pub example: &'static str,
}

/// An enum of finding codes that one step or check can give.
pub trait FindingCode: Copy + fmt::Debug + Sized + 'static {
    /// Every variant, in the order of its code.
    const ALL: &'static [Self];

    /// The row of the table for this variant.
    fn info(self) -> CodeInfo;

    /// The code alone.
    fn code(self) -> Code {
        Code::from_static(self.info().code)
    }
}

/// Declares an enum of finding codes together with the texts that document each of them, so that the
/// table in the documentation cannot drift from the code.
macro_rules! finding_codes {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($variant:ident = $code:literal {
        summary: $summary:literal, help: $help:literal, example: $example:literal $(,)?
    }),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        $vis enum $name {
            $(#[doc = concat!("`", $code, "`: ", $summary)] $variant,)+
        }

        impl $crate::model::FindingCode for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];

            fn info(self) -> $crate::model::CodeInfo {
                match self {
                    $(Self::$variant => $crate::model::CodeInfo {
                        code: $code, summary: $summary, help: $help, example: $example,
                    },)+
                }
            }
        }

        impl From<$name> for $crate::model::Code {
            fn from(code: $name) -> Self {
                $crate::model::FindingCode::code(code)
            }
        }
    };
}
pub(crate) use finding_codes;
