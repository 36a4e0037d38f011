use camino::Utf8Path;
use serde::Deserialize;
use toml::Spanned;

use super::{ConfigError, Problems, RawConfig, config};
use crate::policy::ExpiryLimits;

/// An exception is looked at again at least once a year.
const EXPIRY_DAYS_MAX: u32 = 366;
/// More application containers than this are a mistake on any machine that also measures latency.
const CONTAINERS_MAX: u32 = 100;

/// The numbers of `ci/policy.toml`: what a repository allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many application containers may run before the readiness check fails.
    pub containers_max: u32,
    /// How far ahead an exception may expire.
    pub expiry: ExpiryLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { containers_max: 3, expiry: ExpiryLimits::default() }
    }
}

impl Limits {
    /// Reads the text of `ci/policy.toml`; a key that is left out has its default.
    ///
    /// # Errors
    /// Unknown keys, and numbers that are 0, too large or in the wrong order.
    pub fn parse(path: &Utf8Path, text: &str) -> Result<Self, ConfigError> {
        config::parse::<Raw>(path, text)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    readiness: Option<RawReadiness>,
    expiry_days_max: Option<RawExpiry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReadiness {
    containers_max: Option<Spanned<i64>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawExpiry {
    critical: Option<Spanned<i64>>,
    high: Option<Spanned<i64>>,
    other: Option<Spanned<i64>>,
}

impl RawConfig for Raw {
    type Valid = Limits;

    fn validate(self, mut problems: Problems<'_>) -> Result<Limits, ConfigError> {
        let mut limits = Limits::default();
        if let Some(containers_max) = self.readiness.and_then(|readiness| readiness.containers_max) {
            limits.containers_max = within(&containers_max, CONTAINERS_MAX, &mut problems);
        }
        if let Some(RawExpiry { critical, high, other }) = self.expiry_days_max {
            // Each may be at most as long as the next: what is worse is looked at sooner.
            let mut longest = EXPIRY_DAYS_MAX;
            let targets = [
                (other, &mut limits.expiry.other_days),
                (high, &mut limits.expiry.high_days),
                (critical, &mut limits.expiry.critical_days),
            ];
            for (written, days) in targets {
                *days = match written {
                    Some(written) => within(&written, longest, &mut problems),
                    None => (*days).min(longest),
                };
                longest = (*days).clamp(1, EXPIRY_DAYS_MAX);
            }
        }
        problems.finish(limits)
    }
}

fn within(number: &Spanned<i64>, max: u32, problems: &mut Problems<'_>) -> u32 {
    let value = *number.get_ref();
    match u32::try_from(value) {
        Ok(value) if (1..=max).contains(&value) => value,
        _ => {
            problems.add(number.span(), format!("{value} is outside of 1 to {max}")).help(format!("use 1 to {max}"));
            max
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;
    use crate::formats::Paint;

    fn check(text: &str, expected: Expect) {
        let shown = match Limits::parse("ci/policy.toml".into(), text) {
            Ok(limits) => format!("{limits:?}"),
            Err(error) => error.render(Paint::Plain),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn this_repositorys_file_states_the_defaults() {
        let text = include_str!("../../../ci/policy.toml");
        assert_eq!(Limits::parse("ci/policy.toml".into(), text), Ok(Limits::default()));
        assert_eq!(Limits::parse("ci/policy.toml".into(), ""), Ok(Limits::default()));
    }

    #[test]
    fn numbers_without_sense_are_refused() {
        check(
            "[readiness]\ncontainers_max = 0\n[expiry_days_max]\nother = 9999\n",
            expect![[r#"
            error: 0 is outside of 1 to 100
             --> ci/policy.toml:2:18
              |
            2 | containers_max = 0
              |                  ^
              |
              = help: use 1 to 100

            error: 9999 is outside of 1 to 366
             --> ci/policy.toml:4:9
              |
            4 | other = 9999
              |         ^^^^
              |
              = help: use 1 to 366"#]],
        );
        check(
            "[expiry_days_max]\ncritical = 90\nhigh = 30\n",
            expect![[r#"
            error: 90 is outside of 1 to 30
             --> ci/policy.toml:2:12
              |
            2 | critical = 90
              |            ^^
              |
              = help: use 1 to 30"#]],
        );
        check(
            "[readiness]\ncontainers_max = -1\n",
            expect![[r#"
            error: -1 is outside of 1 to 100
             --> ci/policy.toml:2:18
              |
            2 | containers_max = -1
              |                  ^^
              |
              = help: use 1 to 100"#]],
        );
        check(
            "[readines]\n",
            expect![[r#"
            error: unknown key `readines`
             --> ci/policy.toml:1:2
              |
            1 | [readines]
              |  ^^^^^^^^
              |
              = help: did you mean `readiness`?"#]],
        );
    }

    #[test]
    fn a_shorter_limit_holds_for_what_is_worse_too() {
        check(
            "[expiry_days_max]\nother = 14\n",
            expect![
                "Limits { containers_max: 3, expiry: ExpiryLimits { critical_days: 14, high_days: 14, other_days: 14 } }"
            ],
        );
    }
}
