use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::name::as_image_name;
use crate::process::SecretSource;

/// What an image is built from: shared by `DockerBuild` and `DevBuild`, so that the inner loop builds the same image.
///
/// ```
/// use cicd_core::docker::BuildRecipe;
///
/// let recipe = BuildRecipe::context("flask-app").base_arg("DEPS_IMAGE").revision_arg("REVISION");
/// assert_eq!(recipe.image_name_in("/home/me/guest-book".into()), "flask-app");
/// ```
#[derive(Debug, Clone)]
pub struct BuildRecipe {
    pub(crate) context: Utf8PathBuf,
    pub(crate) dockerfile: Option<Utf8PathBuf>,
    pub(crate) base_args: Vec<String>,
    pub(crate) build_args: Vec<(String, String)>,
    pub(crate) revision_arg: Option<String>,
    pub(crate) secrets: Vec<BuildSecret>,
    pub(crate) target: Option<String>,
    pub(crate) platform: Option<String>,
    pub(crate) image_name: Option<String>,
    pub(crate) deadline: Duration,
}

/// A file that the build may read and the image must not have.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum BuildSecret {
    /// A file, relative to the workspace's root.
    File {
        /// The name that `RUN --mount=type=secret,id=…` asks for.
        id: String,
        /// The file.
        path: Utf8PathBuf,
    },
    /// A secret that is declared, so that it is read when a run begins and redacted wherever it would be shown.
    Declared {
        /// The name that `RUN --mount=type=secret,id=…` asks for.
        id: String,
        /// Where it comes from.
        source: SecretSource,
    },
    /// The certificate authorities that this machine trusts, if it says so anywhere; an empty list of secrets otherwise.
    CaBundle {
        /// The name that `RUN --mount=type=secret,id=…` asks for.
        id: String,
    },
}

/// A build without a cache on a small machine with a slow network; what takes longer hangs.
const BUILD_DEADLINE: Duration = Duration::from_secs(3600);

impl BuildRecipe {
    /// An image from the files of a folder, relative to the workspace's root, and the `Dockerfile` in it.
    #[must_use]
    pub fn context(folder: impl Into<Utf8PathBuf>) -> Self {
        Self {
            context: folder.into(),
            dockerfile: None,
            base_args: Vec::new(),
            build_args: Vec::new(),
            revision_arg: None,
            secrets: Vec::new(),
            target: None,
            platform: None,
            image_name: None,
            deadline: BUILD_DEADLINE,
        }
    }

    /// Another Dockerfile, relative to the workspace's root.
    #[must_use]
    pub fn dockerfile(mut self, path: impl Into<Utf8PathBuf>) -> Self {
        self.dockerfile = Some(path.into());
        self
    }

    /// The build argument that is given the reference of the base image from the input. With several bases, one call for each,
    /// in their order.
    #[must_use]
    pub fn base_arg(mut self, name: impl Into<String>) -> Self {
        self.base_args.push(name.into());
        self
    }

    /// A build argument. It can be read out of the image: not for secrets.
    #[must_use]
    pub fn build_arg(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.build_args.push((name.into(), value.into()));
        self
    }

    /// The build argument that is given the full commit id of `HEAD`.
    #[must_use]
    pub fn revision_arg(mut self, name: impl Into<String>) -> Self {
        self.revision_arg = Some(name.into());
        self
    }

    /// A file for `RUN --mount=type=secret,id=…`, relative to the workspace's root. It never gets into a layer by itself, and
    /// the built image is searched for its content.
    #[must_use]
    pub fn secret_file(mut self, id: impl Into<String>, path: impl Into<Utf8PathBuf>) -> Self {
        self.secrets.push(BuildSecret::File { id: id.into(), path: path.into() });
        self
    }

    /// A secret for `RUN --mount=type=secret,id=…`: a token for a package index, say, from the environment variable of that name
    /// or from elsewhere (`Secret::file(…)`, `Secret::command(…)`). The builder gets it in a file that exists while it builds; it
    /// is in no argument, log or layer, and an image that holds it all the same is refused (`IMG-005`).
    ///
    /// ```
    /// use cicd_core::docker::BuildRecipe;
    /// use cicd_core::process::Secret;
    ///
    /// let recipe = BuildRecipe::context("app").secret("index", Secret::env("INDEX_TOKEN"));
    /// ```
    #[must_use]
    pub fn secret(mut self, id: impl Into<String>, source: impl Into<SecretSource>) -> Self {
        self.secrets.push(BuildSecret::Declared { id: id.into(), source: source.into() });
        self
    }

    /// The secrets that it declares.
    #[must_use]
    pub fn declared_secrets(&self) -> Vec<SecretSource> {
        let declared = |secret: &BuildSecret| match secret {
            BuildSecret::Declared { source, .. } => Some(source.clone()),
            BuildSecret::File { .. } | BuildSecret::CaBundle { .. } => None,
        };
        self.secrets.iter().filter_map(declared).collect()
    }

    /// The certificate authorities that this machine trusts, as a secret file: the file that `SSL_CERT_FILE` names, or the
    /// distribution's bundle; nothing where there is neither. For networks whose proxy has an authority of its own.
    #[must_use]
    pub fn ca_bundle_secret(mut self, id: impl Into<String>) -> Self {
        self.secrets.push(BuildSecret::CaBundle { id: id.into() });
        self
    }

    /// The stage to build; without it, the last one.
    #[must_use]
    pub fn target(mut self, stage: impl Into<String>) -> Self {
        self.target = Some(stage.into());
        self
    }

    /// The platform to build for, such as `linux/amd64`; without it, the engine's.
    #[must_use]
    pub fn platform(mut self, platform: impl Into<String>) -> Self {
        self.platform = Some(platform.into());
        self
    }

    /// The name of the image, without a tag; without it, the name of the folder, or of the repository's where that is the folder. A
    /// short hash of the checkout is added to it ([`checkout_id`](crate::docker::checkout_id)).
    #[must_use]
    pub fn image_name(mut self, name: impl Into<String>) -> Self {
        self.image_name = Some(name.into());
        self
    }

    /// How long the build may take; without it, an hour.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The image's name in a checkout, without the checkout's hash and without a tag.
    #[must_use]
    pub fn image_name_in(&self, root: &Utf8Path) -> String {
        let repository = || root.file_name().and_then(as_image_name);
        self.own_name().or_else(repository).unwrap_or_else(|| "image".to_owned())
    }

    /// The same, as far as the recipe tells it.
    pub(super) fn own_name(&self) -> Option<String> {
        self.image_name.clone().or_else(|| self.context.file_name().and_then(as_image_name))
    }

    /// The Dockerfile, relative to the workspace's root.
    #[must_use]
    pub fn dockerfile_path(&self) -> Utf8PathBuf {
        self.dockerfile.clone().unwrap_or_else(|| self.context.join("Dockerfile"))
    }

    /// The folder whose files the build may read, relative to the workspace's root.
    #[must_use]
    pub fn context_path(&self) -> &Utf8Path {
        &self.context
    }
}
