use serde::{Deserialize, Deserializer};

use crate::model::Severity;

/// The schema of the reports that this module reads.
const SCHEMA: u64 = 2;

/// What Trivy saw, from its JSON report of schema version 2.
///
/// What proves that Trivy looked is read strictly; what a later version may add is not known here and does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrivyReport {
    /// The version that wrote the report; versions up to 0.68 do not say.
    pub version: Option<String>,
    /// What was scanned: `container_image`, `filesystem`, …
    pub artifact_type: String,
    /// The id of the image.
    pub image_id: Option<String>,
    /// The operating system that was recognised in it.
    pub os: Option<Os>,
    /// What made each layer of the image, from the bottom; nothing where the image does not tell it for all of them.
    pub layers: Vec<Layer>,
    /// One entry for every list of packages or file with findings.
    pub results: Vec<ScanResult>,
}

/// A layer of an image, and what made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The digest of its unpacked content.
    pub diff_id: String,
    /// The instruction, as the image's history has it.
    pub created_by: String,
}

/// An operating system.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Os {
    /// Which one, such as `debian`.
    pub family: String,
    /// Its version, such as `12.11`.
    #[serde(default)]
    pub name: String,
    /// Whether its vendor has stopped to publish advisories.
    #[serde(rename = "EOSL", default)]
    pub end_of_life: bool,
}

/// What was seen in one place.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScanResult {
    /// The place.
    pub target: String,
    /// What kind of place: `os-pkgs`, `lang-pkgs`, `secret`, …
    #[serde(default)]
    pub class: String,
    /// Which packages: `debian`, `python-pkg`, …
    #[serde(rename = "Type", default)]
    pub kind: String,
    /// All packages, vulnerable or not.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub packages: Vec<Package>,
    /// The flaws in them.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub vulnerabilities: Vec<Vulnerability>,
    /// Secrets in files.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub secrets: Vec<FoundSecret>,
    /// How many rules for configuration files were tried, by how they came out.
    #[serde(rename = "MisconfSummary", default)]
    pub rules: Option<RuleCounts>,
    /// What those rules found.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub misconfigurations: Vec<Misconfiguration>,
    /// How many findings Trivy suppressed by itself; counted, since there is no reason for any.
    #[serde(rename = "ExperimentalModifiedFindings", default, deserialize_with = "length")]
    pub suppressed: usize,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Package {
    /// Its name, as the package itself spells it.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
}

/// A flaw in an installed package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Vulnerability {
    /// Its name, mostly a CVE identifier.
    #[serde(rename = "VulnerabilityID")]
    pub id: String,
    /// Its other names.
    #[serde(rename = "VendorIDs", default, deserialize_with = "null_is_empty")]
    pub other_ids: Vec<String>,
    /// The package.
    pub pkg_name: String,
    /// Where in the image the package is described, for packages of a language.
    #[serde(default)]
    pub pkg_path: String,
    /// Its package URL.
    #[serde(rename = "PkgIdentifier", default)]
    pub identifier: PackageIdentifier,
    /// Its version.
    #[serde(default)]
    pub installed_version: String,
    /// The versions without the flaw, separated by commas; empty if there is none.
    #[serde(default)]
    pub fixed_version: String,
    /// What the vendor says, such as `fixed` or `will_not_fix`.
    #[serde(default)]
    pub status: String,
    /// The layer of the image that has the package.
    #[serde(default)]
    pub layer: LayerReference,
    /// One line.
    #[serde(default)]
    pub title: String,
    /// How bad; `Unknown` where no source says or the word is not known.
    #[serde(default = "unknown", deserialize_with = "severity")]
    pub severity: Severity,
}

/// The names of an installed package.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct PackageIdentifier {
    /// The package URL.
    #[serde(rename = "PURL", default)]
    pub purl: Option<String>,
}

/// Which layer of an image something is in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct LayerReference {
    /// The digest of the layer's unpacked content.
    #[serde(rename = "DiffID", default)]
    pub diff_id: Option<String>,
}

/// How the rules for a configuration file came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RuleCounts {
    /// How many were kept.
    pub successes: u32,
    /// How many were not.
    pub failures: u32,
}

/// A rule that a configuration file does not keep.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Misconfiguration {
    /// The rule, such as `DS-0002`.
    #[serde(rename = "ID")]
    pub id: String,
    /// What is wrong.
    #[serde(default)]
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub resolution: String,
    /// `FAIL`, `PASS` or `EXCEPTION`.
    pub status: String,
    /// How bad.
    #[serde(default = "unknown", deserialize_with = "severity")]
    pub severity: Severity,
    /// Where in the file.
    #[serde(rename = "CauseMetadata", default)]
    pub cause: Cause,
    /// The layer of the image that has the file.
    #[serde(default)]
    pub layer: LayerReference,
}

impl Misconfiguration {
    /// Whether the rule is not kept. A status that is not known counts as that.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.status != "PASS"
    }
}

/// The lines that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Cause {
    /// The first, from 1; 0 where it is the whole file.
    pub start_line: u32,
}

/// A secret in a file. What it is must not be shown again, so it is not read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FoundSecret {
    /// The rule that found it, such as `aws-access-key-id`.
    #[serde(rename = "RuleID")]
    pub rule: String,
    /// What the rule looks for.
    #[serde(default)]
    pub title: String,
    /// The line, from 1.
    #[serde(default)]
    pub start_line: u32,
    /// The last line, from 1.
    #[serde(default)]
    pub end_line: u32,
    /// The layer of the image that has the file.
    #[serde(default)]
    pub layer: LayerReference,
    /// How bad.
    #[serde(default = "unknown", deserialize_with = "severity")]
    pub severity: Severity,
}

/// Something that is not a complete report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrivyReportError {
    /// Cut short, followed by something else, or of another form.
    #[error("not a complete Trivy report: {0}")]
    Json(#[from] serde_json::Error),
    /// Another schema.
    #[error("the report has schema version {0}, but version {SCHEMA} is needed")]
    Schema(u64),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    schema_version: u64,
    #[serde(default)]
    trivy: Option<RawProgram>,
    artifact_type: String,
    #[serde(default)]
    metadata: RawMetadata,
    #[serde(default, deserialize_with = "null_is_empty")]
    results: Vec<ScanResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawProgram {
    version: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawMetadata {
    #[serde(rename = "OS", default)]
    os: Option<Os>,
    #[serde(rename = "ImageID", default)]
    image_id: Option<String>,
    #[serde(default)]
    image_config: RawImageConfig,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawImageConfig {
    #[serde(deserialize_with = "null_is_empty")]
    history: Vec<RawHistory>,
    rootfs: RawRootFs,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawHistory {
    created_by: String,
    empty_layer: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawRootFs {
    #[serde(deserialize_with = "null_is_empty")]
    diff_ids: Vec<String>,
}

impl RawImageConfig {
    fn layers(self) -> Vec<Layer> {
        let made: Vec<_> = self.history.into_iter().filter(|entry| !entry.empty_layer).collect();
        // A history that was shortened would name the wrong instruction for every layer above the gap.
        if made.len() != self.rootfs.diff_ids.len() {
            return Vec::new();
        }
        let pairs = self.rootfs.diff_ids.into_iter().zip(made);
        pairs.map(|(diff_id, RawHistory { created_by, .. })| Layer { diff_id, created_by }).collect()
    }
}

impl TrivyReport {
    /// Reads a report.
    ///
    /// # Errors
    /// Anything but exactly one complete document of schema version 2.
    pub fn from_json(bytes: &[u8]) -> Result<Self, TrivyReportError> {
        let raw: Raw = serde_json::from_slice(bytes)?;
        if raw.schema_version != SCHEMA {
            return Err(TrivyReportError::Schema(raw.schema_version));
        }
        Ok(Self {
            version: raw.trivy.map(|program| program.version),
            artifact_type: raw.artifact_type,
            image_id: raw.metadata.image_id,
            os: raw.metadata.os,
            layers: raw.metadata.image_config.layers(),
            results: raw.results,
        })
    }

    /// What made the layer with this digest.
    #[must_use]
    pub fn created_by(&self, diff_id: &str) -> Option<&str> {
        self.layers.iter().find(|layer| layer.diff_id == diff_id).map(|layer| layer.created_by.as_str())
    }

    /// Every flaw of every package.
    pub fn vulnerabilities(&self) -> impl Iterator<Item = &Vulnerability> {
        self.results.iter().flat_map(|result| &result.vulnerabilities)
    }

    /// The packages that the operating system's own tool installed.
    pub fn os_packages(&self) -> impl Iterator<Item = &Package> {
        self.results.iter().filter(|result| result.class == "os-pkgs").flat_map(|result| &result.packages)
    }

    /// The packages of one kind, such as `python-pkg`.
    pub fn packages_of(&self, kind: &str) -> impl Iterator<Item = &Package> {
        self.results.iter().filter(move |result| result.kind == kind).flat_map(|result| &result.packages)
    }
}

impl ScanResult {
    /// How many rules for configuration files were tried on this one.
    #[must_use]
    pub fn rules_tried(&self) -> u32 {
        self.rules.map_or(0, |counts| counts.successes.saturating_add(counts.failures))
    }
}

fn unknown() -> Severity {
    Severity::Unknown
}

fn severity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Severity, D::Error> {
    // A word of a later version is nothing to fail on, but it must count as the worst.
    Ok(Option::<String>::deserialize(deserializer)?.and_then(|word| word.parse().ok()).unwrap_or(Severity::Unknown))
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    // Go writes a list that was never filled as `null`; that is an empty list, not a missing one.
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_else(Vec::new))
}

fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    Ok(null_is_empty::<D, serde::de::IgnoredAny>(deserializer)?.len())
}
