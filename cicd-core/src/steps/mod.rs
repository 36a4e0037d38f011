//! Floor 4: one file a step. Steps never import steps.

pub mod base_image;
mod cargo_test;
mod code_owners;
mod coverage_gate;
#[cfg(feature = "dast")]
mod dast;
mod dependency_audit;
mod dev_build;
pub mod docker_build;
mod exception_lint;
mod hadolint;
mod iac_scan;
mod license_check;
#[cfg(feature = "load-test")]
mod load_test;
mod push;
mod pytest;
mod python_env;
mod readiness;
mod ruff;
mod rust_format;
mod sast;
mod sbom;
mod secret_scan;
mod source_check;
mod trivy_database;
mod trivy_scan;
mod workflow_lint;

pub use crate::trivy::ScanReport;
pub use base_image::{BaseCode, PinnedBase};
pub use cargo_test::{CargoTest, CargoTestCode};
pub use code_owners::{CodeOwners, OwnersChecked, OwnersCode};
pub use coverage_gate::{Coverage, CoverageCode, CoverageGate, CoverageInput, InvalidThreshold};
#[cfg(feature = "dast")]
pub use dast::{Answered, Dast, DastBuilder, DastCode, DastReport, Field, InvalidDast};
pub use dependency_audit::{AuditCode, AuditReport, DependencyAudit};
pub use dev_build::DevBuild;
pub use docker_build::{DockerBuild, ImageCode, IntermediateBuild};
pub use exception_lint::{ExceptionLint, ExceptionLintCode, ExceptionsRead};
pub use hadolint::{Hadolint, HadolintScanner};
pub use iac_scan::{IacScan, IacScanner};
pub use license_check::{
    JudgedPackage, LicenseCheck, LicenseCode, LicenseDiff, LicenseReport, LockedLicenses, LockedLicensesReport,
    diff as license_diff, propose as propose_licenses,
};
#[cfg(feature = "load-test")]
pub use load_test::{InvalidLoadTest, JudgedRule, LoadAgainst, LoadReport, LoadTest, LoadTestBuilder, LoadTestCode};
pub use push::{Push, Pushed};
pub use pytest::{Pytest, PytestCode};
pub use python_env::PythonEnv;
pub use readiness::{Readiness, ReadinessCode, Ready};
pub use ruff::{RuffCode, RuffFormat, RuffFormatScanner, RuffLint, RuffLintScanner};
pub use rust_format::{RustFormat, RustFormatCode, RustFormatScanner};
pub use sast::{BanditScanner, Sast, Semgrep, SemgrepScanner};
pub use sbom::{BillOfMaterials, Sbom, SbomCode};
pub use secret_scan::{Gitleaks, GitleaksScanner, SecretCode, SecretScan, SecretScanner};
pub use source_check::{SourceCheck, SourceChecked, SourceCode};
pub use trivy_database::{DatabaseCode, TrivyDatabase};
pub use trivy_scan::{ScanCode, TrivyScan};
pub use workflow_lint::{WorkflowLint, WorkflowScanner};
