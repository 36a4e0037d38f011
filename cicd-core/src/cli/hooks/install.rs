use std::error::Error;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::git::Git;
use crate::cli::{Output, machine};
use crate::files;
use crate::model::ExitStatus;
use crate::step::{StepError, Workspace};

/// What other hook managers, and people, have to run.
const COMMAND: &str = "cargo xtask hooks run";
/// How the second line of a script of ours begins; the number is that of its form.
const MARK: &str = "# cicd-core hook 1: ";
/// A hook is small; a larger file is none of ours.
const SCRIPT_BYTES_MAX: u64 = 64 << 10;
/// Readable and executable by everybody, as git's own samples are.
const EXECUTABLE: u32 = 0o755;

/// Writes the hook, unless there is one or git looks for hooks elsewhere: nothing that somebody else has set up is changed.
pub(in crate::cli) fn install(workspace: &Workspace) -> Result<ExitStatus, Box<dyn Error>> {
    let place = Place::find(workspace)?;
    if let Some(elsewhere) = &place.elsewhere {
        return Err(elsewhere.refusal().into());
    }
    match place.there()? {
        There::Ours => {
            fs::set_permissions(&place.file, Permissions::from_mode(EXECUTABLE))
                .map_err(StepError::io("changing", &place.file))?;
            Output.say(&format!("{} is installed already\n", place.file));
        }
        There::Nothing => {
            place.write()?;
            Output.say(&format!("installed {}; it runs `{COMMAND}` before each commit\n", place.file));
        }
        There::Foreign(text) => return Err(foreign(&place.file, &text).into()),
    }
    Ok(ExitStatus::Green)
}

/// Removes the hook if it is ours and as it was written.
pub(in crate::cli) fn uninstall(workspace: &Workspace) -> Result<ExitStatus, Box<dyn Error>> {
    let place = Place::find(workspace)?;
    let file = &place.file;
    match place.there()? {
        There::Ours => {
            fs::remove_file(file).map_err(StepError::io("removing", file))?;
            Output.say(&format!("removed {file}\n"));
        }
        There::Nothing => Output.say(&format!("there is no {file}; nothing is to be removed\n")),
        There::Foreign(_) => {
            let why = format!(
                "{file} is not as `cargo xtask hooks install` writes it, and is left alone; remove `{COMMAND}` from it by hand"
            );
            return Err(why.into());
        }
    }
    Ok(ExitStatus::Green)
}

/// Where a hook of this repository belongs. Worktrees share it.
struct Place {
    file: Utf8PathBuf,
    /// What the file is to hold.
    script: String,
    /// Where git looks instead.
    elsewhere: Option<Elsewhere>,
}

/// What stands where the hook belongs.
enum There {
    Nothing,
    Ours,
    Foreign(String),
}

/// `core.hooksPath`, set to something else than git's own folder.
struct Elsewhere {
    /// The file that sets it, as git names it.
    set_in: String,
    value: String,
}

impl Place {
    fn find(workspace: &Workspace) -> Result<Self, Box<dyn Error>> {
        let outside = machine::without_git(workspace)?;
        let toolbox = outside.toolbox(workspace);
        let git = Git::find(workspace, &toolbox, &outside)?;
        let common = git.ask(&git.call(["rev-parse", "--git-common-dir"]))?;
        let folder = git.folder().join(common).join("hooks");
        let below = git.ask(&git.call(["rev-parse", "--show-prefix"]))?;
        let set = git.ask_if_any(&git.call(["config", "--show-origin", "--get", "core.hooksPath"]))?;
        let used = git.folder().join(git.ask(&git.call(["rev-parse", "--git-path", "hooks"]))?);
        let elsewhere = set.filter(|_| !same(&used, &folder)).map(|set| {
            let (set_in, value) = set.split_once('\t').unwrap_or(("git's configuration", &set));
            Elsewhere { set_in: set_in.trim_start_matches("file:").to_owned(), value: value.to_owned() }
        });
        Ok(Self { file: folder.join("pre-commit"), script: script(&below), elsewhere })
    }

    fn there(&self) -> Result<There, StepError> {
        let metadata = match fs::symlink_metadata(&self.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(There::Nothing),
            result => result.map_err(StepError::io("reading", &self.file))?,
        };
        if !metadata.is_file() || metadata.len() > SCRIPT_BYTES_MAX {
            return Ok(There::Foreign(String::new()));
        }
        let bytes = files::read(&self.file, SCRIPT_BYTES_MAX).map_err(StepError::io("reading", &self.file))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(if text == self.script { There::Ours } else { There::Foreign(text) })
    }

    /// Writes the script in one piece, and not over a file that came to be meanwhile.
    fn write(&self) -> Result<(), StepError> {
        let error = || StepError::io("writing", &self.file);
        let folder = self.file.parent().unwrap_or(&self.file);
        fs::create_dir_all(folder).map_err(error())?;
        let mut unfinished = tempfile::NamedTempFile::new_in(folder).map_err(error())?;
        unfinished.write_all(self.script.as_bytes()).map_err(error())?;
        unfinished.as_file().set_permissions(Permissions::from_mode(EXECUTABLE)).map_err(error())?;
        unfinished.persist_noclobber(&self.file).map_err(|failed| error()(failed.error))?;
        Ok(())
    }
}

impl Elsewhere {
    fn refusal(&self) -> String {
        let Self { set_in, value } = self;
        let file = Utf8Path::new(value);
        // Husky keeps its own scripts in `_`; those that people write stand beside that folder.
        let file = if file.ends_with("_") { file.parent().unwrap_or(file) } else { file }.join("pre-commit");
        format!(
            "git takes its hooks from {value} (core.hooksPath in {set_in}), which is left as it is; add `{COMMAND}` to {file} by hand"
        )
    }
}

fn foreign(file: &Utf8Path, text: &str) -> String {
    if text.contains("pre-commit.com") {
        format!(
            "{file} belongs to pre-commit, and is left as it is; add this to .pre-commit-config.yaml by hand:\n\
             - repo: local\n  hooks:\n  - id: cicd-core\n    name: {COMMAND}\n    entry: {COMMAND}\n    language: system\n    \
             pass_filenames: false\n    always_run: true"
        )
    } else if text.lines().nth(1).is_some_and(|line| line.starts_with(MARK)) {
        format!(
            "{file} was changed since it was installed, and is left as it is; remove it by hand and install it again"
        )
    } else {
        format!("there is a hook in {file}, which is left as it is; add the line `{COMMAND} || exit` to it by hand")
    }
}

/// The script; `below` is where the workspace is from the top of the working tree, empty or with a `/` at its end.
fn script(below: &str) -> String {
    let enter = match below.trim_end_matches('/') {
        "" => String::new(),
        below => {
            // Git starts hooks at the top, and names its files from there.
            let absolute =
                |name: &str| format!("case ${{{name}-}} in '' | /*) ;; *) export {name}=\"$PWD/${name}\" ;; esac\n");
            // Fails on NUL bytes only, which no path has.
            let below = shlex::try_quote(below).unwrap_or(below.into());
            ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"].map(absolute).concat() + &format!("cd {below} || exit 3\n")
        }
    };
    format!(
        "#!/bin/sh\n\
         {MARK}written by `cargo xtask hooks install`, removed by `cargo xtask hooks uninstall`.\n\
         # `git commit --no-verify` goes without it; `cargo xtask ci` makes the same checks.\n\
         {enter}exec {COMMAND}\n"
    )
}

fn same(one: &Utf8Path, other: &Utf8Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}
