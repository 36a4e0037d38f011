use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use super::{BuildRecipe, CacheUse};
use crate::files;
use crate::formats::file_kind::{FileKind, kinds_of};
use crate::process::Temporary;
use crate::step::{Context, StepError, Workspace};

/// What the temporary folder is for.
const FOLDER_AREA: &str = "context";

/// What files of the context with the same bytes are in the repository: what their names say they are, and what scanners take them for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tracked {
    formats: BTreeSet<String>,
    kinds: BTreeSet<Vec<FileKind>>,
}

impl Tracked {
    pub(crate) fn add(&mut self, path: &Utf8Path, kinds: Vec<FileKind>) {
        self.formats.insert(format_of(path));
        self.kinds.insert(kinds);
    }

    /// Whether one of them has a name of the same format.
    pub(crate) fn is_named_like(&self, path: &Utf8Path) -> bool {
        self.formats.contains(&format_of(path))
    }

    /// Whether one of them is looked at by whoever looks at all of these kinds.
    pub(crate) fn is_each_of(&self, wanted: &[FileKind]) -> bool {
        self.kinds.iter().any(|kinds| wanted.iter().all(|kind| kinds.contains(kind)))
    }
}

/// The end of a name, or all of it where it has none.
fn format_of(path: &Utf8Path) -> String {
    path.extension().or(path.file_name()).unwrap_or("").to_ascii_lowercase()
}

/// The files that a build may read.
#[derive(Debug)]
pub(super) struct BuildFiles {
    /// What the paths of a recipe are relative to.
    root: Workspace,
    context: Utf8PathBuf,
    dockerfile: Utf8PathBuf,
    /// Goes with this value.
    _laid_out: Option<Temporary>,
}

impl BuildFiles {
    /// For a build that is judged, the tracked files of its context alone, as they lay when the run began, in a folder of their own:
    /// nothing else that lies beside them, ignored or not, can get into the image. A build for the inner loop takes the folder as it
    /// lies.
    pub(super) fn of(cx: &Context, recipe: &BuildRecipe, cache: CacheUse) -> Result<Self, StepError> {
        if !cx.path(&recipe.context).is_dir() {
            return Err(StepError::not_looked(
                format!("there is no folder {} to build from", recipe.context),
                "correct the path; it is relative to the workspace's root",
            ));
        }
        let dockerfile = recipe.dockerfile_path();
        match cache {
            CacheUse::Refused => laid_out(cx, &inside(cx, &recipe.context)?, &inside(cx, &dockerfile)?),
            CacheUse::Allowed => Ok(Self {
                root: cx.shared().workspace.clone(),
                context: cx.path(&recipe.context),
                dockerfile: cx.path(&dockerfile),
                _laid_out: None,
            }),
        }
    }

    /// The folder that is handed to the builder.
    pub(super) fn context(&self) -> &Utf8Path {
        &self.context
    }

    /// The Dockerfile that the builder reads.
    pub(super) fn dockerfile(&self) -> &Utf8Path {
        &self.dockerfile
    }

    /// The context's files that have one of these sizes, by the digest of their bytes.
    pub(super) fn tracked(&self, sizes: &BTreeSet<u64>) -> Result<BTreeMap<[u8; 32], Tracked>, StepError> {
        let mut digests: BTreeMap<_, Tracked> = BTreeMap::new();
        let mut folders = vec![self.context.clone()];
        while let Some(folder) = folders.pop() {
            let failed = || StepError::io("reading", &folder);
            for entry in folder.read_dir_utf8().map_err(failed())? {
                let entry = entry.map_err(failed())?;
                let kind = entry.file_type().map_err(failed())?;
                if kind.is_dir() {
                    folders.push(entry.into_path());
                } else if kind.is_file() && sizes.contains(&entry.metadata().map_err(failed())?.len()) {
                    let path = entry.path();
                    let digest = files::sha256(path).map_err(StepError::io("reading", path))?;
                    let kinds = files::open(path).and_then(|file| kinds_of(path, file));
                    digests.entry(digest).or_default().add(path, kinds.map_err(StepError::io("reading", path))?);
                }
            }
        }
        Ok(digests)
    }

    /// The text of the Dockerfile that the builder reads; `shown` is its name for people.
    pub(super) fn dockerfile_text(&self, shown: &Utf8Path) -> Result<String, StepError> {
        self.root.read_text(&self.dockerfile).map_err(StepError::io("reading", shown))
    }
}

fn laid_out(cx: &Context, context: &Utf8Path, dockerfile: &Utf8Path) -> Result<BuildFiles, StepError> {
    let source = cx.source()?;
    let tracked = |path: &Utf8Path| source.files().iter().any(|file| file.is_tracked() && file.path == path);
    if cx.path(dockerfile).exists() && !tracked(dockerfile) {
        return Err(StepError::not_looked(
            format!("git does not track {dockerfile}, so nobody can tell what is built"),
            "add it to git",
        ));
    }
    // The builder prefers the ignore file that has the Dockerfile's name.
    let ignore_file = Utf8PathBuf::from(format!("{dockerfile}.dockerignore"));
    let folder = Temporary::new_in(cx.dir(), FOLDER_AREA).map_err(StepError::io("making a folder in", cx.dir()))?;
    let root = folder.path().to_owned();
    let wanted = |path: &Utf8Path| path.starts_with(context) || path == dockerfile || path == ignore_file;
    let count = source.lay_out(cx.root(), &root, &wanted).map_err(|error| {
        StepError::not_looked(
            format!("the build context cannot be laid out: {error}"),
            "let nothing change the checkout while a run goes on, then run it again",
        )
    })?;
    if count == 0 || !root.join(context).is_dir() {
        return Err(StepError::not_looked(
            format!("git tracks no file in {context}, and a build reads nothing else"),
            "add the files to git, or correct the path",
        ));
    }
    let (context, dockerfile) = (root.join(context), root.join(dockerfile));
    Ok(BuildFiles { root: Workspace::at(root), context, dockerfile, _laid_out: Some(folder) })
}

/// A path of a recipe as it stands in the list of files.
fn inside(cx: &Context, path: &Utf8Path) -> Result<Utf8PathBuf, StepError> {
    let relative = cx.relative(cx.path(path));
    let parts: Vec<Utf8Component<'_>> = relative.components().filter(|part| *part != Utf8Component::CurDir).collect();
    if parts.iter().any(|part| !matches!(part, Utf8Component::Normal(_))) {
        return Err(StepError::not_looked(
            format!("{path} is not below the workspace, whose files alone are judged"),
            "name a path that is relative to the workspace's root, without `..`",
        ));
    }
    Ok(parts.into_iter().collect())
}
