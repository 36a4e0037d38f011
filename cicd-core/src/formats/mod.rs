//! Floor 1: bytes to typed values, and back. Pure: no file is opened here.

pub mod ignore_file;
pub mod printable;
pub mod requirements;
pub mod trivy_db;
pub mod trivy_report;
