use std::fmt;

use crate::formats::LicenseTriple;

/// How what a package says of its licence changed from one version to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LicenseDiff {
    /// Each place that changed: its name, the old and the new content.
    pub changes: Vec<(&'static str, String, String)>,
    /// The old and the new licence, as `classifier (metadata)`.
    pub shown: (String, String),
}

/// Compares what two versions say of their licence, word for word.
#[must_use]
pub fn diff(old: &LicenseTriple, new: &LicenseTriple) -> LicenseDiff {
    let places = [
        ("License", old.metadata.clone(), new.metadata.clone()),
        ("Classifier", old.classifiers.join("; "), new.classifiers.join("; ")),
        ("License-Expression", old.expression.clone(), new.expression.clone()),
    ];
    LicenseDiff {
        changes: places.into_iter().filter(|(_, old, new)| old != new).collect(),
        shown: (old.to_string(), new.to_string()),
    }
}

impl LicenseDiff {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// `licence Public Domain (Unlicense) -> The Unlicense (Unlicense) (Unlicense); Classifier: "…" -> "…"`.
impl fmt::Display for LicenseDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return write!(f, "licence unchanged: {}", self.shown.0);
        }
        write!(f, "licence {} -> {}", self.shown.0, self.shown.1)?;
        for (place, old, new) in &self.changes {
            write!(f, "; {place}: {old:?} -> {new:?}")?;
        }
        Ok(())
    }
}
