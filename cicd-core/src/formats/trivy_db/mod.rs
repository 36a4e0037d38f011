//! Trivy's vulnerability database, made from a list of advisories: the file `trivy.db` and its `metadata.json`.
//!
//! It is a [bbolt](https://github.com/etcd-io/bbolt) file whose layout is given by
//! [trivy-db](https://github.com/aquasecurity/trivy-db), schema version 2.

mod advisory;
mod bolt;
mod database;
mod metadata;

pub use advisory::{Advisory, AdvisoryError, AdvisoryList, Ecosystem, VersionRange};
pub use bolt::BoltError;
pub use database::trivy_db;
pub use metadata::{DatabaseMetadata, MetadataError, check_age};
