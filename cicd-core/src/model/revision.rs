use serde::{Deserialize, Serialize};

/// What was checked out when the run began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The full commit id of `HEAD`, 40 or 64 lower-case hexadecimal digits.
    pub commit: String,
    /// Whether tracked or untracked files differ from that commit.
    pub dirty: bool,
    /// In what they differ, for people: the first few, each with its file.
    #[serde(default)]
    pub differences: Vec<String>,
}
