use std::fmt;

use super::{InvalidJustification, Justification};
use crate::model::finding_codes;

finding_codes! {
    /// What can be wrong with what tells a tool to say nothing: a comment in a source file, or a file of its own.
    pub enum SuppressionCode {
        Unjustified = "IGN-016" {
            summary: "an inline suppression has no reason, owner or expiry",
            help: "write `# reason: …`, `# owner: …` and `# expires: YYYY-MM-DD` on the lines directly above it, or delete it",
            example: "# hadolint ignore=DL3008 without comment lines above it",
        },
        StrayConfiguration = "IGN-017" {
            summary: "a configuration file of a tool lies in the repository, and no step was told to use it",
            help: "delete it: the step ignores it, but the tool called by hand obeys it and may show less",
            example: "trivy.yaml with `severity: CRITICAL` in the workspace's root",
        },
    }
}

/// Why an inline suppression is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unjustified {
    /// Keys that are not there.
    #[error("it has no {0}")]
    Missing(MissingKeys),
    /// A key that stands there twice.
    #[error("it has two lines with `{0}:`")]
    Twice(&'static str),
    /// A key that is almost `environments`.
    #[error("`{0}:` is not a key: write `environments:`")]
    Mistyped(String),
    /// Values that do not justify anything.
    #[error(transparent)]
    Invalid(#[from] InvalidJustification),
}

/// The keys that are missing, as `reason, owner and expiry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingKeys(Vec<&'static str>);

impl fmt::Display for MissingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [all @ .., last] if !all.is_empty() => write!(f, "{} and {last}", all.join(", ")),
            some => f.write_str(&some.join(", ")),
        }
    }
}

/// Reads the justification in the `#` comments directly above the line with this index (from 0).
///
/// The comments are `# reason: …`, `# owner: …` and `# expires: YYYY-MM-DD`, in any order and with nothing between them and the
/// line; `# ticket: …` is allowed as well, and `# environments: local` limits where it holds.
///
/// # Errors
/// When one is missing, stands there twice or says nothing.
pub fn justification_above(lines: &[&str], index: usize) -> Result<Justification, Unjustified> {
    let (mut reason, mut owner, mut expires, mut environments, mut ticket) = (None, None, None, None, None);
    for line in lines.iter().take(index).rev() {
        let Some((key, value)) = line.trim().strip_prefix('#').and_then(|comment| comment.split_once(':')) else {
            break;
        };
        let (place, name) = match key.trim() {
            "reason" => (&mut reason, "reason"),
            "owner" => (&mut owner, "owner"),
            "expires" => (&mut expires, "expires"),
            "environments" => (&mut environments, "environments"),
            "ticket" => (&mut ticket, "ticket"),
            // A limit that is not read would widen the exception.
            key if key.to_ascii_lowercase().starts_with("environment") => {
                return Err(Unjustified::Mistyped(key.to_owned()));
            }
            _ => break,
        };
        if place.replace(value.trim()).is_some() {
            return Err(Unjustified::Twice(name));
        }
    }
    match (reason, owner, expires) {
        (Some(reason), Some(owner), Some(expires)) => {
            let justification = Justification::new(reason, owner, expires)?;
            Ok(match environments {
                Some(names) => justification.only_in(names.split(','))?,
                None => justification,
            })
        }
        (reason, owner, expires) => {
            let all = [("reason", reason), ("owner", owner), ("expiry", expires)];
            Err(Unjustified::Missing(MissingKeys(
                all.into_iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name).collect(),
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Justification, String> {
        let lines: Vec<_> = text.lines().collect();
        justification_above(&lines, lines.len() - 1).map_err(|error| error.to_string())
    }

    const GOOD: &str = "FROM x\n# unrelated\n# expires: 2027-01-01\n# ticket: ABC-1\n# owner: @example/platform\n\
                        # reason: versions move with every security fix\n# hadolint ignore=DL3008";

    #[test]
    fn three_comments_directly_above_justify() {
        let justification = read(GOOD).expect("complete");
        assert_eq!(justification.owner, "@example/platform");
        assert_eq!(justification.reason, "versions move with every security fix");
    }

    #[test]
    fn anything_less_does_not() {
        for (from, to, problem) in [
            ("# owner: @example/platform\n", "", "it has no owner"),
            ("# owner: @example/platform\n", "\n", "it has no owner and expiry"),
            ("# reason: versions", "# because: versions", "it has no reason, owner and expiry"),
            ("# owner: @example/platform", "# owner: platform", "\"platform\" is not an owner"),
            ("versions move with every security fix", "todo", "says too little"),
            ("2027-01-01", "2027-02-30", "is not a date"),
            ("# ticket: ABC-1", "# owner: @other/team", "two lines with `owner:`"),
        ] {
            let error = read(&GOOD.replace(from, to)).expect_err(problem);
            assert!(error.contains(problem), "{error}");
        }
    }
}
