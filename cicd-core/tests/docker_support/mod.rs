//! What the tests with a real Docker engine share: a folder with a git commit, a context for one step, and a small base image.

use std::fs;

use camino::Utf8PathBuf;
use cicd_core::docker::{LABEL_CHECKOUT, checkout_id, docker, docker_tool};
use cicd_core::model::Revision;
use cicd_core::pipeline::{Alone, Outside, alone};
use cicd_core::process::{Captured, Discard, Invocation, execute};
use cicd_core::step::Workspace;

/// The commit that every test image says it was built from.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A workspace in a folder of its own that goes with it, and the images it made.
pub(crate) struct Sandbox {
    _dir: tempfile::TempDir,
    pub(crate) root: Utf8PathBuf,
    pub(crate) dirty: bool,
    images: Vec<String>,
}

impl Sandbox {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = Utf8PathBuf::from_path_buf(dir.path().to_owned()).expect("UTF-8");
        let sandbox = Self { _dir: dir, root, dirty: false, images: Vec::new() };
        sandbox.write(".gitignore", "/target/\n");
        for (path, content) in files {
            sandbox.write(path, content);
        }
        sandbox
    }

    pub(crate) fn write(&self, path: &str, content: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("created");
        fs::write(path, content).expect("written");
    }

    /// A context as `pipeline::alone` makes it, with the tools this machine has.
    pub(crate) fn context(&self, step: &str) -> Alone {
        let cx = alone(&self.workspace(), step, self.outside()).expect("a context");
        cx.require(&docker_tool())
            .expect("Docker with BuildKit is needed for these tests; `cargo xtask setup` installs it");
        cx
    }

    pub(crate) fn workspace(&self) -> Workspace {
        Workspace::at(&self.root)
    }

    /// What a run gathers, once everything is committed.
    pub(crate) fn checkout(&self) -> Outside {
        self.commit();
        Outside::gather(&self.workspace(), Vec::new()).expect("a pipe")
    }

    /// The same, with a commit that no checkout has to have: what a single step is told.
    pub(crate) fn outside(&self) -> Outside {
        let mut outside = self.checkout();
        outside.revision = Ok(Revision { commit: COMMIT.to_owned(), dirty: self.dirty, differences: Vec::new() });
        outside
    }

    /// Commits every file as it lies: a build reads nothing else.
    fn commit(&self) {
        let outside = Outside::without_git(Vec::new()).expect("a pipe");
        let git = outside.toolbox(&self.workspace()).locate("git").expect("git is needed for these tests");
        let settings = ["user.name=a", "user.email=a@example.org", "commit.gpgSign=false", "maintenance.auto=false"];
        let settings = settings.iter().flat_map(|setting| ["-c", setting]);
        for args in [
            &["init", "--quiet"][..],
            &["add", "--all", "--force", "--", ".", ":!target"],
            &["commit", "--quiet", "--allow-empty", "--no-verify", "-m", "m"],
        ] {
            let call =
                Invocation::tool("git").args(settings.clone()).args(args).dir(&self.root).env_remove_prefix("GIT_");
            execute(&call, &git, &mut Discard, &outside.cancel).and_then(Captured::require_success).expect("committed");
        }
    }

    /// Has an image removed at the end, whatever happens.
    pub(crate) fn removes(&mut self, image: &str) {
        self.images.push(image.to_owned());
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let cx = self.context("clean-up");
        for image in &self.images {
            // The test has its verdict already; an image that is left is found again by its name.
            let _ = cx.run(&docker(["image", "rm", "--force", "--"]).arg(image));
        }
        // What it has built carries the mark of its folder.
        let Ok(checkout) = checkout_id(&self.root) else { return };
        let list = docker(["image", "ls", "--quiet", "--filter"]).arg(format!("label={LABEL_CHECKOUT}={checkout}"));
        let Ok(list) = cx.run(&list) else { return };
        for id in String::from_utf8_lossy(&list.stdout).lines() {
            let _ = cx.run(&docker(["image", "rm", "--force", "--"]).arg(id));
        }
    }
}
