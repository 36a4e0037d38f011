use serde::{Deserialize, Serialize};

/// One attempt of a step that was tried more than once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// How long it took, in milliseconds, without the waiting before it.
    pub duration_ms: u64,
    /// Why it could not decide; nothing where it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
