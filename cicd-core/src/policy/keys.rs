use crate::model::closest;

/// The key that limits where an exception holds: where nobody reads it, the exception is wider than its reader believes.
pub const LIMIT: &str = "environments";

/// What is a colon, or looks like one.
const COLONS: [char; 8] = [':', '：', '﹕', '︓', '∶', '꞉', 'ː', '׃'];
/// More words than these are a sentence, not a key and its value.
const KEY_WORDS_MAX: usize = 4;
/// No key, nor what is written for one, stands further behind in a comment than this; comments may be as long as a file.
const COMMENT_BYTES_MAX: usize = 1000;
/// Words before a colon that nobody takes for a key: remarks, and comments to tools.
const REMARKS: [&str; 42] = [
    "bandit",
    "bridgecrew",
    "check",
    "checkov",
    "coding",
    "copyright",
    "cortex",
    "coverage",
    "escape",
    "fixme",
    "flake8",
    "fmt",
    "gitleaks",
    "hadolint",
    "https",
    "isort",
    "kics-scan",
    "link",
    "mypy",
    "noqa",
    "nosec",
    "nosemgrep",
    "note",
    "pragma",
    "pylint",
    "pyright",
    "ref",
    "ruff",
    "rustfmt",
    "see",
    "semgrep",
    "shellcheck",
    "spdx-license-identifier",
    "syntax",
    "tfsec",
    "todo",
    "trivy",
    "type",
    "url",
    "vim",
    "yapf",
    "zizmor",
];
/// Words that people write for a key.
const MEANT: [(&str, &str); 14] = [
    ("because", "reason"),
    ("env", LIMIT),
    ("envs", LIMIT),
    ("expiration", "expires"),
    ("expired_at", "expires"),
    ("expiry", "expires"),
    ("justification", "reason"),
    ("only", LIMIT),
    ("only in", LIMIT),
    ("only-in", LIMIT),
    ("only_in", LIMIT),
    ("statement", "reason"),
    ("until", "expires"),
    ("why", "reason"),
];

/// What a line of comment says to whoever reads a justification, whatever file it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommentLine<'a> {
    /// A key that is known, in any case of ASCII letters, with its value.
    Key(&'static str, &'a str),
    /// What is written as a key, and is none.
    Unknown {
        /// As it is written.
        written: &'a str,
        /// What may have been meant.
        meant: Option<&'static str>,
    },
    /// A sentence, a remark, a comment to a tool, or nothing.
    Other,
}

/// Reads a comment from its `#` on. Only an exact name is a key, so that no letter of another alphabet makes one; whatever else looks
/// like a key is [`CommentLine::Unknown`], for a limit that nobody reads would widen the exception.
#[must_use]
pub fn comment_line<'a>(comment: &'a str, known: &[&'static str]) -> CommentLine<'a> {
    let text = comment.trim_start_matches('#').trim();
    if let Some((key, value)) = text.split_once(':')
        && let Some(name) = known.iter().find(|name| name.eq_ignore_ascii_case(key.trim()))
    {
        return match limit_in(value) {
            Some(written) => CommentLine::Unknown { written, meant: Some(LIMIT) },
            None => CommentLine::Key(name, value.trim()),
        };
    }
    let text = head(text).trim_start_matches(|c: char| !c.is_alphanumeric());
    if let Some(written) = limit_in(text) {
        return CommentLine::Unknown { written, meant: Some(LIMIT) };
    }
    let first = words(text).next().unwrap_or("");
    let is_remark = REMARKS.iter().any(|remark| remark.eq_ignore_ascii_case(first));
    let (key, value) = text.split_at(text.find(is_separator).unwrap_or(text.len()));
    let written = if value.is_empty() { first } else { key.trim_end_matches(|c: char| !c.is_alphanumeric()) };
    if written.is_empty() || is_remark {
        return CommentLine::Other;
    }
    let near = words(written).find_map(|word| known.iter().find(|name| is_near(word, name)).copied());
    let is_short = |text: &str| words(text).count() <= KEY_WORDS_MAX;
    // A few words that begin with a key have lost their colon.
    let is_key = if value.is_empty() { near.is_some() && is_short(text) } else { !is_code(value) && is_short(key) };
    if !is_key {
        return CommentLine::Other;
    }
    let also = MEANT.iter().find(|(word, _)| word.eq_ignore_ascii_case(written)).map(|(_, meant)| *meant);
    CommentLine::Unknown { written, meant: also.filter(|meant| known.contains(meant)).or(near) }
}

/// The name of the limit, or nearly so, where something follows that is written as its value.
pub(super) fn limit_in(text: &str) -> Option<&str> {
    // Most comments have no sign that could be one, which is found out fast.
    if text.is_ascii() && !text.contains(':') && !text.contains('=') {
        return None;
    }
    let text = head(text);
    let before = text.match_indices(is_separator).map(|(at, _)| text.get(..at).unwrap_or(""));
    before.filter_map(|before| words(before).next_back()).find(|word| is_near(word, LIMIT))
}

/// The words of a text; a sign of any other alphabet is part of one, seen or not.
fn words(text: &str) -> impl DoubleEndedIterator<Item = &str> {
    text.split(|c| !is_of_word(c)).filter(|word| !word.is_empty())
}

fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii() && !c.is_whitespace() && !COLONS.contains(&c)
}

fn is_separator(c: char) -> bool {
    c == '=' || COLONS.contains(&c)
}

/// Whether what follows a word, its separator first, makes an address, a path of Rust or a comparison of it.
fn is_code(value: &str) -> bool {
    let path = |rest: &str| rest.starts_with(|c: char| c.is_ascii_alphabetic());
    value.starts_with("://") || value.starts_with("==") || value.strip_prefix("::").is_some_and(path)
}

fn is_near(word: &str, name: &str) -> bool {
    let length = word.chars().count();
    // Words of a far length need no measuring.
    if length.abs_diff(name.len()) * 2 > name.len() {
        return false;
    }
    // As letters of another alphabet that look the same.
    let looks = || {
        let mut pairs = word.chars().zip(name.chars());
        length == name.len()
            && word.contains(|c: char| c.is_ascii())
            && pairs.all(|(c, of_name)| !c.is_ascii() || c.eq_ignore_ascii_case(&of_name))
    };
    closest(word, [name]).is_some() || looks()
}

fn head(text: &str) -> &str {
    let end = (0..=text.len().min(COMMENT_BYTES_MAX)).rev().find(|&end| text.is_char_boundary(end));
    text.get(..end.unwrap_or(0)).unwrap_or(text)
}
