use std::collections::BTreeSet;

use crate::model::Severity;

/// How many days ahead an exception may expire, by the severity of what it allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpiryLimits {
    /// For critical findings, and for those that nobody has rated.
    pub critical_days: u32,
    /// For high findings.
    pub high_days: u32,
    /// For all others.
    pub other_days: u32,
}

impl Default for ExpiryLimits {
    fn default() -> Self {
        Self { critical_days: 30, high_days: 90, other_days: 180 }
    }
}

impl ExpiryLimits {
    /// How many days ahead an exception for a finding of this severity may expire.
    #[must_use]
    pub fn days_max(self, severity: Severity) -> u32 {
        match severity {
            Severity::Unknown | Severity::Critical => self.critical_days,
            Severity::High => self.high_days,
            Severity::Medium | Severity::Low => self.other_days,
        }
    }

    /// How many days ahead any exception may expire, whatever it allows.
    #[must_use]
    pub fn longest(self) -> u32 {
        self.critical_days.max(self.high_days).max(self.other_days)
    }
}

/// What every exception of a pipeline is held to, wherever it is written down. It is set once, with
/// [`Pipeline::policy`](crate::pipeline::Pipeline::policy); no step sees it.
///
/// Without one, exceptions may last 30, 90 and 180 days, for critical, high and other findings, and anybody may answer for them.
///
/// ```
/// use cicd_core::policy::{ExpiryLimits, Policy};
///
/// let policy = Policy::default()
///     .expiry(ExpiryLimits { critical_days: 14, ..ExpiryLimits::default() })
///     .owners(["@example/security", "@example/platform"]);
/// assert!(policy.knows("@Example/Security") && !policy.knows("@example/secruity"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    expiry: ExpiryLimits,
    /// In small letters, as hosts compare them; `None` where anybody may answer for an exception.
    owners: Option<BTreeSet<String>>,
    /// `None` where an exception may be limited to any environment.
    environments: Option<BTreeSet<String>>,
}

impl Policy {
    /// How far ahead exceptions may expire.
    #[must_use]
    pub fn expiry(mut self, limits: ExpiryLimits) -> Self {
        self.expiry = limits;
        self
    }

    /// Who may answer for an exception. Without any, nobody may.
    #[must_use]
    pub fn owners(mut self, owners: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.owners = Some(owners.into_iter().map(|owner| owner.as_ref().to_ascii_lowercase()).collect());
        self
    }

    /// The environments that an exception may be limited to. Unless they are set, a pipeline knows those that it clears for, and
    /// `local`: a limit to another one is a slip of the pen, or says nothing.
    #[must_use]
    pub fn environments(mut self, names: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.environments = Some(names.into_iter().map(|name| name.as_ref().to_owned()).collect());
        self
    }

    /// The same, where no environments are set with these.
    pub(crate) fn or_environments<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Self {
        match &self.environments {
            Some(_) => self.clone(),
            None => self.clone().environments(names),
        }
    }

    /// Whether an exception may be limited to this environment.
    #[must_use]
    pub fn knows_environment(&self, name: &str) -> bool {
        self.environments.as_ref().is_none_or(|known| known.contains(name))
    }

    pub(super) fn known_environments(&self) -> impl Iterator<Item = &str> {
        self.environments.iter().flatten().map(String::as_str)
    }

    /// Whether this owner may answer for an exception.
    #[must_use]
    pub fn knows(&self, owner: &str) -> bool {
        self.owners.as_ref().is_none_or(|known| known.contains(&owner.to_ascii_lowercase()))
    }

    pub(super) fn limits(&self) -> ExpiryLimits {
        self.expiry
    }

    pub(super) fn known_owners(&self) -> impl Iterator<Item = &str> {
        self.owners.iter().flatten().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_rated_has_the_shortest_limit() {
        let limits = ExpiryLimits::default();
        assert_eq!(limits.days_max(Severity::Unknown), 30);
        assert_eq!((limits.days_max(Severity::Low), limits.longest()), (180, 180));
    }

    #[test]
    fn a_list_of_no_owners_knows_nobody() {
        assert!(Policy::default().knows("@example/anybody"));
        assert!(!Policy::default().owners(Vec::<String>::new()).knows("@example/anybody"));
    }
}
