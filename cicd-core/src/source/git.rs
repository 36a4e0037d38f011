use std::io;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::process::{Cancel, Captured, Discard, Invocation, ProcessError, Toolbox, execute};

/// Git answers at once, or its index is locked by something that hangs; a list of a million files takes seconds.
const DEADLINE: Duration = Duration::from_secs(60);
/// A list of a million files with long names.
const LIST_BYTES_MAX: usize = 256 << 20;
/// What would let git answer for another repository, look away, or start something.
const SETTINGS: [&str; 5] = [
    "core.fsmonitor=false",
    "core.untrackedCache=false",
    "core.ignoreCase=false",
    "core.hooksPath=/dev/null",
    "advice.graftFileDeprecated=false",
];

/// A call of git that answers for the repository it is asked in and for what that has committed: without replacements and grafts, and
/// whatever the environment and the settings say. It writes nothing and fetches nothing.
pub(crate) fn truthful_git<'a>(args: impl IntoIterator<Item = &'a str>) -> Invocation {
    let settings = SETTINGS.iter().flat_map(|setting| ["-c", setting]);
    Invocation::tool("git")
        .args(settings.chain(args))
        .env_remove_prefix("GIT_")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_GRAFT_FILE", "/dev/null")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_NO_LAZY_FETCH", "1")
}

/// Git, asked in one folder.
pub(super) struct Git<'a> {
    program: Utf8PathBuf,
    folder: Utf8PathBuf,
    cancel: &'a Cancel,
}

impl<'a> Git<'a> {
    pub(super) fn find(folder: &Utf8Path, toolbox: &Toolbox, cancel: &'a Cancel) -> Result<Self, String> {
        let program = toolbox.locate("git").ok_or("git is not installed, so the commit cannot be told")?;
        Ok(Self { program, folder: folder.to_owned(), cancel })
    }

    pub(super) fn at(self, folder: &Utf8Path) -> Self {
        Self { folder: folder.to_owned(), ..self }
    }

    /// What a call that must succeed prints.
    pub(super) fn ask(&self, args: &[&str]) -> Result<Vec<u8>, String> {
        whole(self.run(args, Vec::new())?.require_success().map_err(|error| error.to_string())?)
    }

    /// The same with this input; exit code 1 says that there is nothing to print.
    pub(super) fn ask_about(&self, args: &[&str], input: Vec<u8>) -> Result<Vec<u8>, String> {
        whole(self.run(args, input)?.require_exit(&[0, 1]).map_err(|error| error.to_string())?)
    }

    fn run(&self, args: &[&str], input: Vec<u8>) -> Result<Captured, String> {
        let call = truthful_git(args.iter().copied())
            .dir(&self.folder)
            .deadline(DEADLINE)
            .stdin(input)
            .stdout_bytes_max(LIST_BYTES_MAX);
        execute(&call, &self.program, &mut Discard, self.cancel).map_err(|error: ProcessError| error.to_string())
    }
}

fn whole(captured: Captured) -> Result<Vec<u8>, String> {
    if captured.stdout_bytes > captured.stdout.len() as u64 {
        return Err(format!("{} prints more than {LIST_BYTES_MAX} bytes", captured.command));
    }
    Ok(captured.stdout)
}

/// One line of an answer, which a path may be.
pub(super) fn line(bytes: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the path of the repository is not UTF-8".to_owned())?;
    Ok(text.strip_suffix('\n').unwrap_or(text))
}

/// The entries of a list that is separated by zero bytes. A name that is not UTF-8 cannot be handed on, so it is an error.
pub(super) fn entries(bytes: &[u8]) -> impl Iterator<Item = Result<&str, String>> {
    bytes.split(|&byte| byte == 0).filter(|entry| !entry.is_empty()).map(|entry| {
        std::str::from_utf8(entry).map_err(|_| {
            let shown = entry.escape_ascii();
            format!(
                "git tracks a file whose name is not UTF-8 ({shown}); rename it, or no tool can be told to look at it"
            )
        })
    })
}

/// What the system says of a path, with the path.
pub(super) fn told(path: impl std::fmt::Display) -> impl FnOnce(io::Error) -> String {
    move |error| format!("{path}: {error}")
}
