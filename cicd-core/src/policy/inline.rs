use std::fmt;

use super::keys::limit_in;
use super::{CommentLine, InvalidJustification, Justification, LIMIT, comment_line};
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
    /// What is written as a key, and is none.
    #[error("{}", unknown_key(written, *meant))]
    UnknownKey {
        /// As it is written.
        written: String,
        /// What may have been meant.
        meant: Option<&'static str>,
    },
    /// A limit that stands near it and belongs to nothing.
    #[error(
        "`{0}` limits nothing where it stands: write `environments: …` between the other keys, or say it in other words"
    )]
    StrayLimit(String),
    /// Values that do not justify anything.
    #[error(transparent)]
    Invalid(#[from] InvalidJustification),
}

impl Unjustified {
    /// Whether nothing of a justification stands there.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self::Missing(MissingKeys(keys)) if keys.len() == REQUIRED)
    }
}

/// The keys that are missing, as `reason, owner and expiry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingKeys(Vec<&'static str>);

/// How many keys a justification cannot do without.
const REQUIRED: usize = 3;

impl fmt::Display for MissingKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [all @ .., last] if !all.is_empty() => write!(f, "{} and {last}", all.join(", ")),
            some => f.write_str(&some.join(", ")),
        }
    }
}

const KEYS: [&str; 5] = ["reason", "owner", "expires", LIMIT, "ticket"];

/// A limit that is further away than so many lines of other comments is taken for part of a justification by nobody, and files may
/// be comments from end to end.
const NEAR_LINES_MAX: usize = 20;

fn unknown_key(written: &str, meant: Option<&str>) -> String {
    let letter = written.chars().find(|c| !c.is_ascii());
    let letter = letter.map_or_else(String::new, |c| format!(" (U+{:04X} is no ASCII letter)", u32::from(c)));
    let advice = match meant {
        Some(LIMIT) => format!("write `{LIMIT}: …` on a line of its own"),
        Some(meant) => format!("write `{meant}: …`, or leave an empty line below it"),
        None => format!("the keys are {}; leave an empty line below it if it is none", KEYS.join(", ")),
    };
    format!("`{}` is not a key{letter}: {advice}", written.escape_debug())
}

/// Reads the justification in the `#` comments directly above the line with this index (from 0).
///
/// The comments are `# reason: …`, `# owner: …` and `# expires: YYYY-MM-DD`, in any order and with nothing between them and the
/// line; `# ticket: …` is allowed as well, and `# environments: local` limits where it holds. A sentence, a comment to a tool, an
/// empty line and code end them.
///
/// # Errors
/// When one is missing, stands there twice or says nothing. A limit that is not read would widen the exception: so what is written
/// as a key among them and is none is an error, and so is a limit that stands near them but is cut off, behind the line's own
/// comment or below it.
pub fn justification_above(lines: &[&str], index: usize) -> Result<Justification, Unjustified> {
    let (mut reason, mut owner, mut expires, mut environments, mut ticket) = (None, None, None, None, None);
    let above = lines.get(..index).unwrap_or(lines);
    let mut beyond = above;
    while let Some((line, higher)) = beyond.split_last() {
        let (name, value) = match comment(line).map(|comment| comment_line(comment, &KEYS)) {
            Some(CommentLine::Key(name, value)) => (name, value),
            Some(CommentLine::Unknown { written, meant }) => {
                return Err(Unjustified::UnknownKey { written: written.to_owned(), meant });
            }
            Some(CommentLine::Other) | None => break,
        };
        let place = match name {
            "reason" => &mut reason,
            "owner" => &mut owner,
            "expires" => &mut expires,
            "ticket" => &mut ticket,
            _ => &mut environments,
        };
        if place.replace(value).is_some() {
            return Err(Unjustified::Twice(name));
        }
        beyond = higher;
    }
    let own = lines.get(index).and_then(|line| line.get(line.find('#').or_else(|| line.rfind("//"))?..));
    let below = lines.get(index + 1..).unwrap_or(&[]).iter().take_while(|line| comment(line).is_some());
    let is_alone = environments.is_some() && reason.is_none() && owner.is_none() && expires.is_none();
    let stray = is_alone.then(|| LIMIT.to_owned());
    let stray = stray.or_else(|| own.and_then(limit_in).map(str::to_owned));
    if let Some(limit) = stray.or_else(|| stray_limit(beyond.iter().rev())).or_else(|| stray_limit(below)) {
        return Err(Unjustified::StrayLimit(limit));
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

/// The comment that is all of a line.
fn comment(line: &str) -> Option<&str> {
    Some(line.trim()).filter(|line| line.starts_with('#'))
}

/// The first limit of these lines, which lead away from a justification, that is not part of another one.
fn stray_limit<'a>(lines: impl Iterator<Item = &'a &'a str>) -> Option<String> {
    let mut limit = None;
    let mut keys = Vec::new();
    let mut others = 0;
    for line in lines {
        match comment(line).map(|comment| comment_line(comment, &KEYS)) {
            Some(CommentLine::Key(name, _)) if name == LIMIT => limit = Some(name.to_owned()),
            Some(CommentLine::Unknown { written, meant: Some(LIMIT) }) => limit = Some(written.to_owned()),
            Some(CommentLine::Key("ticket", _)) => {}
            Some(CommentLine::Key(name, _)) if keys.contains(&name) => others = NEAR_LINES_MAX,
            Some(CommentLine::Key(name, _)) => keys.push(name),
            None if !line.trim().is_empty() => break,
            Some(CommentLine::Unknown { .. } | CommentLine::Other) | None => {
                keys.clear();
                others += 1;
                if limit.is_some() {
                    break;
                }
            }
        }
        if keys.len() == REQUIRED {
            return None;
        }
        if others >= NEAR_LINES_MAX {
            break;
        }
    }
    limit
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
            ("# reason: versions", "# because: versions", "`because` is not a key: write `reason: …`"),
            ("# owner: @example/platform", "# owner: platform", "\"platform\" is not an owner"),
            ("versions move with every security fix", "todo", "says too little"),
            ("2027-01-01", "2027-02-30", "is not a date"),
            ("# ticket: ABC-1", "# owner: @other/team", "two lines with `owner:`"),
        ] {
            let error = read(&GOOD.replace(from, to)).expect_err(problem);
            assert!(error.contains(problem), "{error}");
        }
    }

    /// The class: a limit that nobody reads makes an exception wider than its reader believes.
    #[test]
    fn a_limit_that_is_not_read_never_widens_an_exception() {
        let in_place_of = |line: &str| read(&GOOD.replace("# unrelated", line));
        assert!(!in_place_of("## Environments: local").expect("a key").environments.is_every());
        for (line, problem) in [
            ("# \u{435}nvironments: local", "(U+0435 is no ASCII letter): write `environments: …`"),
            ("# \u{435}nv\u{456}r\u{43e}nm\u{435}nt\u{455}: local", "write `environments: …`"),
            ("# evironments: local", "`evironments` is not a key: write `environments: …`"),
            ("# only-in: local", "`only-in` is not a key: write `environments: …`"),
            ("# environments\u{ff1a} local", "`environments` is not a key"),
            ("# environments = local", "`environments` is not a key"),
            ("# environments local", "`environments` is not a key"),
            ("#: environments: local", "`environments` is not a key"),
            ("# - environments: local", "`environments` is not a key"),
            ("# \"environments\": \"local\"", "`environments` is not a key"),
            ("# envir\u{200b}onments: local", "(U+200B is no ASCII letter)"),
            ("# holds where: local", "`holds where` is not a key: the keys are"),
            ("# valid-for=local", "`valid-for` is not a key"),
            ("# and it is for none but these environments: local", "`environments` is not a key"),
            ("# noqa: E501 environments: local", "`environments` is not a key"),
            ("# environments: local\n# This one is only for the laptops.", "`environments` limits nothing"),
            ("# evironments: local\n# This one is only for the laptops.", "`evironments` limits nothing"),
            ("# environments: local\n#", "`environments` limits nothing"),
            ("# environments: local\n", "`environments` limits nothing"),
            ("# environments: local\n# owner: @example/other\n# noqa: E501", "`environments` limits nothing"),
        ] {
            let error = in_place_of(line).expect_err(line);
            assert!(error.contains(problem), "{line}: {error}");
        }
        for (from, to) in [
            ("DL3008", "DL3008 # environments: local"),
            ("security fix", "security fix; environments: local"),
            ("ABC-1", "ABC-1 # evironments: local"),
        ] {
            let error = read(&GOOD.replace(from, to)).expect_err(to);
            assert!(error.contains("vironments` "), "{to}: {error}");
        }
        let below = format!("{GOOD}\n# environments: local\nRUN x");
        let lines: Vec<_> = below.lines().collect();
        assert!(justification_above(&lines, lines.len() - 3).is_err());
    }

    #[test]
    fn what_is_no_limit_of_it_leaves_a_justification_as_it_is() {
        for line in [
            "# Plain words, and see https://example.com/a",
            "# only here: words\n#",
            "# note: x\n",
            "# checkov:skip=CKV_1",
            "# coding: utf-8",
            "# std::fs::read is what waits",
            "# When all of this was written: it held",
            "# Some environments are small.",
            "run(environments=[1])",
            "# environments: local\nrun()",
        ] {
            assert!(read(&GOOD.replace("# unrelated", line)).expect(line).environments.is_every());
        }
        // One above the other, each with its own limit; nobody else's is read, and none is missed.
        let one = GOOD.replace("FROM x\n# unrelated\n", "");
        let limited = one.replace("# ticket: ABC-1", "# environments: local");
        for (text, is_every) in [
            (format!("{limited}\n{one}"), true),
            (format!("{one}\n{limited}"), false),
            (format!("{limited}\n{limited}"), false),
            (format!("{limited}\n\n{one}"), true),
        ] {
            assert_eq!(read(&text).expect(&text).environments.is_every(), is_every, "{text}");
            let lines: Vec<_> = text.lines().collect();
            let first = justification_above(&lines, 4).expect("the upper one");
            assert_eq!(first.environments.is_every(), !text.starts_with(&limited), "{text}");
        }
    }
}
