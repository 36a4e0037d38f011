//! Trivy's JSON report.

mod report;
#[cfg(test)]
mod tests;

pub use report::{
    Cause, FoundSecret, Layer, LayerReference, Misconfiguration, Os, Package, PackageIdentifier, RuleCounts,
    ScanResult, TrivyReport, TrivyReportError, Vulnerability,
};
