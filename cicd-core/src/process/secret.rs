use std::fmt;
use std::sync::Arc;

/// A secret shorter than this is found by chance in innocent text, and redacting it would spoil every report.
const SECRET_CHARS_MIN: usize = 6;

/// A value that is never shown: not by `Debug`, not in a report, not in a log. It has no `Display` and no `Serialize`.
#[derive(Clone)]
pub struct Secret {
    name: Arc<str>,
    value: Arc<str>,
}

/// A secret that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// Too short to be told from innocent text.
    #[error(
        "the secret {0} has fewer than {SECRET_CHARS_MIN} characters: redacting it would hide innocent text; use a longer one"
    )]
    TooShort(String),
    /// The variable it should come from is not set.
    #[error("the secret {0} should come from the environment variable {0}, which is not set")]
    NotSet(String),
}

impl Secret {
    /// A secret from a value.
    ///
    /// # Errors
    /// [`SecretError::TooShort`].
    pub fn new(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Result<Self, SecretError> {
        let (name, value) = (name.into(), value.into());
        if value.trim().chars().count() < SECRET_CHARS_MIN {
            return Err(SecretError::TooShort(name.to_string()));
        }
        Ok(Self { name, value })
    }

    /// Its name, which may be shown.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value, for handing to a process. Never format it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.value
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.name)
    }
}
