//! What the text of a file says of it, but for Python.

use super::FileKind;
use crate::formats::dockerfile::KEYWORDS;

/// What the first line starts: the interpreter's name may come after `env`, its options and variables.
pub(super) fn interpreted(text: &str) -> Vec<FileKind> {
    let mut lines = text.lines();
    let first = lines.next().unwrap_or("").trim_start_matches("#!");
    let words = || {
        first
            .split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '='))
            .map(without_split)
            .map(|word| word.rsplit(['/', '\\']).next().unwrap_or(word))
    };
    if words().any(is_python) {
        return vec![FileKind::Python];
    }
    if !words().any(|word| matches!(word, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh" | "mksh" | "busybox")) {
        return Vec::new();
    }
    // `'''exec' /long/path/python "$0"`: a shell that hands itself on to Python, as installers write it.
    let hands_on = |line: &str| line.contains("exec") && line.split(['/', ' ', '"', '\'']).any(is_python);
    if lines.take(3).any(hands_on) { vec![FileKind::Python, FileKind::Shell] } else { vec![FileKind::Shell] }
}

/// The name that stands right behind the option of `env` that splits its words: `-Spython3`, `-vSpython3`.
fn without_split(word: &str) -> &str {
    let Some((options, name)) = word.strip_prefix('-').and_then(|rest| rest.split_once('S')) else { return word };
    if options.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) { name } else { word }
}

/// `python`, `python3.11`, `pypy3`, `pythonw.exe`, and programs that run Python scripts.
fn is_python(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    let word = word.strip_suffix(".exe").unwrap_or(&word);
    if matches!(word, "uv" | "pipx" | "ipython" | "ipython3") {
        return true;
    }
    let rest = ["python", "pypy", "cpython"].iter().find_map(|name| word.strip_prefix(name));
    rest.is_some_and(|rest| rest.trim_end_matches(['w', 't', 'd']).bytes().all(|b| b.is_ascii_digit() || b == b'.'))
}

/// What a text says of being a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Is,
    IsNot,
    /// It holds nothing yet that a Dockerfile may not begin with.
    NotYet,
}

/// Whether this begins as a Dockerfile must: a `FROM` before anything but `ARG`, and every line an instruction, up to the first
/// here-document.
pub(super) fn is_dockerfile(text: &str) -> Told {
    let (mut from, mut continued) = (false, false);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let goes_on = line.ends_with(['\\', '`']);
        if continued {
            continued = goes_on;
            continue;
        }
        continued = goes_on;
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or("").to_ascii_uppercase();
        if !KEYWORDS.contains(&word.as_str()) {
            return Told::IsNot;
        }
        match word.as_str() {
            "FROM" => {
                let rest: Vec<_> = words.filter(|word| !word.starts_with("--")).collect();
                let is_stage = |rest: &[&str]| {
                    matches!(rest, [_] | [_, _, _]) && rest.get(1).is_none_or(|word| word.eq_ignore_ascii_case("as"))
                };
                if !goes_on && !is_stage(&rest) {
                    return Told::IsNot;
                }
                from = true;
            }
            "ARG" => {}
            _ if !from => return Told::IsNot,
            _ if line.contains("<<") => return Told::Is,
            _ => {}
        }
    }
    if from { Told::Is } else { Told::NotYet }
}

pub(super) fn is_compose(text: &str) -> bool {
    let has_part = |line: &str| {
        let line = line.trim_start();
        line.starts_with("image:") || line.starts_with("build:")
    };
    text.lines().any(|line| line.trim_end() == "services:")
        && text.lines().any(|line| line.starts_with(' ') && has_part(line))
}
