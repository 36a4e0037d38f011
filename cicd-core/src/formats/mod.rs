//! Floor 1: bytes to typed values, and back. Pure: no file is opened here.

pub mod config;
mod diagnostic;
pub mod ignore_file;
mod limits;
pub mod printable;
pub mod requirements;
mod suggest;
pub mod trivy_db;
pub mod trivy_report;

pub use config::{ConfigError, Problems, RawConfig};
pub use diagnostic::{Diagnostic, Paint};
pub use limits::{ExpiryLimits, Limits};
pub use suggest::closest;
