//! Floor 1: bytes to typed values, and back. Pure: no file is opened here.

mod apk_installed;
mod approved;
pub mod buildkit_log;
pub mod codeowners;
pub mod config;
mod container;
pub mod coverage;
mod diagnostic;
pub mod dockerfile;
mod dpkg_status;
mod exceptions_file;
pub mod file_kind;
pub mod ignore_file;
mod image_config;
pub mod image_reference;
mod junit;
mod libtest;
mod limits;
pub mod network_failure;
pub mod printable;
pub mod pytest_settings;
pub mod python_bytecode;
mod python_metadata;
mod python_record;
pub mod python_syntax;
pub mod requirements;
mod spdx_names;
pub mod spreadsheet;
mod suppressions;
mod threshold;
pub mod trivy_db;
pub mod trivy_report;
mod xml;
pub mod zip_directory;

pub use crate::model::closest;
pub use apk_installed::{ApkError, read_apk_installed};
pub use approved::{ApprovedError, ApprovedPackage, COLUMNS as APPROVED_COLUMNS, read_approved, write_approved};
pub use config::{ConfigError, Problems, RawConfig};
pub use container::{ContainerInspect, ContainerState, HealthCommand};
pub(crate) use diagnostic::wrapped;
pub use diagnostic::{Diagnostic, Paint};
pub use dpkg_status::{DebianInstalled, DpkgStatusError, read_dpkg_status};
pub use exceptions_file::{ExceptionsFile, read_exceptions};
pub use image_config::ImageConfig;
pub use junit::{JunitError, JunitReport, TestCase, TestOutcome, read_junit};
pub use libtest::{LibtestReport, NotPassed, read_libtest};
pub use limits::Limits;
pub(crate) use python_metadata::hex;
pub use python_metadata::{
    LicenseTriple, MetadataError, PythonMetadata, is_package_name, read_python_metadata, same_version,
};
pub use python_record::{RecordError, RecordedFile, read_python_record};
pub use spdx_names::{SpdxProblem, check_spdx, contradicting_classifier, normalized_spdx, propose_spdx, same_spdx};
pub use suppressions::Suppressions;
pub use threshold::{Measurable, Metric, Operator, Threshold, ThresholdError};
