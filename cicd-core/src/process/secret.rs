use std::fmt;
use std::sync::Arc;

use camino::Utf8PathBuf;

use super::Invocation;

/// A secret shorter than this is found by chance in innocent text, and redacting it would spoil every report.
const SECRET_CHARS_MIN: usize = 6;

/// Keys and certificates have a few kilobytes, and each kilobyte makes hundreds of forms to search for.
pub(crate) const SECRET_BYTES_MAX: usize = 16 << 10;

/// A value that is never shown: not by `Debug`, not in a report, not in a log. It has no `Display` and no `Serialize`.
#[derive(Clone)]
pub struct Secret {
    name: Arc<str>,
    value: Arc<str>,
}

/// Where a secret comes from: declared once, beside the step that needs it, and read when a run begins.
///
/// ```
/// use cicd_core::process::{Invocation, Secret};
///
/// let token = Secret::env("REGISTRY_TOKEN");
/// let key = Secret::file("/run/secrets/signing-key");
/// let password = Secret::command("database", Invocation::tool("pass").args(["show", "ci/database"]));
/// assert_eq!([token.name(), key.name(), password.name()], ["REGISTRY_TOKEN", "/run/secrets/signing-key", "database"]);
/// ```
#[derive(Debug, Clone)]
pub struct SecretSource {
    name: Arc<str>,
    origin: SecretOrigin,
}

/// The kinds of places that a secret can come from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SecretOrigin {
    /// The environment variable of the secret's name.
    Env,
    /// A file, relative to the workspace's root; one line end at its end is not part of the secret.
    File(Utf8PathBuf),
    /// What a command prints; one line end at its end is not part of the secret. Nothing of its output is kept.
    Command(Box<Invocation>),
}

impl SecretSource {
    /// The secret's name, which may be shown.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it comes from.
    #[must_use]
    pub fn origin(&self) -> &SecretOrigin {
        &self.origin
    }

    /// The secret, once its value has been read.
    ///
    /// # Errors
    /// When it is not text, or too short.
    pub fn read(&self, mut bytes: Vec<u8>) -> Result<Secret, SecretError> {
        if !matches!(self.origin, SecretOrigin::Env) && bytes.ends_with(b"\n") {
            bytes.truncate(bytes.len() - if bytes.ends_with(b"\r\n") { 2 } else { 1 });
        }
        let value = String::from_utf8(bytes).map_err(|_| SecretError::NotText(self.name.to_string()))?;
        Secret::new(Arc::clone(&self.name), value)
    }
}

/// A name alone means the environment variable of that name.
impl From<&str> for SecretSource {
    fn from(name: &str) -> Self {
        Secret::env(name)
    }
}

impl From<&String> for SecretSource {
    fn from(name: &String) -> Self {
        Secret::env(name.as_str())
    }
}

impl From<&Self> for SecretSource {
    fn from(source: &Self) -> Self {
        source.clone()
    }
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
    /// Too long to be searched for in every form.
    #[error(
        "the secret {0} has more than {SECRET_BYTES_MAX} bytes, too many to search for; declare the parts of it that are secret"
    )]
    TooLong(String),
    /// The variable it should come from is not set.
    #[error("the secret {0} should come from the environment variable {0}, which is not set")]
    NotSet(String),
    /// Its value is not UTF-8.
    #[error(
        "the secret {0} is not UTF-8 text, so it could not be recognised in what is shown; encode it, in base64 say"
    )]
    NotText(String),
    /// The place it should come from gave nothing.
    #[error("the secret {name} cannot be had: {why}")]
    Unreadable {
        /// Its name.
        name: String,
        /// What went wrong, without anything that the place gave.
        why: String,
    },
    /// It stands in a command line, where every process of the machine can read it.
    #[error(
        "the secret {name} is in the arguments of {program}, which every process of this machine can read; hand it on with `env_secret`, `Context::secret_file` or on standard input"
    )]
    InArguments {
        /// Its name.
        name: String,
        /// The program.
        program: String,
    },
}

impl Secret {
    /// Declares a secret that comes from the environment variable `name`.
    #[must_use]
    pub fn env(name: impl Into<Arc<str>>) -> SecretSource {
        SecretSource { name: name.into(), origin: SecretOrigin::Env }
    }

    /// Declares a secret that is the content of a file, named after its path.
    #[must_use]
    pub fn file(path: impl Into<Utf8PathBuf>) -> SecretSource {
        let path = path.into();
        SecretSource { name: path.as_str().into(), origin: SecretOrigin::File(path) }
    }

    /// Declares a secret that a command prints, such as a password store's.
    #[must_use]
    pub fn command(name: impl Into<Arc<str>>, command: impl Into<Invocation>) -> SecretSource {
        SecretSource { name: name.into(), origin: SecretOrigin::Command(Box::new(command.into())) }
    }

    /// A secret from a value.
    ///
    /// # Errors
    /// [`SecretError::TooShort`], for which line ends do not count, and [`SecretError::TooLong`].
    pub fn new(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Result<Self, SecretError> {
        let (name, value) = (name.into(), value.into());
        if value.trim().chars().filter(|character| !matches!(character, '\n' | '\r' | '\0')).count() < SECRET_CHARS_MIN
        {
            return Err(SecretError::TooShort(name.to_string()));
        }
        if value.len() > SECRET_BYTES_MAX {
            return Err(SecretError::TooLong(name.to_string()));
        }
        Ok(Self { name, value })
    }

    /// Its name, which may be shown.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The lines of its value that can be told from innocent text: a closing bracket on a line of its own cannot.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.value.lines().map(str::trim).filter(|line| line.chars().count() >= SECRET_CHARS_MIN)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_text_that_can_be_told_from_innocent_text() {
        let file = Secret::file("key");
        assert_eq!(file.read(b"0123456789\r\n".to_vec()).expect("a secret").expose(), "0123456789");
        assert_eq!(Secret::env("KEY").read(b"0123456789\n".to_vec()).expect("a secret").expose(), "0123456789\n");
        assert_eq!(file.read(b"abc\n".to_vec()).expect_err("short"), SecretError::TooShort("key".to_owned()));
        assert_eq!(file.read(b"\xff0123456789".to_vec()).expect_err("bytes"), SecretError::NotText("key".to_owned()));
        let short = file.read(b"a\nb\nc\nd\ne".to_vec()).expect_err("line ends hide nothing");
        assert_eq!(short, SecretError::TooShort("key".to_owned()));
        let long = file.read(vec![b'x'; SECRET_BYTES_MAX + 1]).expect_err("no key is so long");
        assert_eq!(long, SecretError::TooLong("key".to_owned()));
        assert_eq!(format!("{:?}", file.read(b"0123456789".to_vec()).expect("a secret")), "Secret(key)");
    }
}
