use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The schema of the database that Trivy of the supported versions reads.
const SCHEMA: u32 = 2;

/// The `metadata.json` beside a database: which schema it has and when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DatabaseMetadata {
    /// The schema of the database.
    pub version: u32,
    /// When a newer one is expected.
    pub next_update: Timestamp,
    /// When it was made.
    pub updated_at: Timestamp,
    /// When it came to this machine.
    pub downloaded_at: Timestamp,
}

/// A `metadata.json` that proves nothing about its database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// It is not a document of this form.
    #[error("not the metadata of a database: {0}")]
    Json(#[from] serde_json::Error),
    /// Another schema.
    #[error("the database has schema {0}, but Trivy reads schema {SCHEMA}")]
    Schema(u32),
    /// From the future: a wrong clock here or there makes every statement about age worthless.
    #[error("the database says it was made at {updated_at}, which is in the future")]
    Future {
        /// When it says it was made.
        updated_at: Timestamp,
    },
    /// Too old.
    #[error("the database was made at {updated_at}, more than {hours_max} h ago")]
    Stale {
        /// When it was made.
        updated_at: Timestamp,
        /// How old it may be, in hours.
        hours_max: u32,
    },
}

/// How far two clocks may differ before one of them is wrong.
const CLOCK_DIFFERENCE_MAX: SignedDuration = SignedDuration::from_mins(5);

impl DatabaseMetadata {
    /// The metadata of a database made at `updated_at` on this machine, now.
    #[must_use]
    pub fn new(updated_at: Timestamp, now: Timestamp) -> Self {
        Self { version: SCHEMA, next_update: updated_at, updated_at, downloaded_at: now }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// Anything but the metadata of a database of schema 2.
    pub fn from_json(bytes: &[u8]) -> Result<Self, MetadataError> {
        let metadata: Self = serde_json::from_slice(bytes)?;
        if metadata.version == SCHEMA { Ok(metadata) } else { Err(MetadataError::Schema(metadata.version)) }
    }

    /// The file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!({
            "Version": self.version,
            "NextUpdate": self.next_update,
            "UpdatedAt": self.updated_at,
            "DownloadedAt": self.downloaded_at,
        })
        .to_string()
    }
}

/// Checks that a database made at `updated_at` is at most `hours_max` hours old and not from the future.
///
/// # Errors
/// [`MetadataError::Stale`] or [`MetadataError::Future`].
pub fn check_age(updated_at: Timestamp, now: Timestamp, hours_max: u32) -> Result<(), MetadataError> {
    let age = now.duration_since(updated_at);
    if age < -CLOCK_DIFFERENCE_MAX {
        return Err(MetadataError::Future { updated_at });
    }
    if age > SignedDuration::from_hours(i64::from(hours_max)) {
        return Err(MetadataError::Stale { updated_at, hours_max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // The form that Trivy writes: Go's times, with nanoseconds.
    const METADATA: &str = r#"{"Version":2,"NextUpdate":"2026-11-21T06:38:04.274839125Z","UpdatedAt":"2026-11-20T06:38:04.274839295Z","DownloadedAt":"2026-11-20T08:14:24.521863522Z"}"#;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn metadata_survives_a_round_trip() {
        let metadata = DatabaseMetadata::from_json(METADATA.as_bytes()).expect("metadata");
        assert_eq!(DatabaseMetadata::from_json(metadata.to_json().as_bytes()).expect("metadata"), metadata);
    }

    #[test]
    fn other_schemas_and_broken_files_are_refused() {
        for schema in ["1", "3"] {
            let other = METADATA.replace("\"Version\":2", &format!("\"Version\":{schema}"));
            assert!(matches!(DatabaseMetadata::from_json(other.as_bytes()), Err(MetadataError::Schema(_))));
        }
        for bytes in ["", "null", "{}", &METADATA[..60], &METADATA.replace("2026-11-20T06", "yesterday")] {
            assert!(matches!(DatabaseMetadata::from_json(bytes.as_bytes()), Err(MetadataError::Json(_))), "{bytes}");
        }
    }

    #[test]
    fn a_database_is_neither_old_nor_from_the_future() {
        let now = at("2026-11-21T12:00:00Z");
        for (updated_at, fits) in [
            ("2026-11-21T12:04:00Z", true),
            ("2026-11-21T12:06:00Z", false),
            ("2026-11-19T12:00:00Z", true),
            ("2026-11-19T11:59:59Z", false),
            ("2001-01-01T00:00:00Z", false),
        ] {
            assert_eq!(check_age(at(updated_at), now, 48).is_ok(), fits, "{updated_at}");
        }
    }
}
