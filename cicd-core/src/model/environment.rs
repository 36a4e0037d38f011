use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a clearance is for, and where an effect is, unless another environment is named.
pub const PRODUCTION: &str = "production";

/// A longer name is a sentence.
const NAME_BYTES_MAX: usize = 40;

/// Nobody has more of them than this; a list that is longer is no limit.
const NAMES_MAX: usize = 20;

/// Where an exception holds: everywhere, unless it is limited to some environments, such as `local`.
///
/// A limited one exempts a finding for the verdict on the step, and clears nothing for any other environment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environments(Option<BTreeSet<String>>);

/// What limits nothing, or cannot be the name of an environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an environment: use small letters, digits and hyphens, such as `local`")]
pub struct InvalidEnvironment(String);

impl Environments {
    /// Only these.
    ///
    /// # Errors
    /// None at all, or a name that cannot be one.
    pub fn only(names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, InvalidEnvironment> {
        let names: BTreeSet<String> = names.into_iter().map(|name| name.as_ref().trim().to_owned()).collect();
        let is_name = |name: &&String| {
            !name.is_empty()
                && name.len() <= NAME_BYTES_MAX
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if names.is_empty() {
            return Err(InvalidEnvironment(String::new()));
        }
        if names.len() > NAMES_MAX {
            return Err(InvalidEnvironment(format!("a list of {} names", names.len())));
        }
        match names.iter().find(|name| !is_name(name)) {
            Some(wrong) => Err(InvalidEnvironment(wrong.clone())),
            None => Ok(Self(Some(names))),
        }
    }

    /// Whether there is no limit.
    #[must_use]
    pub fn is_every(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this environment is among them.
    #[must_use]
    pub fn hold_in(&self, environment: &str) -> bool {
        self.0.as_ref().is_none_or(|names| names.contains(environment))
    }

    /// Their names; none where there is no limit.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(String::as_str)
    }

    /// Whether there is an environment that is among both.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => !one.is_disjoint(other),
            _ => true,
        }
    }
}

/// The names, as `local, staging`; nothing where there is no limit.
impl fmt::Display for Environments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().flatten().map(String::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_never_becomes_none() {
        let local = Environments::only(["local"]).expect("a name");
        assert!(local.hold_in("local") && !local.hold_in("production") && !local.is_every());
        assert!(Environments::default().hold_in("production"));
        for wrong in [vec![], vec![""], vec!["local", ""], vec!["*"], vec!["Production"], vec!["a b"]] {
            assert!(Environments::only(&wrong).is_err(), "{wrong:?}");
        }
        let nowhere: Environments = serde_json::from_str("[]").expect("read");
        assert!(!nowhere.hold_in("production") && !nowhere.is_every());
    }
}
