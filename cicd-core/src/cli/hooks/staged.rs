use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;

use super::git::Git;
use crate::files;
use crate::process::Temporary;
use crate::step::{StepError, Workspace};
use camino::Utf8Path;

/// What the temporary folder is for.
const FOLDER_AREA: &str = "staged";
/// Who makes the commit that nobody else sees.
const AUTHOR: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "cicd-core"),
    ("GIT_AUTHOR_EMAIL", "hooks@localhost"),
    ("GIT_COMMITTER_NAME", "cicd-core"),
    ("GIT_COMMITTER_EMAIL", "hooks@localhost"),
];
/// Files are laid out byte for byte as they are committed: no filter of the user's own is run, which might fetch something.
const AS_COMMITTED: &str = "* -text -filter -ident -working-tree-encoding\n";
/// How many digits a name in a repository with SHA-256 has.
const SHA256_DIGITS: usize = 64;

/// What is staged, as a checkout of its own that goes away with this value.
#[derive(Debug)]
pub(super) struct Staged {
    /// Only readable by this user.
    folder: Temporary,
    /// The workspace's place in the checkout.
    pub(super) workspace: Workspace,
}

impl Staged {
    /// Lays out the index that `variables` name, or the workspace's own: a copy of the index is written as a tree, and the tree is
    /// checked out in a new repository that borrows the objects of the real one.
    ///
    /// So the working tree and the index are not touched; what is only intended to be added is left out, as in the commit; split and
    /// sparse indexes do not matter.
    ///
    /// # Errors
    /// When git cannot do it: because of a conflict that is not resolved, for one.
    pub(super) fn lay_out(git: &Git<'_>, variables: &BTreeMap<OsString, OsString>) -> Result<Self, StepError> {
        let below = git.ask_if_any(&git.call(["rev-parse", "--show-prefix"]));
        let below = match below {
            Ok(Some(below)) => below,
            // The workspace is at the top where its repository is only known by variables.
            Ok(None) | Err(_) => String::new(),
        };
        let real = git.as_handed_over(variables);
        let parent = std::env::temp_dir();
        let parent = Utf8Path::from_path(&parent)
            .ok_or_else(|| StepError::not_looked("TMPDIR is not UTF-8", "set it to another folder"))?;
        let folder = Temporary::new_in(parent, FOLDER_AREA).map_err(StepError::io("making a folder in", parent))?;
        let path = folder.path().to_owned();
        let places = real.ask(&real.call(["rev-parse", "--git-path", "index", "--git-path", "objects"]))?;
        let Some((index, objects)) = places.split_once('\n') else {
            return Err(StepError::not_looked("git does not say where its index is", "update git"));
        };
        let copy = path.join("index");
        match copied(&real.folder().join(index), &copy) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StepError::io("copying", index)(error));
            }
            _ => {}
        }
        let write_tree = real.call(["-c", "core.splitIndex=false", "-c", "core.fsmonitor=false", "write-tree"]);
        let objects = real.folder().join(objects);
        let objects = objects.canonicalize_utf8().map_err(StepError::io("finding", &objects))?;
        // Trees are written for what is staged; the repository need not keep those of commits that are never made.
        let own_objects = path.join("objects");
        fs::create_dir(&own_objects).map_err(StepError::io("creating", &own_objects))?;
        let mut alternates = OsString::from(&objects);
        if let Some(more) = variables.get(OsStr::new("GIT_ALTERNATE_OBJECT_DIRECTORIES")) {
            alternates.push(":");
            alternates.push(more);
        }
        let write_tree = write_tree
            .env("GIT_INDEX_FILE", &copy)
            .env("GIT_OBJECT_DIRECTORY", &own_objects)
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", &alternates);
        let tree = real.ask(&write_tree)?;
        let parent = real.ask_if_any(&real.call(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]))?;

        let root = path.join("checkout");
        let format = if tree.len() == SHA256_DIGITS { "--object-format=sha256" } else { "--object-format=sha1" };
        git.ask(&git.at(&path).call(["init", "--quiet", "--template=", format, "checkout"]))?;
        write(&root.join(".git/objects/info/alternates"), &format!("{own_objects}\n{objects}\n"))?;
        write(&root.join(".git/info/attributes"), AS_COMMITTED)?;
        let own = git.at(&root);
        own.ask(&own.call(["read-tree", &tree]))?;
        own.ask(&own.call(["checkout-index", "--all", "--force", "--index", "--quiet"]))?;
        let parents = parent.iter().flat_map(|parent| ["-p", parent.as_str()]);
        let commit = own.call(["commit-tree", "-m", "staged", &tree].into_iter().chain(parents));
        let commit = own.ask(&AUTHOR.iter().fold(commit, |call, (name, value)| call.env(name, value)))?;
        own.ask(&own.call(["-c", "core.hooksPath=/dev/null", "update-ref", "--no-deref", "HEAD", &commit]))?;

        let workspace = Workspace::at(if below.is_empty() { root } else { root.join(below.trim_end_matches('/')) });
        Ok(Self { folder, workspace })
    }

    /// The folder to remove where this value cannot be dropped.
    pub(super) fn folder(&self) -> &OsStr {
        self.folder.path().as_std_path().as_os_str()
    }
}

/// Copies a regular file; whatever else lies there is an error, and nothing is waited for.
fn copied(from: &Utf8Path, to: &Utf8Path) -> io::Result<u64> {
    io::copy(&mut files::open(from)?, &mut File::create_new(to)?)
}

fn write(path: &Utf8Path, text: &str) -> Result<(), StepError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(StepError::io("creating", folder))?;
    }
    fs::write(path, text).map_err(StepError::io("writing", path))
}
