use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use super::ImageDetails;
use crate::formats::image_reference::is_sha256;

mod sealed {
    pub trait Sealed {}
}

/// How an image was built: [`Fresh`] or [`Cached`].
pub trait ImageKind: sealed::Sealed + Clone + fmt::Debug + Send + Sync + 'static {}

/// Built without any cache. Only `DockerBuild` makes one, and only such an image can be scanned, cleared, pushed or deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {}

/// Built with a cache, for the inner loop. Fits no gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cached {}

impl sealed::Sealed for Fresh {}
impl sealed::Sealed for Cached {}
impl ImageKind for Fresh {}
impl ImageKind for Cached {}

/// A built image: an id, never a tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Image<K: ImageKind> {
    /// The id, `sha256:` and 64 hexadecimal digits.
    pub id: String,
    /// The name and tag it was given, for people: `flask-app:<commit>`.
    pub name: String,
    /// Its size on disk, in bytes.
    pub size_bytes: u64,
    /// The user it runs as, from its configuration; empty means root.
    pub user: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The platform, such as `linux/amd64`.
    pub platform: String,
    /// The commit it was built from.
    pub commit: String,
    /// Whether the tree differed from that commit.
    pub dirty: bool,
    /// What it was built on.
    pub bases: Vec<BaseImage>,
    #[serde(skip)]
    kind: PhantomData<K>,
}

/// Something that is not an image id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an image id: expected sha256: and 64 hexadecimal digits")]
pub struct InvalidImageId(pub String);

impl<K: ImageKind> Image<K> {
    /// An image that a build step of this crate has just made and inspected.
    ///
    /// # Errors
    /// When `id` is not `sha256:` and 64 hexadecimal digits.
    pub(crate) fn built(id: &str, name: &str, commit: &str) -> Result<Self, InvalidImageId> {
        if !is_sha256(id) {
            return Err(InvalidImageId(id.to_owned()));
        }
        Ok(Self {
            id: id.to_owned(),
            name: name.to_owned(),
            size_bytes: 0,
            user: String::new(),
            labels: BTreeMap::new(),
            platform: String::new(),
            commit: commit.to_owned(),
            dirty: false,
            bases: Vec::new(),
            kind: PhantomData,
        })
    }

    /// Takes over what the engine says of the image.
    pub(crate) fn describe(&mut self, details: &ImageDetails) {
        self.size_bytes = details.size_bytes;
        self.user.clone_from(&details.user);
        self.labels.clone_from(&details.labels);
        self.platform.clone_from(&details.platform);
    }

    /// The first 12 digits of the id, as Docker shows it.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.id.get(7..19).unwrap_or(&self.id)
    }
}

/// An image that another one is built on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseImage {
    /// What the Dockerfile's `FROM` is given: `name@sha256:…` or, for an image of this engine, `name:tag`.
    pub reference: String,
    /// Its id in this engine.
    pub id: String,
    /// Where it came from.
    pub origin: BaseOrigin,
}

/// Where a base image came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BaseOrigin {
    /// Pulled from a registry by digest.
    Registry,
    /// Built on this machine from Debian packages, pinned by image id.
    LocalPackages,
    /// Another image of this run.
    Pipeline,
}

/// The images that a build is based on: none (the Dockerfile names its own), or those of earlier steps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bases(pub Vec<BaseImage>);

impl From<()> for Bases {
    fn from((): ()) -> Self {
        Self::default()
    }
}

impl From<BaseImage> for Bases {
    fn from(base: BaseImage) -> Self {
        Self(vec![base])
    }
}

impl From<Image<Fresh>> for Bases {
    fn from(image: Image<Fresh>) -> Self {
        Self(vec![BaseImage { reference: image.name, id: image.id, origin: BaseOrigin::Pipeline }])
    }
}

/// What a build for the inner loop is based on: anything that a judged build may be based on, and cached images too.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DevBases(pub Bases);

impl<T: Into<Bases>> From<T> for DevBases {
    fn from(bases: T) -> Self {
        Self(bases.into())
    }
}

impl From<Image<Cached>> for DevBases {
    fn from(image: Image<Cached>) -> Self {
        Self(Bases(vec![BaseImage { reference: image.name, id: image.id, origin: BaseOrigin::Pipeline }]))
    }
}
