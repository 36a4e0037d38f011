//! Floor 1: bytes to typed values, and back. Pure: no file is opened here.

pub mod trivy_db;
