use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{REASON_CHARS_MIN, check_reason};
use crate::model::{Environments, InvalidEnvironment};

/// Why a rule is relaxed, who answers for it and until when. Every method that relaxes a rule takes one.
///
/// ```
/// use cicd_core::policy::Justification;
///
/// let allowed = Justification::new(
///     "the vendor's agent must bind port 80 until its 4.0 release",
///     "@example/platform",
///     "2027-03-01",
/// )?;
/// assert_eq!(allowed.owner, "@example/platform");
/// # Ok::<(), cicd_core::policy::InvalidJustification>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Justification {
    /// Why, in at least 20 characters.
    pub reason: String,
    /// Who: `@user`, `@organisation/team` or an e-mail address.
    pub owner: String,
    /// The first day (UTC) on which it no longer holds.
    pub expires: Date,
    /// The environments that it is limited to; what it allows clears nothing for any other.
    #[serde(default, skip_serializing_if = "Environments::is_every")]
    pub environments: Environments,
}

impl Justification {
    /// Checks and makes a justification; `expires` is `YYYY-MM-DD`.
    ///
    /// # Errors
    /// A reason without substance, an owner that is not one, or a date that does not exist.
    pub fn new(
        reason: impl Into<String>,
        owner: impl Into<String>,
        expires: &str,
    ) -> Result<Self, InvalidJustification> {
        let (reason, owner) = (reason.into(), owner.into());
        check_reason(&reason)?;
        check_owner(&owner)?;
        let expires = expires.parse().map_err(|_| InvalidJustification::Expiry(expires.to_owned()))?;
        Ok(Self { reason, owner, expires, environments: Environments::default() })
    }

    /// The same, limited to environments, such as `local`: what is accepted for a laptop clears nothing for production.
    ///
    /// # Errors
    /// No environment at all, or a name that cannot be one.
    pub fn only_in(
        mut self,
        environments: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidJustification> {
        self.environments = Environments::only(environments)?;
        Ok(self)
    }

    /// Whether it no longer holds on `today` (UTC). The date itself is already too late, which is how Trivy reads `exp:`.
    #[must_use]
    pub fn is_expired(&self, today: Date) -> bool {
        today >= self.expires
    }
}

/// Something that does not justify anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidJustification {
    /// The reason is missing, too short or a placeholder.
    #[error(
        "the reason {0:?} says too little: write at least {REASON_CHARS_MIN} characters that a reviewer can judge, beside placeholders, names and links"
    )]
    Reason(String),
    /// The owner is not an account, a team or an address.
    #[error("{0:?} is not an owner: use @user, @organisation/team or an e-mail address")]
    Owner(String),
    /// The expiry is not a calendar date.
    #[error("{0:?} is not a date: use YYYY-MM-DD")]
    Expiry(String),
    /// It is limited to no environment, or to what cannot be one.
    #[error(transparent)]
    Environment(#[from] InvalidEnvironment),
}

/// Checks that an owner is `@user`, `@organisation/team` or an e-mail address, in plain ASCII.
///
/// # Errors
/// [`InvalidJustification::Owner`].
pub fn check_owner(owner: &str) -> Result<(), InvalidJustification> {
    let word = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let valid = match owner.strip_prefix('@') {
        Some(account) => match account.split_once('/') {
            Some((organisation, team)) => word(organisation) && word(team),
            None => word(account),
        },
        None => owner
            .split_once('@')
            .is_some_and(|(user, host)| word(&user.replace('+', "-")) && word(host) && host.contains('.')),
    };
    if valid { Ok(()) } else { Err(InvalidJustification::Owner(owner.to_owned())) }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn owners_are_accounts_teams_or_addresses() {
        for good in ["@user", "@org/team", "security@example.org", "a.b+ci@example.org"] {
            assert!(check_owner(good).is_ok(), "{good:?} was refused");
        }
        for bad in ["", "@", "user", "@org/", "@org/team/x", "me@localhost", "@\u{0430}dmin", "@a b"] {
            assert!(check_owner(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn the_expiry_day_itself_is_too_late() {
        let it =
            Justification::new("the affected parser is never used here", "@org/team", "2026-11-21").expect("valid");
        assert!(!it.is_expired(date(2026, 11, 20)));
        assert!(it.is_expired(date(2026, 11, 21)));
        assert!(Justification::new("the affected parser is never used here", "@org/team", "2023-02-29").is_err());
    }
}
