use std::collections::BTreeSet;

use crate::docker::Build;
use crate::formats::buildkit_log::{BuildLog, VertexEnd, VertexKind};
use crate::formats::dockerfile::{Dockerfile, ImageUseKind};
use crate::formats::image_reference::ImageReference;

/// What the log of a build proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proof {
    /// How many instructions were carried out.
    pub executed: usize,
}

/// Why a log does not prove that a build was fresh.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotFresh {
    #[error("the build log ends before the image is exported")]
    Incomplete,
    #[error("the build log exports {written}, but the image is {id}")]
    OtherImage { written: String, id: String },
    #[error("the result of `{0}` was taken from the builder's cache")]
    Cached(String),
    #[error("the build log shows none of the {expected} instructions of the Dockerfile")]
    NothingExecuted { expected: usize },
    #[error("the Dockerfile has no stage {0}")]
    NoStage(String),
    #[error("the build used {0}, which was not found in the Dockerfile")]
    UnknownBase(String),
    #[error("the Dockerfile was read by {0}, which it does not name as its `# syntax=`")]
    UnknownFrontend(String),
}

impl NotFresh {
    /// Whether a build at the same time, whose instructions are equal, would look like this.
    pub(super) fn may_be_another_build(&self) -> bool {
        matches!(self, Self::Cached(name) if name.starts_with('['))
    }

    pub(super) fn help(&self) -> &'static str {
        match self {
            Self::Cached(name) if name.contains("://") => {
                "fetch it in a RUN with a checksum instead: ADD of a URL is cached even by a build without a cache"
            }
            Self::Cached(_) => {
                "let no other build of the same instructions run at the same time, and run the step again"
            }
            Self::NoStage(_) => "correct `.target(…)`",
            Self::UnknownFrontend(_) => "write `# syntax=` into the first line of the Dockerfile, or remove it",
            _ => {
                "run the step again; if it stays so, the builder is not doing what it is told, and its version is worth a look"
            }
        }
    }
}

/// Judges the log of a build that was asked to use no cache.
pub(super) fn prove(build: &Build, target: Option<&str>, log: &BuildLog, id: &str) -> Result<Proof, NotFresh> {
    prove_file(&build.dockerfile, target, log, id)
}

fn prove_file(file: &Dockerfile, target: Option<&str>, log: &BuildLog, id: &str) -> Result<Proof, NotFresh> {
    if !log.exported() {
        return Err(NotFresh::Incomplete);
    }
    if let Some(written) = log.written_image.as_deref().filter(|written| *written != id) {
        return Err(NotFresh::OtherImage { written: written.to_owned(), id: id.to_owned() });
    }
    let mut executed = 0;
    for vertex in log.vertices.values() {
        match (vertex.kind(), vertex.end) {
            (VertexKind::Instruction | VertexKind::Other, VertexEnd::Cached) => {
                return Err(NotFresh::Cached(vertex.name.clone()));
            }
            (VertexKind::Instruction, _) => executed += 1,
            _ => {}
        }
    }
    let expected = file.instructions_to(target).ok_or_else(|| NotFresh::NoStage(target.unwrap_or("").to_owned()))?;
    // A Dockerfile may only rename: nothing is carried out then, and nothing can come from a cache.
    if executed == 0 && expected > 0 {
        return Err(NotFresh::NothingExecuted { expected });
    }
    let named = |is_meant: fn(ImageUseKind) -> bool| -> BTreeSet<String> {
        file.images.iter().filter(|image| is_meant(image.kind)).map(|image| in_full(&image.reference)).collect()
    };
    let images = named(|kind| kind != ImageUseKind::Frontend);
    if let Some(unknown) = log.looked_up().map(in_full).find(|used| !images.contains(used)) {
        return Err(NotFresh::UnknownBase(unknown));
    }
    let readers = named(|kind| kind == ImageUseKind::Frontend);
    match log.frontends().find(|used| !readers.contains(&in_full(used)) && !readers.contains(&without_digest(used))) {
        Some(unknown) => Err(NotFresh::UnknownFrontend(unknown.to_owned())),
        None => Ok(Proof { executed }),
    }
}

/// What a builder has resolved shows with its digest, whether or not the Dockerfile says it.
fn without_digest(reference: &str) -> String {
    ImageReference::parse(reference)
        .map_or_else(|_| reference.to_owned(), |reference| ImageReference { digest: None, ..reference }.to_string())
}

/// References are compared in full; what cannot be read stays as it is and so equals nothing but itself.
fn in_full(reference: &str) -> String {
    ImageReference::parse(reference).map_or_else(|_| reference.to_owned(), |reference| reference.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::dockerfile::Arguments;

    const ID: &str = "sha256:aeae8db3cef9d4f4b9742cc227ba151c56bad8999e0e29579c7e95b1ca3174ba";
    const FILE: &str = "FROM cicd-base:plain AS builder\nRUN a\nRUN b\nFROM cicd-base:plain\nCOPY --from=builder x y\n";
    const FRESH: &[u8] = include_bytes!("../../../tests/data/docker/build-fresh-hostile.log");
    const CACHED: &[u8] = include_bytes!("../../../tests/data/docker/build-cached.log");
    const METADATA_ONLY: &[u8] = include_bytes!("../../../tests/data/docker/build-metadata-only.log");
    const SCRATCH: &[u8] = include_bytes!("../../../tests/data/docker/build-scratch.log");

    fn judge(file: &str, log: &[u8], id: Option<&str>) -> Result<Proof, NotFresh> {
        let file = Dockerfile::parse(file, &Arguments::new()).expect("readable");
        let log = BuildLog::parse(log);
        let written = log.written_image.clone();
        prove_file(&file, None, &log, id.or(written.as_deref()).unwrap_or(ID))
    }

    #[test]
    fn a_fresh_build_is_proven_whatever_its_commands_print() {
        assert_eq!(judge(FILE, FRESH, Some(ID)), Ok(Proof { executed: 4 }));
        assert_eq!(judge("FROM scratch\nCOPY a /a\n", SCRATCH, None), Ok(Proof { executed: 1 }));
    }

    #[test]
    fn a_cached_build_is_refused() {
        assert!(matches!(judge(FILE, CACHED, Some(ID)), Err(NotFresh::Cached(name)) if name.contains("RUN printf")));
    }

    #[test]
    fn one_cached_instruction_among_fresh_ones_is_refused() {
        let text = String::from_utf8_lossy(FRESH).replace("#7 DONE 0.0s", "#7 CACHED");
        assert!(matches!(judge(FILE, text.as_bytes(), Some(ID)), Err(NotFresh::Cached(name)) if name.contains("COPY")));
    }

    #[test]
    fn a_cached_download_is_refused_with_what_to_do() {
        let text = String::from_utf8_lossy(FRESH)
            .replace("#7 [stage-1", "#11 https://example.org/x\n#11 CACHED\n\n#7 [stage-1");
        let refused = judge(FILE, text.as_bytes(), Some(ID)).expect_err("cached");
        assert!(refused.help().contains("RUN with a checksum"));
    }

    #[test]
    fn only_a_dockerfile_without_instructions_may_execute_none() {
        let metadata = "FROM cicd-base:plain\nLABEL a=b\nUSER 1\n";
        assert_eq!(judge(metadata, METADATA_ONLY, None), Ok(Proof { executed: 0 }));
        let more = format!("{metadata}RUN true\n");
        assert_eq!(judge(&more, METADATA_ONLY, None), Err(NotFresh::NothingExecuted { expected: 1 }));
    }

    #[test]
    fn a_log_of_another_image_or_without_its_end_is_refused() {
        let other = ID.replace("aeae", "beef");
        assert!(matches!(judge(FILE, FRESH, Some(&other)), Err(NotFresh::OtherImage { .. })));
        assert_eq!(judge(FILE, &FRESH[..FRESH.len() / 2], None), Err(NotFresh::Incomplete));
        assert_eq!(judge(FILE, b"", None), Err(NotFresh::Incomplete));
    }

    #[test]
    fn a_program_that_reads_the_dockerfile_is_one_that_it_names() {
        let with = |line: &str| format!("#11 {line}\n#11 DONE 0.1s\n\n{}", String::from_utf8_lossy(FRESH));
        let digest = format!("evil/x:1@{ID}");
        for line in [
            "resolve image config for docker.io/evil/x:1",
            "resolve image config for docker-image://docker.io/evil/x:1",
            &format!("docker-image://docker.io/{digest}"),
        ] {
            let log = with(line);
            let refused = judge(FILE, log.as_bytes(), Some(ID));
            assert!(matches!(refused, Err(NotFresh::UnknownFrontend(_))), "{line}: {refused:?}");
            let named = format!("# syntax=evil/x:1\n{FILE}");
            assert_eq!(judge(&named, log.as_bytes(), Some(ID)), Ok(Proof { executed: 4 }), "{line}");
            let base = FILE.replace("FROM cicd-base:plain\n", "FROM cicd-base:plain\nCOPY --from=evil/x:1 a b\n");
            assert!(judge(&base, log.as_bytes(), Some(ID)).is_err(), "an image of another use is none");
        }
    }

    #[test]
    fn an_image_that_the_dockerfile_does_not_name_is_refused() {
        let file = FILE.replace("cicd-base:plain", "cicd-base:other");
        assert_eq!(
            judge(&file, FRESH, Some(ID)),
            Err(NotFresh::UnknownBase("docker.io/library/cicd-base:plain".to_owned()))
        );
    }
}
