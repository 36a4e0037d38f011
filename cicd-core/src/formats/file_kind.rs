//! What a file is, told from its name and from its content.

mod names;
mod python;
mod texts;

use std::io::{self, Read};

use camino::Utf8Path;

pub use self::names::name_on_github;
use self::names::{by_name, is_yaml, python_counts_from};
use self::python::{Does, Numbers};
use self::texts::{Told, interpreted, is_compose, is_dockerfile};

/// So much of a file is read first. Hardly a file of another kind could still be Python, or a Dockerfile, after it.
const HEAD_BYTES: u64 = 64 << 10;
/// What could be Python after so much more is taken for it, where its name does not say what else it is.
const REST_BYTES_MAX: u64 = 64 << 20;

/// A longer file is not read to its end to see whether it is only numbers.
const NUMBERS_BYTES_MAX: u64 = 4 << 30;
/// So much of them is read at once.
const NUMBERS_CHUNK_BYTES: usize = 64 << 10;

/// A kind of file that some tool judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// Python: a module, a stub, or a script whose first line names the interpreter.
    Python,
    /// A shell script.
    Shell,
    /// Rust.
    Rust,
    /// What an image is built from.
    Dockerfile,
    /// A workflow of GitHub's, or of Forgejo and Gitea, which read the same.
    Workflow,
    /// An action of GitHub's: `action.yml` in any folder.
    Action,
    /// The configuration of Dependabot.
    Dependabot,
    /// Containers that are started together.
    Compose,
    /// What a cluster of Kubernetes is to run.
    Kubernetes,
    /// What Terraform is to make.
    Terraform,
    /// The pipeline of another CI system: GitLab, Jenkins, CircleCI and the like.
    OtherCi,
}

/// The kinds of a file, in order. Name and content may disagree, as in `tool.rs` whose first line starts Python; it is both then,
/// and who judges either kind has to look at it.
///
/// By content are told: scripts whose first line names the interpreter; Dockerfiles, as their builder reads them; services of Compose
/// and objects of Kubernetes in YAML; and Python, wherever Python 3 could run the whole text, and it imports, defines or calls
/// something, or uses a name with two underscores, through which code runs without a call. Where the name is that of another format a
/// call alone is not enough, and where it is that of a language with the same words (`OF_LIKE_LANGUAGES`), nothing is.
///
/// `content` is the whole file. [`kinds_of`] reads no more of one than is needed.
///
/// ```
/// use cicd_core::formats::file_kind::{FileKind, kinds};
///
/// assert_eq!(kinds("bin/tool".into(), b"#!/usr/bin/env -S python3 -u\n"), [FileKind::Python]);
/// assert_eq!(kinds("release".into(), b"FROM debian:12\nRUN true\n"), [FileKind::Dockerfile]);
/// assert_eq!(kinds("job.task".into(), b"print(open('/etc/passwd').read())\n"), [FileKind::Python]);
/// ```
#[must_use]
pub fn kinds(path: &Utf8Path, content: &[u8]) -> Vec<FileKind> {
    let mut all: Vec<_> = by_name(path).into_iter().chain(by_content(path, &text_of(content))).collect();
    all.sort();
    all.dedup();
    all
}

/// Whether a file says that it is Python: by its name, or by the interpreter that its first line names. Of all else that
/// [`kinds`] takes for Python, Python's own parser has the last word.
///
/// ```
/// use cicd_core::formats::file_kind::says_python;
///
/// assert!(says_python("tool.py".into(), b"") && says_python("tool".into(), b"#!/usr/bin/python3\n"));
/// assert!(!says_python("job.task".into(), b"print(1)\n"));
/// ```
#[must_use]
pub fn says_python(path: &Utf8Path, content: &[u8]) -> bool {
    let text = text_of(content);
    by_name(path) == Some(FileKind::Python)
        || (text.starts_with("#!") && interpreted(&text).contains(&FileKind::Python))
}

/// The kinds of the file that is read here, as [`kinds`] has them.
///
/// # Errors
/// When it cannot be read.
pub fn kinds_of(path: &Utf8Path, file: impl Read) -> io::Result<Vec<FileKind>> {
    kinds_within(path, file, [HEAD_BYTES, REST_BYTES_MAX])
}

fn kinds_within(path: &Utf8Path, mut file: impl Read, parts: [u64; 2]) -> io::Result<Vec<FileKind>> {
    let (mut content, mut is_cut) = (Vec::new(), false);
    for bytes_max in parts {
        is_cut = file.by_ref().take(bytes_max).read_to_end(&mut content)? as u64 == bytes_max;
        if !is_cut || !may_go_on(path, &text_of(whole_lines(&content))) {
            break;
        }
    }
    if !is_cut {
        return Ok(kinds(path, &content));
    }
    let whole = whole_lines(&content);
    let text = text_of(whole);
    let could_be_python = python_counts_from(path, &text) == Some(Does::Calls);
    if could_be_python && python::may_go_on(&text) == Some(Does::Nothing) && are_numbers(&content[whole.len()..], file)?
    {
        return Ok(kinds(path, whole));
    }
    Ok(kinds_of_start(path, &content))
}

/// Whether nothing but numbers stands here and in the rest of the file.
fn are_numbers(start: &[u8], file: impl Read) -> io::Result<bool> {
    let (mut numbers, mut file, mut chunk) =
        (Numbers::default(), file.take(NUMBERS_BYTES_MAX), vec![0; NUMBERS_CHUNK_BYTES]);
    let mut part = start;
    while numbers.go_on(part) {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(file.limit() > 0 && numbers.go_on(b"\n"));
        }
        part = &chunk[..count];
    }
    Ok(false)
}

/// The kinds of a file of which this is the start: Python too, where it could become that by its end.
#[must_use]
pub fn kinds_of_start(path: &Utf8Path, start: &[u8]) -> Vec<FileKind> {
    let mut all = kinds(path, whole_lines(start));
    let text = text_of(whole_lines(start));
    if python_counts_from(path, &text) == Some(Does::Calls) && python::may_go_on(&text).is_some() {
        all.insert(0, FileKind::Python);
        all.dedup();
    }
    all
}

/// The start of a file without the line in which it is cut.
fn whole_lines(start: &[u8]) -> &[u8] {
    let end = start.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
    end.map_or(start, |end| &start[..=end])
}

/// The text without its mark and with line feeds alone: Python takes a carriage return for a line end too.
fn text_of(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    text.trim_start_matches('\u{FEFF}').replace("\r\n", "\n").replace('\r', "\n")
}

/// Whether what follows this start of a file may still decide what it is.
fn may_go_on(path: &Utf8Path, text: &str) -> bool {
    is_yaml(path)
        || is_dockerfile(text) != Told::IsNot
        || (python_counts_from(path, text).is_some() && python::may_go_on(text).is_some())
}

fn by_content(path: &Utf8Path, text: &str) -> Vec<FileKind> {
    let mut kinds = if text.starts_with("#!") { interpreted(text) } else { Vec::new() };
    if python_counts_from(path, text).is_some_and(|least| python::does(text) >= least) {
        kinds.push(FileKind::Python);
    }
    if is_dockerfile(text) == Told::Is {
        kinds.push(FileKind::Dockerfile);
    }
    if is_yaml(path) && is_compose(text) {
        kinds.push(FileKind::Compose);
    }
    if is_yaml(path) && ["apiVersion:", "kind:"].iter().all(|key| text.lines().any(|line| line.starts_with(key))) {
        kinds.push(FileKind::Kubernetes);
    }
    kinds
}

#[cfg(test)]
mod tests;
