use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use pep440_rs::Version;
use serde::Deserialize;

use crate::model::Severity;

/// A name with more hyphens would need too many spellings; real names have up to four.
const HYPHENS_MAX: usize = 10;

/// A list of advisories about the packages of one ecosystem, as one JSON document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvisoryList {
    /// Where the advisories come from, in words.
    pub source: String,
    /// The licence of the list, as an SPDX identifier.
    pub licence: String,
    /// Which packages it is about.
    pub ecosystem: Ecosystem,
    /// The day up to which it is complete.
    pub as_of: Date,
    /// The advisories; never empty.
    pub advisories: Vec<Advisory>,
}

/// Whose package names and version rules apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
pub enum Ecosystem {
    /// Python packages: names as in PEP 503, versions as in PEP 440.
    #[serde(rename = "PyPI")]
    PyPi,
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PyPi => f.pad("PyPI"),
        }
    }
}

/// One flaw in one package.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Advisory {
    /// The package, its name normalised as in PEP 503.
    pub package: String,
    /// The identifier in the source, such as `PYSEC-2023-74`.
    pub id: String,
    /// Other names of the same flaw.
    pub aliases: Vec<String>,
    /// The affected versions; never empty.
    pub ranges: Vec<VersionRange>,
    /// A CVSS 3 vector, where the source has one.
    #[serde(default)]
    pub cvss: Option<String>,
    /// When it was published, where the source says so.
    #[serde(default)]
    pub published: Option<Date>,
    /// When it was last changed.
    pub modified: Date,
}

/// A range of affected versions.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionRange {
    /// The first affected version; `0` for the first release.
    pub introduced: String,
    /// The first version that is not affected any more.
    #[serde(default)]
    pub fixed: Option<String>,
    /// The last affected version, where no fixed one is known.
    #[serde(default)]
    pub last_affected: Option<String>,
}

/// A list that no database is made from: one that lacks something must not look complete.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdvisoryError {
    /// It is not a document of this form.
    #[error("not a list of advisories: {0}")]
    Json(#[from] serde_json::Error),
    /// It has no advisories.
    #[error("the list has no advisories")]
    Empty,
    /// One advisory is wrong.
    #[error("advisory {id} about {package}: {problem}")]
    Advisory {
        /// Its identifier.
        id: String,
        /// Its package.
        package: String,
        /// What is wrong.
        problem: String,
    },
}

impl AdvisoryList {
    /// Reads and checks a list.
    ///
    /// # Errors
    /// JSON of another form, unknown keys, no advisories, or an advisory whose name, versions or vector cannot be understood.
    pub fn from_json(bytes: &[u8]) -> Result<Self, AdvisoryError> {
        let list: Self = serde_json::from_slice(bytes)?;
        if list.advisories.is_empty() {
            return Err(AdvisoryError::Empty);
        }
        let mut seen = BTreeSet::new();
        for advisory in &list.advisories {
            let twice = !seen.insert((&advisory.package, &advisory.id));
            let problem = if twice { Some("it is listed twice".to_owned()) } else { advisory.problem() };
            if let Some(problem) = problem {
                let Advisory { id, package, .. } = advisory.clone();
                return Err(AdvisoryError::Advisory { id, package, problem });
            }
        }
        Ok(list)
    }

    /// Whether a flaw is listed for a package, by any of its names.
    #[must_use]
    pub fn knows(&self, package: &str, id: &str) -> bool {
        self.advisories.iter().any(|advisory| {
            advisory.package == package && (advisory.id == id || advisory.aliases.iter().any(|alias| alias == id))
        })
    }
}

impl Advisory {
    /// The name that findings are shown under: the CVE identifier where there is one, otherwise the source's own.
    #[must_use]
    pub fn primary_id(&self) -> &str {
        self.aliases.iter().find(|alias| alias.starts_with("CVE-")).unwrap_or(&self.id)
    }

    /// Every spelling of the package's name that Trivy may look for. It lowers the case and turns `_` into `-`, but leaves the dots
    /// of names such as `zope.interface`, so each hyphen may be a dot.
    pub fn spellings(&self) -> impl Iterator<Item = String> {
        let hyphens = self.package.matches('-').count().min(HYPHENS_MAX);
        (0..1_usize << hyphens).map(|dots| {
            let mut hyphen = 0;
            self.package
                .chars()
                .map(|c| {
                    if c != '-' {
                        return c;
                    }
                    hyphen += 1;
                    if dots >> (hyphen - 1) & 1 == 1 { '.' } else { '-' }
                })
                .collect()
        })
    }

    /// Every other name of the flaw, the source's own first.
    pub fn other_ids(&self) -> impl Iterator<Item = &str> {
        let primary = self.primary_id();
        [&self.id].into_iter().chain(&self.aliases).map(String::as_str).filter(move |id| *id != primary)
    }

    /// The severity that the CVSS base score gives; `Unknown` without a vector.
    #[must_use]
    pub fn severity(&self) -> Severity {
        match self.base().map(|base| base.severity()) {
            // A score of 0 has no place among Trivy's words; the lowest one still shows the advisory.
            Some(cvss::Severity::None | cvss::Severity::Low) => Severity::Low,
            Some(cvss::Severity::Medium) => Severity::Medium,
            Some(cvss::Severity::High) => Severity::High,
            Some(cvss::Severity::Critical) => Severity::Critical,
            None => Severity::Unknown,
        }
    }

    /// The CVSS base score, 0.0 to 10.0, where there is a vector.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        self.base().map(|base| base.score().value())
    }

    fn base(&self) -> Option<cvss::v3::Vector> {
        let vector: cvss::v3::Vector = self.cvss.as_deref()?.parse().ok()?;
        // The crate scores a missing metric as harmless, which would turn half a vector into a low severity.
        let exploit = vector.av.is_some() && vector.ac.is_some() && vector.pr.is_some() && vector.ui.is_some();
        let impact = vector.s.is_some() && vector.c.is_some() && vector.i.is_some() && vector.a.is_some();
        (exploit && impact).then_some(vector)
    }

    fn problem(&self) -> Option<String> {
        let normal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if self.package.is_empty() || !self.package.chars().all(normal) {
            return Some(format!("{:?} is not a package name as PEP 503 normalises it", self.package));
        }
        if self.package.matches('-').count() > HYPHENS_MAX {
            return Some(format!("the package's name has more than {HYPHENS_MAX} hyphens"));
        }
        if let Some(bad) = [&self.id].into_iter().chain(&self.aliases).find(|id| !is_plain_id(id)) {
            return Some(format!("{bad:?} is not an identifier"));
        }
        if self.ranges.is_empty() {
            return Some("it has no range of affected versions".to_owned());
        }
        if let Some(vector) = self.cvss.as_ref().filter(|_| self.base().is_none()) {
            return Some(format!("{vector:?} is not a CVSS 3 vector"));
        }
        self.ranges.iter().find_map(VersionRange::problem)
    }
}

fn is_plain_id(id: &str) -> bool {
    !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

impl VersionRange {
    /// The versions in the form that Trivy reads, such as `>=2.3.0, <2.31.0`.
    #[must_use]
    pub fn constraint(&self) -> String {
        let end = match (&self.fixed, &self.last_affected) {
            (Some(fixed), _) => Some(format!("<{fixed}")),
            (None, Some(last)) => Some(format!("<={last}")),
            (None, None) => None,
        };
        match (self.introduced.as_str(), end) {
            ("0", Some(end)) => end,
            (introduced, Some(end)) => format!(">={introduced}, {end}"),
            (introduced, None) => format!(">={introduced}"),
        }
    }

    fn problem(&self) -> Option<String> {
        let versions = [Some(&self.introduced), self.fixed.as_ref(), self.last_affected.as_ref()];
        if let Some(bad) = versions.into_iter().flatten().find(|version| Version::from_str(version).is_err()) {
            return Some(format!("{bad:?} is not a version as in PEP 440"));
        }
        if self.fixed.is_some() && self.last_affected.is_some() {
            return Some("a range has both `fixed` and `last_affected`".to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"source": "s", "licence": "CC-BY-4.0", "ecosystem": "PyPI", "as_of": "2024-10-10", "advisories": [
        {"package": "werkzeug", "id": "PYSEC-2023-221", "aliases": ["GHSA-hrfv-mqp8-q5rw", "CVE-2023-46136"],
         "ranges": [{"introduced": "0", "fixed": "2.3.8"}, {"introduced": "3.0.0"}, {"introduced": "1", "last_affected": "2"}],
         "cvss": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H", "published": "2023-10-25", "modified": "2023-11-08"}]}"#;

    #[test]
    fn an_advisory_is_named_by_its_cve_and_rated_by_its_vector() {
        let list = AdvisoryList::from_json(ONE.as_bytes()).expect("a list");
        let advisory = &list.advisories[0];
        assert_eq!(advisory.primary_id(), "CVE-2023-46136");
        assert_eq!(advisory.other_ids().collect::<Vec<_>>(), ["PYSEC-2023-221", "GHSA-hrfv-mqp8-q5rw"]);
        assert_eq!((advisory.severity(), advisory.score()), (Severity::High, Some(7.5)));
        let constraints: Vec<_> = advisory.ranges.iter().map(VersionRange::constraint).collect();
        assert_eq!(constraints, ["<2.3.8", ">=3.0.0", ">=1, <=2"]);
        assert!(list.knows("werkzeug", "PYSEC-2023-221") && list.knows("werkzeug", "CVE-2023-46136"));
        assert!(!list.knows("flask", "CVE-2023-46136"));
    }

    #[test]
    fn a_name_is_spelled_with_every_mix_of_hyphens_and_dots() {
        let list = AdvisoryList::from_json(ONE.replace("werkzeug", "a-b-c").as_bytes()).expect("a list");
        let spellings: BTreeSet<_> = list.advisories[0].spellings().collect();
        assert_eq!(spellings, ["a-b-c", "a-b.c", "a.b-c", "a.b.c"].map(str::to_owned).into());
        assert!(AdvisoryList::from_json(ONE.replace("werkzeug", &"a-".repeat(11)).as_bytes()).is_err());
    }

    #[test]
    fn a_list_that_lacks_something_is_refused() {
        for (from, to, complaint) in [
            ("werkzeug", "Werk_Zeug", "PEP 503"),
            ("\"2.3.8\"", "\"two\"", "PEP 440"),
            ("AV:N/AC:L", "AV:X/AC:L", "CVSS"),
            ("/C:N/I:N/A:H", "/C:N/I:N", "CVSS"),
            ("\"fixed\"", "\"fxied\"", "unknown field"),
            ("PyPI", "npm", "unknown variant"),
            ("2024-10-10", "2024-13-10", "month"),
            ("CVE-2023-46136", "CVE-2023-46136\\u202e", "identifier"),
        ] {
            let error = AdvisoryList::from_json(ONE.replace(from, to).as_bytes()).expect_err(to);
            assert!(error.to_string().contains(complaint), "{to}: {error}");
        }
        for bytes in ["", "null", "[]", "{}", &ONE[..ONE.len() - 1], &format!("{ONE}{ONE}")] {
            assert!(AdvisoryList::from_json(bytes.as_bytes()).is_err(), "{bytes:?} was accepted");
        }
        let start = ONE.find("[\n").expect("the list");
        let empty = format!("{}[]}}", &ONE[..start]);
        assert!(matches!(AdvisoryList::from_json(empty.as_bytes()), Err(AdvisoryError::Empty)));
        let twice = format!("{}[{first},{first}]}}", &ONE[..start], first = &ONE[start + 1..ONE.len() - 2]);
        let error = AdvisoryList::from_json(twice.as_bytes()).expect_err("twice");
        assert!(error.to_string().contains("listed twice"), "{error}");
    }
}
