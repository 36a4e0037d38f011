use std::fmt;

use serde::{Deserialize, Serialize};

/// What a gate looked at. A clearance needs every gate to have looked at the image itself or at the
/// commit it was built from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// An image, by its id (`sha256:…`).
    Image(String),
    /// The files of a commit.
    Commit(String),
    /// The files that a commit adds or changes, which clears nothing: what it leaves as it was is shipped too.
    Changes(String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(id) => write!(f, "image {id}"),
            Self::Commit(id) => write!(f, "commit {id}"),
            Self::Changes(id) => write!(f, "changes of commit {id}"),
        }
    }
}

/// An output that says what it judged. Only those that nobody can forge can be gates of a clearance: the library's own, and
/// `Judgement`.
pub trait Judged {
    /// What was judged.
    fn subject(&self) -> Subject;
}
