use std::fs;

use camino::Utf8Path;

use super::{Neutral, VulnerabilityDatabase};
use crate::formats::trivy_report::TrivyReport;
use crate::process::Invocation;
use crate::step::{Context, ReadError, StepError};

/// A flaw that every database must know, whoever made it and whenever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canary {
    /// The package, on PyPI.
    pub package: &'static str,
    /// A version that has the flaw.
    pub version: &'static str,
    /// The flaw.
    pub id: &'static str,
}

/// Rated and published for years, in a package that nobody will unpublish.
pub const CANARY: Canary = Canary { package: "flask", version: "0.12", id: "CVE-2018-1000656" };

impl Canary {
    /// Has Trivy judge a project with this flaw by `database`: a database that is empty, broken or of another form finds nothing in it,
    /// with exit code 0, and would find nothing in any image either.
    ///
    /// # Errors
    /// When the flaw is not found.
    pub fn sing(&self, cx: &Context, neutral: &Neutral, database: &VulnerabilityDatabase) -> Result<(), StepError> {
        let folder = cx.path(cx.dir()).join("canary");
        let requirements = folder.join("requirements.txt");
        fs::create_dir_all(&folder).map_err(StepError::io("creating", &folder))?;
        fs::write(&requirements, format!("{}=={}\n", self.package, self.version))
            .map_err(StepError::io("writing", &requirements))?;
        let captured =
            cx.run_ok(&self.invocation(neutral, &database.cache_dir, folder.as_str(), &cx.path(cx.dir())))?;
        let report = TrivyReport::from_json(captured.report_bytes()?)
            .map_err(|error| ReadError::new("Trivy's report on a known flaw", error))?;
        if self.is_heard(&report) {
            return Ok(());
        }
        Err(StepError::not_looked(
            format!(
                "the vulnerability database in {} does not know {} in {} {}: it is empty or broken",
                database.cache_dir, self.id, self.package, self.version
            ),
            "delete that folder and run the database step again",
        ))
    }

    /// The command line for the project in `folder`.
    #[must_use]
    pub fn invocation(&self, neutral: &Neutral, cache_dir: &Utf8Path, folder: &str, step_dir: &Utf8Path) -> Invocation {
        neutral.scan(cache_dir, "filesystem", "vuln", &step_dir.join("canary.json")).arg(folder)
    }

    /// Whether a report on the project names the flaw.
    #[must_use]
    pub fn is_heard(&self, report: &TrivyReport) -> bool {
        report.vulnerabilities().any(|flaw| {
            flaw.pkg_name == self.package && (flaw.id == self.id || flaw.other_ids.iter().any(|id| id == self.id))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_flaw_is_told_from_others() {
        let text = include_str!("../../tests/data/trivy/canary-0.70.0.json");
        let report = |text: &str| TrivyReport::from_json(text.as_bytes()).expect("a report");
        assert!(CANARY.is_heard(&report(text)));
        assert!(!CANARY.is_heard(&report(&text.replace(CANARY.id, "CVE-2018-1000657"))));
        assert!(!CANARY.is_heard(&report(include_str!("../../tests/data/trivy/scratch-0.70.0.json"))));
    }
}
