use camino::Utf8Path;

use crate::formats::{Paint, read_exceptions};
use crate::policy::Exception;
use crate::step::{Context, ReadError, StepError};

/// A tool that searches for secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Searcher {
    Trivy,
    Gitleaks,
}

impl Searcher {
    /// What it is called in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Trivy => "Trivy",
            Self::Gitleaks => "gitleaks",
        }
    }

    /// The code of what a rule of it finds. The other one has rules of the same names, and an exception is for what one of them found.
    pub(super) fn code(self, rule: &str) -> String {
        match self {
            Self::Trivy => rule.to_owned(),
            Self::Gitleaks => format!("gitleaks/{rule}"),
        }
    }

    /// What a file says that looks like a secret to this tool and is none; what is for the other is neither used nor missed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn exceptions(self, cx: &Context, path: Option<&Utf8Path>) -> Result<Vec<Exception>, StepError> {
        let Some(path) = path else { return Ok(Vec::new()) };
        let text = cx.read_text(path)?;
        let read = read_exceptions(&cx.relative(path), &text)
            .map_err(|error| ReadError::new("the exceptions", format!("\n{}", error.render(Paint::Plain))))?;
        let mut secrets = read.secrets;
        let of_gitleaks = Self::Gitleaks.code("");
        secrets.retain(|exception| exception.id.starts_with(&of_gitleaks) == (self == Self::Gitleaks));
        Ok(secrets)
    }
}
