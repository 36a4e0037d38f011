use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Context, RunContext, StepError};
use crate::files;
use crate::process::{Discard, Invocation, Secret, SecretError, SecretOrigin, SecretSource, execute};

/// The folder, inside a step's, that holds files with secrets while processes need them.
pub(crate) const SECRETS_FOLDER: &str = "secrets";
/// A command that prints a secret either answers at once or waits for a person who is not there.
const COMMAND_DEADLINE: Duration = Duration::from_secs(30);
/// A file beyond this is no secret but a mistake in a path; one line end may stand behind the longest secret.
const SECRET_BYTES_MAX: u64 = crate::process::SECRET_BYTES_MAX as u64 + 2;

/// Two steps never meet in one folder, but one step may write the same secret twice.
static NEXT_FILE: AtomicU32 = AtomicU32::new(0);

/// A file with a secret, readable by its owner only, that is removed with this value. Files that a killed run left behind
/// are removed by the next run.
#[derive(Debug)]
#[must_use = "the file is removed when this value is dropped"]
pub struct SecretFile {
    path: Utf8PathBuf,
}

impl SecretFile {
    fn create(folder: &Utf8Path, name: &str, secret: &Secret) -> Result<Self, StepError> {
        let folder = folder.join(NEXT_FILE.fetch_add(1, Ordering::Relaxed).to_string());
        // From here on it is removed, whatever happens.
        let file = Self { path: folder.join(name) };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(StepError::io("creating", &folder))?;
        let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file.path);
        let written = created.and_then(|mut file| file.write_all(secret.expose().as_bytes()));
        written.map_err(StepError::io("writing", &file.path))?;
        Ok(file)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The folder that it is in, alone, for tools that are told a folder. What they write beside it goes with it.
    #[must_use]
    pub fn folder(&self) -> &Utf8Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// The arguments that give it to `docker build`; `RUN --mount=type=secret,id=…` of the Dockerfile reads it, and no layer
    /// of the image holds it.
    #[must_use]
    pub fn buildkit(&self, id: &str) -> [String; 2] {
        ["--secret".to_owned(), format!("id={id},src={}", self.path)]
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        // Nothing can be told from here; the scrubbing of the step's folder still overwrites what stays.
        let _ = fs::remove_dir_all(self.folder());
    }
}

impl RunContext {
    /// Reads a secret where it is declared to come from; from now on it is redacted everywhere. A command is asked once a run.
    ///
    /// # Errors
    /// When it is not to be had, or cannot be redacted because it is no text or too short.
    pub fn secret(&self, source: &SecretSource) -> Result<Secret, StepError> {
        let secret = match source.origin() {
            SecretOrigin::Env => {
                let name = std::ffi::OsStr::new(source.name());
                let value = self.environment.variables.get(name);
                let value = value.ok_or_else(|| SecretError::NotSet(source.name().to_owned()))?;
                source.read(value.clone().into_encoded_bytes())?
            }
            SecretOrigin::File(path) => source.read(read_file(&self.workspace.path(path), source)?)?,
            SecretOrigin::Command(command) => {
                if let Some(known) = self.redactor.secrets().into_iter().find(|secret| secret.name() == source.name()) {
                    return Ok(known);
                }
                source.read(self.printed(command, source)?)?
            }
        };
        self.redactor.learn(&secret);
        Ok(secret)
    }

    /// Refuses a command line that holds a secret.
    pub(crate) fn refuse_secret_arguments(&self, invocation: &Invocation) -> Result<(), SecretError> {
        let revealed = |argument: &std::ffi::OsString| self.redactor.revealed(argument.as_encoded_bytes());
        match invocation.arguments().iter().find_map(revealed) {
            Some(name) => Err(SecretError::InArguments { name, program: invocation.program_name().to_owned() }),
            None => Ok(()),
        }
    }

    /// What a command prints. It goes nowhere else, and a failure tells only how the command ended: its output may hold a
    /// part of the secret.
    fn printed(&self, command: &Invocation, source: &SecretSource) -> Result<Vec<u8>, SecretError> {
        let unreadable = |why: String| SecretError::Unreadable { name: source.name().to_owned(), why };
        let program = match command.tool_name() {
            Some(tool) => self.toolbox.locate(tool),
            None => Some(self.workspace.path(command.program_name())),
        };
        let program = program.ok_or_else(|| unreadable(format!("{} is not installed", command.program_name())))?;
        let mut command = command.clone().deadline(COMMAND_DEADLINE);
        command.dir.get_or_insert_with(|| self.workspace.root().to_owned());
        command.search_path = Some(self.toolbox.search_path().to_owned());
        // What it starts is found again, by this run and, should that be killed, by the next one.
        command.temporary = self.temporary.as_ref().map(|folder| folder.path().as_str().into());
        command.mark = Some(format!("{}/secret-{}", self.dir, NEXT_FILE.fetch_add(1, Ordering::Relaxed)).into());
        let captured = execute(&command, &program, &mut Discard, &self.cancel)
            .map_err(|_| unreadable(format!("{} did not end as it should", command.program_name())))?;
        if !captured.success() {
            return Err(unreadable(format!("{} ended with {}", command.program_name(), captured.exit)));
        }
        Ok(captured.stdout)
    }
}

fn read_file(path: &Utf8Path, source: &SecretSource) -> Result<Vec<u8>, SecretError> {
    let unreadable = |why: String| SecretError::Unreadable { name: source.name().to_owned(), why };
    let bytes = files::read(path, SECRET_BYTES_MAX).map_err(|error| unreadable(error.to_string()))?;
    Ok(bytes)
}

impl Context {
    /// A secret that the step [declares](super::Step::secrets), or by name alone the environment variable of that name; from
    /// now on it is redacted everywhere.
    ///
    /// A secret that no step declares is only known from here on, so what ran earlier may have shown it.
    ///
    /// # Errors
    /// When it is not to be had, or cannot be redacted because it is no text or too short.
    pub fn secret(&self, source: impl Into<SecretSource>) -> Result<Secret, StepError> {
        let source = source.into();
        self.may_pass_on(source.name());
        match source.origin() {
            SecretOrigin::Env => self.relies_on_environment(),
            SecretOrigin::File(path) => self.relies_on_file(&self.path(path)),
            SecretOrigin::Command(_) => {
                self.relies_on_unknown(format!("the secret {}, which a command prints", source.name()));
            }
        }
        self.shared().secret(&source)
    }

    /// A file with a secret, for tools that take nothing else. It exists as long as the value that is returned.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn secret_file(&self, secret: &Secret) -> Result<SecretFile, StepError> {
        self.secret_file_named("secret", secret)
    }

    /// A file with a secret under a name that a tool looks for, such as `config.json`, in a folder of its own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn secret_file_named(&self, name: &str, secret: &Secret) -> Result<SecretFile, StepError> {
        SecretFile::create(&self.dir().join(SECRETS_FOLDER), name, secret)
    }
}
