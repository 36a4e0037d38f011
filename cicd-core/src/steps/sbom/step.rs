use std::fs;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::SbomCode;
use super::cyclonedx::cyclonedx;
use super::document::{Document, Identity, License};
use super::packages::{Package, complete, packages_of};
use super::spdx::spdx_document;
use crate::docker::{ExportedImage, ImageUnderTest, docker_tool};
use crate::formats::hex;
use crate::formats::printable::counted;
use crate::model::{Finding, Judged, Subject, Target};
use crate::policy::{Exception, Justification, Scope};
use crate::process::{Invocation, ToolRequirement};
use crate::step::{Author, Context, Outcome, ReadError, Seal, Step, StepError, git_tool, proof};
use crate::trivy::{Neutral, trivy_tool};

/// Nothing is downloaded and nothing judged; an image that takes longer to be read has something in it that should not be there.
const TRIVY_DEADLINE: Duration = Duration::from_secs(600);
/// Trivy's own limit is shorter than ours, so that it says itself what took so long.
const TRIVY_TIMEOUT: &str = "9m";

/// Writes the bill of materials of an image, as CycloneDX and as SPDX.
///
/// ```
/// use cicd_core::steps::Sbom;
///
/// let sbom = Sbom::new();
/// ```
///
/// Trivy writes both documents, out of reach of any configuration. They count only when each lists every package of the image, by
/// name, version and package URL: those of dpkg's database and every Python distribution, read from the image without Trivy. Both
/// are checked for what their formats require and made reproducible: the same image of the same commit gives the same bytes. Their
/// time is that of the commit, or what `SOURCE_DATE_EPOCH` says. Licences are spelt as SPDX spells them, where it has a name for
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sbom {
    accepted: Vec<Exception>,
}

impl Sbom {
    /// The bill of materials of everything in the image.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts that a Python package, given by its URL such as `pkg:pypi/example`, does not tell its licence.
    #[must_use]
    #[track_caller]
    pub fn accept_unlicensed(mut self, purl: impl Into<String>, justification: Justification) -> Self {
        let scope = Scope::target(Target::package(purl.into()));
        self.accepted.push(Exception::in_pipeline(SbomCode::NoLicense, scope, justification));
        self
    }
}

proof! {
    /// A bill of materials.
    pub struct BillOfMaterials("bill of materials") {
        /// The id of the image.
        image: String => &str,
        /// How many packages it lists.
        packages: usize,
        /// The CycloneDX document, in the run folder.
        cyclonedx: Utf8PathBuf => &Utf8Path,
        /// Its SHA-256, in hexadecimal digits.
        cyclonedx_sha256: String => &str,
        /// The SPDX document, in the run folder.
        spdx: Utf8PathBuf => &Utf8Path,
        /// Its SHA-256, in hexadecimal digits.
        spdx_sha256: String => &str,
    }
}

impl Judged for BillOfMaterials {
    fn subject(&self) -> Subject {
        Subject::Image(self.image.clone())
    }
}

impl Step for Sbom {
    type Input = ImageUnderTest;
    type Output = BillOfMaterials;

    fn run(&self, cx: &Context, image: ImageUnderTest) -> Result<Outcome<BillOfMaterials>, StepError> {
        cx.require(&trivy_tool())?;
        let identity = Identity { image: &image, made: made(cx, &image)? };
        let exported = ExportedImage::of(cx, &image.id)?;
        let expected = packages_of(&exported)?;
        exported.remove()?;
        let folder = cx.path(cx.dir());
        let cache = Cache(folder.join("cache"));
        let neutral = Neutral::prepare(cx)?;
        let write = |format: &str, read: fn(&[u8], Identity<'_>) -> Result<Document, String>, extension: &str| {
            cx.progress(format!("writing the {format} document of image {}", image.short_id()));
            let raw = folder.join(format!("trivy.{extension}"));
            let captured = cx.run_ok(&invocation(&neutral, &cache.0, format, &raw, &image.id))?;
            let document = read(captured.report_bytes()?, identity)
                .map_err(|problem| ReadError::new(format!("Trivy's {format} document"), problem))?;
            complete(format, &expected, &document.listed)?;
            fs::remove_file(&raw).map_err(StepError::io("removing", &raw))?;
            let path = folder.join(format!("{}.{extension}", file_name(&image.name)));
            let sha256 = save(&document.json, &path)?;
            Ok::<_, StepError>((document, path, sha256))
        };
        let (document, cyclonedx, cyclonedx_sha256) = write("cyclonedx", cyclonedx, "cdx.json")?;
        let (_, spdx, spdx_sha256) = write("spdx-json", spdx_document, "spdx.json")?;
        let python = expected.packages.iter().filter(|package| matches!(package, Package::Python { .. })).count();
        let unlicensed = document.listed.values().filter(|license| **license == License::Missing).count();
        let value = BillOfMaterials {
            image: image.id.clone(),
            packages: document.listed.len(),
            cyclonedx: cyclonedx.clone(),
            cyclonedx_sha256,
            spdx: spdx.clone(),
            spdx_sha256,
        };
        let mut outcome = Outcome::of(value)
            .headline(format!("{}, CycloneDX and SPDX", counted(document.listed.len(), "package")))
            .fact("packages", document.listed.len())
            .fact("packages_expected", expected.packages.len())
            .fact("python_packages", python)
            .fact("packages_without_license", unlicensed)
            .fact("made", identity.time())
            .findings(findings(&document))
            .exceptions(self.accepted.clone());
        outcome.attachments.extend([cyclonedx, spdx]);
        Ok(outcome)
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![trivy_tool(), docker_tool(), git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        let (neutral, step) = (Neutral::placeholder(), Utf8Path::new("<step>"));
        let trivy = |format: &str, file: &str| {
            invocation(&neutral, Utf8Path::new("<step>/cache"), format, &step.join(file), "<image id>")
        };
        let mut all = vec![commit_time("<commit>")];
        all.extend(ExportedImage::explain());
        all.extend([trivy("cyclonedx", "trivy.cdx.json"), trivy("spdx-json", "trivy.spdx.json")]);
        all
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.accepted.clone()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }
}

/// What Trivy keeps of the image between its two calls. It is of no use to anybody afterwards.
struct Cache(Utf8PathBuf);

impl Drop for Cache {
    fn drop(&mut self) {
        // What cannot be removed is only in the way.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn invocation(neutral: &Neutral, cache: &Utf8Path, format: &str, report: &Utf8Path, image: &str) -> Invocation {
    neutral
        .trivy(cache)
        .args(["image", "--format", format, "--output", report.as_str(), "--image-src", "docker"])
        .args(["--cache-backend", "fs", "--skip-db-update", "--skip-java-db-update", "--offline-scan"])
        .args(["--skip-version-check", "--disable-telemetry", "--timeout", TRIVY_TIMEOUT, image])
        .report(report)
        .deadline(TRIVY_DEADLINE)
}

fn commit_time(commit: &str) -> Invocation {
    // Variables such as GIT_DIR, set while a hook runs, would answer for another repository.
    Invocation::tool("git").args(["show", "--no-patch", "--format=%ct", commit, "--"]).env_remove_prefix("GIT_")
}

/// The time that [reproducible builds](https://reproducible-builds.org/docs/source-date-epoch/) give to what they make.
fn made(cx: &Context, image: &ImageUnderTest) -> Result<Timestamp, StepError> {
    let (what, seconds) = match cx.env("SOURCE_DATE_EPOCH") {
        Some(value) => ("SOURCE_DATE_EPOCH", value.to_string_lossy().into_owned()),
        None => {
            cx.require(&git_tool())?;
            ("the time of the commit", cx.run_ok(&commit_time(&image.commit))?.stdout_text()?.to_owned())
        }
    };
    let seconds: i64 = seconds.trim().parse().map_err(|error| ReadError::new(what, error))?;
    Ok(Timestamp::from_second(seconds).map_err(|error| ReadError::new(what, error))?)
}

/// A Python package is chosen by somebody who can read its licence first; those of the operating system come with it.
fn findings(document: &Document) -> impl Iterator<Item = Finding> {
    document.listed.iter().filter(|(_, license)| **license == License::Missing).filter_map(|(package, _)| {
        let Package::Python { name, version } = package else { return None };
        let message = format!("{name} {version} tells no licence");
        Some(Finding::new(SbomCode::NoLicense, message).target(Target::package(format!("pkg:pypi/{name}@{version}"))))
    })
}

/// The image's name without its tag, as a file name.
fn file_name(image: &str) -> String {
    let name = image.rsplit('/').next().unwrap_or(image).split(':').next().unwrap_or("image");
    name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}

fn save(json: &Value, path: &Utf8Path) -> Result<String, StepError> {
    let mut bytes = serde_json::to_vec_pretty(json).map_err(|error| ReadError::new("the bill of materials", error))?;
    bytes.push(b'\n');
    fs::write(path, &bytes).map_err(StepError::io("writing", path))?;
    Ok(hex(&Sha256::digest(&bytes)))
}
