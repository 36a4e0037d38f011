use std::collections::BTreeMap;

use super::codes::ImageCode;
use crate::docker::{BaseImage, BaseOrigin, Build, ImageDetails, Pull, inspect_image, require_image};
use crate::formats::buildkit_log::{BuildLog, VertexKind};
use crate::formats::dockerfile::{ImageUse, ImageUseKind, Uncontrolled};
use crate::formats::image_reference::ImageReference;
use crate::formats::printable::printable;
use crate::model::{Finding, Level, Location, Severity, Target};
use crate::step::{Context, ReadError, StepError};

/// What the engine had under the name of each image that a build takes from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded(BTreeMap<String, Option<ImageDetails>>);

impl Recorded {
    /// Asks the engine, and checks that what comes from earlier steps is still what they said.
    pub(super) fn take(cx: &Context, build: &Build) -> Result<Self, StepError> {
        let mut recorded = BTreeMap::new();
        for base in &build.bases {
            let details = require_image(cx, &base.reference)?;
            if details.id != base.id {
                return Err(moved(&base.reference, &base.id, &details.id));
            }
            recorded.insert(base.reference.clone(), Some(details));
        }
        for image in own_images(build).filter(|image| image.kind != ImageUseKind::Frontend) {
            recorded.insert(image.reference.clone(), inspect_image(cx, &image.reference)?);
        }
        Ok(Self(recorded))
    }

    /// Checks that nothing has moved between two recordings. An image that was not there before may be there after.
    pub(super) fn unchanged_since(&self, before: &Self) -> Result<(), StepError> {
        for (reference, before) in &before.0 {
            let after = self.0.get(reference).and_then(Option::as_ref);
            match (before, after) {
                (Some(before), Some(after)) if before.id != after.id => {
                    return Err(moved(reference, &before.id, &after.id));
                }
                (Some(before), None) => return Err(moved(reference, &before.id, "nothing")),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether registries have to be asked: for a name that is no content, unless the engine has it and no registry ever did.
    pub(super) fn pull(&self, build: &Build) -> Pull {
        let asks = |image: &ImageUse| {
            let pinned = ImageReference::parse(&image.reference).is_ok_and(|reference| reference.is_pinned());
            let only_here = self
                .0
                .get(&image.reference)
                .is_some_and(|details| details.as_ref().is_some_and(|details| details.repository_digests.is_empty()));
            !pinned && !only_here
        };
        // With a base of this engine the registry would be asked for that one too, and has never heard of it.
        if build.bases.is_empty() && own_images(build).any(asks) { Pull::Always } else { Pull::Never }
    }

    /// The layers that the image is laid upon.
    pub(super) fn layers_of(&self, reference: Option<&str>) -> &[String] {
        let details = reference.and_then(|reference| self.0.get(reference)).and_then(Option::as_ref);
        details.map_or(&[], |details| details.layers.as_slice())
    }

    /// What the image was built on, for the record.
    pub(super) fn bases(&self, build: &Build, log: &BuildLog) -> Result<Vec<BaseImage>, StepError> {
        let mut bases = build.bases.clone();
        for image in own_images(build).filter(|image| image.kind != ImageUseKind::Frontend) {
            let details = self.0.get(&image.reference).and_then(Option::as_ref);
            let id = match details {
                Some(details) => details.id.clone(),
                None => digest(&image.reference, log).ok_or_else(|| {
                    ReadError::new("the build log", format!("it does not say which {} was used", image.reference))
                        .help("pin it by digest, or pull it before")
                })?,
            };
            let only_here = details.is_some_and(|details| details.repository_digests.is_empty());
            let origin = if only_here { BaseOrigin::Engine } else { BaseOrigin::Registry };
            if !bases.iter().any(|base| base.reference == image.reference) {
                bases.push(BaseImage { reference: image.reference.clone(), id, origin });
            }
        }
        Ok(bases)
    }
}

/// The digest of an image that the engine does not keep under a name: its own, or the one that the builder resolved it to.
fn digest(reference: &str, log: &BuildLog) -> Option<String> {
    let wanted = ImageReference::parse(reference).ok()?;
    if wanted.is_pinned() {
        return wanted.digest;
    }
    log.vertices.values().find_map(|vertex| match vertex.kind() {
        VertexKind::Base(used) => {
            let used = ImageReference::parse(used).ok()?;
            let same = ImageReference { digest: None, ..used.clone() }.to_string() == wanted.to_string();
            used.digest.filter(|_| same)
        }
        _ => None,
    })
}

fn moved(reference: &str, before: &str, after: &str) -> StepError {
    StepError::not_looked(
        format!("the base {reference} was {before} and is now {after}"),
        "run again from the step that makes it, while nothing else changes the engine's images",
    )
}

/// The images that the Dockerfile names by itself.
fn own_images(build: &Build) -> impl Iterator<Item = &ImageUse> {
    build.dockerfile.images.iter().filter(|image| !build.bases.iter().any(|base| base.reference == image.reference))
}

/// What the Dockerfile takes from outside without saying exactly what.
pub(super) fn judge(build: &Build) -> Vec<Finding> {
    let images = own_images(build).flat_map(|image| judge_image(image, build));
    images.chain(build.dockerfile.uncontrolled.iter().map(|one| uncontrolled(one, build))).collect()
}

fn uncontrolled(Uncontrolled { what, line }: &Uncontrolled, build: &Build) -> Finding {
    let what = printable(what);
    Finding::new(ImageCode::Uncontrolled, format!("{what} brings in what no digest and no commit tells"))
        .at(Location::line(&build.dockerfile_path, *line))
        .target(Target::Name(what))
}

fn judge_image(image: &ImageUse, build: &Build) -> Vec<Finding> {
    let place = Location::line(&build.dockerfile_path, image.line);
    let ImageUse { reference, kind, .. } = image;
    let what = match kind {
        ImageUseKind::Stage => "a stage starts from",
        ImageUseKind::Files => "files are taken from",
        ImageUseKind::Frontend => "the Dockerfile is read by",
    };
    let mut findings = Vec::new();
    let read = ImageReference::parse(reference).ok();
    if !read.as_ref().is_some_and(ImageReference::is_pinned) {
        let message = format!("{what} {reference}, which is not pinned by digest");
        findings.push(Finding::new(ImageCode::Unpinned, message).at(place.clone()).target(Target::name(reference)));
    }
    if read.is_some_and(|reference| reference.is_latest()) {
        let message = format!("{what} {reference}, which stands for whatever is newest");
        findings.push(
            Finding::new(ImageCode::Latest, message)
                .severity(Severity::Low)
                .level(Level::Warn)
                .at(place)
                .target(Target::name(reference)),
        );
    }
    findings
}
