use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::Error as _;
use serde::{Deserialize, Serialize, Serializer};

use super::ImageDetails;
use crate::formats::image_reference::is_sha256;
use crate::model::Subject;
use crate::step::{Artifact, Given, Inputs, Kind, LoadError, Proof, Seal, Wiring};

mod sealed {
    pub trait Sealed {
        /// How the kind is written.
        const WRITTEN: &'static str;
        /// What the saved form of such an image is called.
        const LABEL: &'static str;
    }
}

/// How an image was built: [`Fresh`] or [`Cached`].
pub trait ImageKind: sealed::Sealed + Clone + fmt::Debug + Send + Sync + 'static {}

/// Built without any cache. Only `DockerBuild` makes one, and only such an image can be scanned, cleared, pushed or deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fresh {}

/// Built with a cache, for the inner loop. Fits no gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cached {}

impl sealed::Sealed for Fresh {
    const WRITTEN: &'static str = "fresh";
    const LABEL: &'static str = "fresh image";
}

impl sealed::Sealed for Cached {
    const WRITTEN: &'static str = "cached";
    const LABEL: &'static str = "cached image";
}

impl ImageKind for Fresh {}
impl ImageKind for Cached {}

/// A built image: an id, never a tag.
///
/// Only the steps that build one make it, and nothing changes it afterwards; its kind is part of what is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(bound = "")]
pub struct Image<K: ImageKind> {
    #[serde(serialize_with = "write_kind")]
    kind: PhantomData<K>,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) size_bytes: u64,
    pub(crate) user: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) platform: String,
    pub(crate) commit: String,
    pub(crate) dirty: bool,
    pub(crate) bases: Vec<BaseImage>,
}

/// How an image is read back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    kind: String,
    id: String,
    name: String,
    size_bytes: u64,
    user: String,
    labels: BTreeMap<String, String>,
    platform: String,
    commit: String,
    dirty: bool,
    bases: Vec<StoredBase>,
}

fn write_kind<K: ImageKind, S: Serializer>(_: &PhantomData<K>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(K::WRITTEN)
}

impl<K: ImageKind> Proof for Image<K> {
    fn proves(_: &Seal) {}
}

impl Given for Image<Fresh> {
    fn subject(&self, _: &Seal) -> Subject {
        Subject::Image(self.id.clone())
    }
}

impl<K: ImageKind> Artifact for Image<K> {
    fn kind(_: &Seal) -> Kind {
        Kind::Proof(K::LABEL)
    }

    fn save(&self, _: &Seal) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn load(json: &str, _: &Seal) -> Result<Self, LoadError> {
        let stored: Stored = serde_json::from_str(json)?;
        let Stored { kind, id, name, size_bytes, user, labels, platform, commit, dirty, bases } = stored;
        if kind != K::WRITTEN {
            return Err(serde_json::Error::custom(format!("it is a {kind} image, not a {} one", K::WRITTEN)).into());
        }
        if !is_sha256(&id) {
            return Err(serde_json::Error::custom(InvalidImageId(id)).into());
        }
        let bases = bases.into_iter().map(BaseImage::from).collect();
        Ok(Self { kind: PhantomData, id, name, size_bytes, user, labels, platform, commit, dirty, bases })
    }
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
            kind: PhantomData,
            id: id.to_owned(),
            name: name.to_owned(),
            size_bytes: 0,
            user: String::new(),
            labels: BTreeMap::new(),
            platform: String::new(),
            commit: commit.to_owned(),
            dirty: false,
            bases: Vec::new(),
        })
    }

    /// Takes over what the engine says of the image.
    pub(crate) fn describe(&mut self, details: &ImageDetails) {
        self.size_bytes = details.size_bytes;
        self.user.clone_from(&details.user);
        self.labels.clone_from(&details.labels);
        self.platform.clone_from(&details.platform);
    }

    /// The id, `sha256:` and 64 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The first 12 digits of the id, as Docker shows it.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.id.get(7..19).unwrap_or(&self.id)
    }

    /// The name and tag it was given, for people: `flask-app-<checkout>:<commit>-<run>`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its size on disk, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The user it runs as, from its configuration; empty means root.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its labels.
    #[must_use]
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// The platform, such as `linux/amd64`.
    #[must_use]
    pub fn platform(&self) -> &str {
        &self.platform
    }

    /// The commit it was built from.
    #[must_use]
    pub fn commit(&self) -> &str {
        &self.commit
    }

    /// Whether the tree differed from that commit.
    #[must_use]
    pub fn dirty(&self) -> bool {
        self.dirty
    }

    /// What it was built on.
    #[must_use]
    pub fn bases(&self) -> &[BaseImage] {
        &self.bases
    }
}

/// An image that another one is built on: one that a step of the library has pulled by digest or made, or an [`UnprovenBase`].
///
/// Only those steps make one, and nothing changes it afterwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BaseImage {
    pub(crate) reference: String,
    pub(crate) id: String,
    pub(crate) origin: BaseOrigin,
}

/// How a base is read back.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredBase {
    reference: String,
    id: String,
    origin: BaseOrigin,
}

impl From<StoredBase> for BaseImage {
    fn from(StoredBase { reference, id, origin }: StoredBase) -> Self {
        Self { reference, id, origin }
    }
}

impl BaseImage {
    /// What the Dockerfile's `FROM` is given: `name@sha256:…` or, for an image of this engine, `name:tag`.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// Its id in this engine.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Where it came from.
    #[must_use]
    pub fn origin(&self) -> BaseOrigin {
        self.origin
    }
}

/// An image of this run that others are built on. What is built on something unproven is no better known.
impl From<Image<Fresh>> for BaseImage {
    fn from(image: Image<Fresh>) -> Self {
        let is_unproven = image.bases.iter().any(|base| base.origin == BaseOrigin::Unproven);
        let origin = if is_unproven { BaseOrigin::Unproven } else { BaseOrigin::Pipeline };
        Self { reference: image.name, id: image.id, origin }
    }
}

impl Proof for BaseImage {
    fn proves(_: &Seal) {}
}

impl Artifact for BaseImage {
    fn kind(_: &Seal) -> Kind {
        Kind::Proof("base image")
    }

    fn save(&self, _: &Seal) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn load(json: &str, _: &Seal) -> Result<Self, LoadError> {
        Ok(serde_json::from_str::<StoredBase>(json)?.into())
    }
}

/// An image of this engine to build on, of which a step of one's own says what it is. Nothing that is built on it, directly or not,
/// is cleared (`CLR-005`).
///
/// ```
/// use cicd_core::docker::UnprovenBase;
/// use cicd_core::pipeline::Pipeline;
/// use cicd_core::step::{Outcome, step_fn};
/// use cicd_core::steps::DockerBuild;
///
/// let mut ci = Pipeline::new("example");
/// let id = format!("sha256:{}", "0".repeat(64));
/// let base = UnprovenBase { reference: "built-elsewhere:1".to_owned(), id };
/// let base = ci.add("base", step_fn(move |_, ()| Ok(Outcome::of(base.clone()))), ());
/// ci.add("image", DockerBuild::context("app").base_arg("BASE"), &base);
/// # ci.check()?;
/// # Ok::<(), cicd_core::pipeline::GraphError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnprovenBase {
    /// What the Dockerfile's `FROM` is given: `name:tag`.
    pub reference: String,
    /// Its id in this engine.
    pub id: String,
}

/// How an unproven base is written and read back.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredUnproven {
    reference: String,
    id: String,
}

impl Artifact for UnprovenBase {
    fn kind(_: &Seal) -> Kind {
        Kind::Claim("unproven base image")
    }

    fn save(&self, _: &Seal) -> Result<String, serde_json::Error> {
        let Self { reference, id } = self.clone();
        serde_json::to_string_pretty(&StoredUnproven { reference, id })
    }

    fn load(json: &str, _: &Seal) -> Result<Self, LoadError> {
        let StoredUnproven { reference, id } = serde_json::from_str(json)?;
        Ok(Self { reference, id })
    }
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
    /// Of this engine alone, under a name that the Dockerfile itself gives; whether that is allowed, `IMG-003` says.
    Engine,
    /// Whatever a step of one's own says.
    Unproven,
}

/// The images that a build is based on: none (the Dockerfile names its own), or those of earlier steps.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bases(pub(crate) Vec<BaseImage>);

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
        Self(vec![image.into()])
    }
}

impl From<UnprovenBase> for Bases {
    fn from(UnprovenBase { reference, id }: UnprovenBase) -> Self {
        Self(vec![BaseImage { reference, id, origin: BaseOrigin::Unproven }])
    }
}

/// Several, each for a base argument of its own, in order: `vec![&one, &other]`.
impl<I: Inputs<Bases>> Inputs<Bases> for Vec<I> {
    fn wire(self, seal: &Seal) -> Wiring<Bases> {
        let several = <Self as Inputs<Vec<Bases>>>::wire(self, seal);
        several.map(|several| Bases(several.into_iter().flat_map(|bases| bases.0).collect()))
    }
}

/// What a build for the inner loop is based on: anything that a judged build may be based on, and cached images too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DevBases(pub(crate) Bases);

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
