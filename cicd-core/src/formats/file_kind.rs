//! What a file is, told from its name and from how it begins.

use camino::Utf8Path;

use super::dockerfile::KEYWORDS;

/// How many bytes of a file are enough to tell what it is: a licence, a history and a docstring may stand before the first statement.
pub const HEAD_BYTES: usize = 1 << 20;
/// How much of a Dockerfile's instructions is read.
const INSTRUCTIONS_BYTES: usize = 4096;

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
    /// A workflow of GitHub's.
    Workflow,
    /// An action of GitHub's: `action.yml` in any folder.
    Action,
    /// The configuration of Dependabot.
    Dependabot,
    /// Containers that are started together.
    Compose,
}

/// The kinds of a file, in order. Name and content may disagree, as in `tool.rs` whose first line starts Python; it is both then,
/// and who judges either kind has to look at it.
///
/// `head` is the start of the file, of which [`HEAD_BYTES`] are enough.
///
/// ```
/// use cicd_core::formats::file_kind::{FileKind, kinds};
///
/// assert_eq!(kinds("bin/tool".into(), b"#!/usr/bin/env -S python3 -u\n"), [FileKind::Python]);
/// assert_eq!(kinds("release".into(), b"FROM debian:12\nRUN true\n"), [FileKind::Dockerfile]);
/// ```
#[must_use]
pub fn kinds(path: &Utf8Path, head: &[u8]) -> Vec<FileKind> {
    let head = head.get(..HEAD_BYTES).unwrap_or(head);
    let text = String::from_utf8_lossy(head);
    // Python takes a carriage return alone for a line end too.
    let text = text.trim_start_matches('\u{FEFF}').replace("\r\n", "\n").replace('\r', "\n");
    let mut all: Vec<_> = by_name(path).into_iter().chain(by_content(path, &text)).collect();
    all.sort();
    all.dedup();
    all
}

/// What follows `dockerfile.` in the names of programs and texts that are about Dockerfiles, and of the list of what a build ignores.
const NOT_BUILT_FROM: [&str; 10] = ["rs", "py", "go", "js", "ts", "java", "rb", "c", "md", "dockerignore"];

fn by_name(path: &Utf8Path) -> Option<FileKind> {
    let name = path.file_name()?.to_ascii_lowercase();
    let folder = path.parent().map_or("", Utf8Path::as_str);
    let extension = Utf8Path::new(&name).extension().unwrap_or("");
    let is_yaml = matches!(extension, "yml" | "yaml");
    let stem = Utf8Path::new(&name).file_stem().unwrap_or("");
    if name.split('.').any(|part| part == "dockerfile" || part == "containerfile")
        && !NOT_BUILT_FROM.contains(&extension)
    {
        return Some(FileKind::Dockerfile);
    }
    match extension {
        "py" | "pyi" | "pyw" | "wsgi" => Some(FileKind::Python),
        "rs" => Some(FileKind::Rust),
        "sh" | "bash" | "dash" | "ksh" => Some(FileKind::Shell),
        _ if is_yaml && folder == ".github/workflows" => Some(FileKind::Workflow),
        _ if is_yaml && stem == "action" => Some(FileKind::Action),
        _ if is_yaml && stem == "dependabot" && folder == ".github" => Some(FileKind::Dependabot),
        _ if is_yaml && is_compose_name(stem) => Some(FileKind::Compose),
        _ => None,
    }
}

fn is_compose_name(stem: &str) -> bool {
    ["compose", "docker-compose", "podman-compose"]
        .iter()
        .any(|name| stem.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_'])))
}

fn by_content(path: &Utf8Path, text: &str) -> Vec<FileKind> {
    let mut kinds = Vec::new();
    if text.starts_with("#!") {
        kinds.extend(interpreted(text));
    } else if path.extension().is_none() && begins_as_python(text) && text.lines().any(is_python_line) {
        // Without an extension only its text can tell, where no first line names an interpreter.
        kinds.push(FileKind::Python);
    }
    if is_dockerfile(text) {
        kinds.push(FileKind::Dockerfile);
    }
    if matches!(path.extension(), Some("yml" | "yaml")) && is_compose(text) {
        kinds.push(FileKind::Compose);
    }
    kinds
}

/// What the first line starts: the interpreter's name may come after `env`, its options and variables.
fn interpreted(text: &str) -> Vec<FileKind> {
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

/// Whether the first line that says something could begin a Python program; prose that quotes one begins otherwise.
fn begins_as_python(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#')).unwrap_or("");
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let assigns = first.split_once('=').is_some_and(|(name, _)| is_name(name.split(':').next().unwrap_or("").trim()));
    let opens = ["\"", "'", "r\"", "r'", "@", "if ", "try:", "class ", "async def ", "with ", "for ", "while "];
    is_python_line(first) || assigns || opens.iter().any(|word| first.starts_with(word))
}

/// Whether a line is one that only Python has: an import, or the head of a function.
fn is_python_line(line: &str) -> bool {
    let is_path = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.')) && !word.ends_with('.')
    };
    let is_module = |part: &str| match part.split_whitespace().collect::<Vec<_>>().as_slice() {
        [module] => is_path(module),
        [module, "as", name] => is_path(module) && is_path(name),
        _ => false,
    };
    let line = line.trim_end();
    let statement = line.split([';', '#']).next().unwrap_or(line).trim_end();
    if let Some(modules) = statement.strip_prefix("import").filter(|rest| rest.starts_with(char::is_whitespace)) {
        return modules.split(',').all(is_module);
    }
    match statement.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["from", module, "import", _, ..] => statement.starts_with("from") && is_path(module),
        ["def", _, ..] => {
            line.starts_with("def ") && line.contains('(') && (line.ends_with(':') || line.contains("):"))
        }
        _ => false,
    }
}

/// Whether this begins as a Dockerfile must: a `FROM` before anything but `ARG`, and every line an instruction, up to the first
/// here-document.
fn is_dockerfile(text: &str) -> bool {
    let (mut from, mut continued, mut read_bytes) = (false, false, 0);
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        read_bytes += line.len();
        if read_bytes > INSTRUCTIONS_BYTES {
            break;
        }
        let goes_on = line.ends_with(['\\', '`']);
        if continued {
            continued = goes_on;
            continue;
        }
        continued = goes_on;
        let mut words = line.split_whitespace();
        let word = words.next().unwrap_or("").to_ascii_uppercase();
        if !KEYWORDS.contains(&word.as_str()) {
            return false;
        }
        match word.as_str() {
            "FROM" => {
                let rest: Vec<_> = words.filter(|word| !word.starts_with("--")).collect();
                let is_stage = |rest: &[&str]| {
                    matches!(rest, [_] | [_, _, _]) && rest.get(1).is_none_or(|word| word.eq_ignore_ascii_case("as"))
                };
                if !goes_on && !is_stage(&rest) {
                    return false;
                }
                from = true;
            }
            "ARG" => {}
            _ if !from => return false,
            "RUN" | "COPY" | "ADD" if line.contains("<<") => return true,
            _ => {}
        }
    }
    from
}

fn is_compose(text: &str) -> bool {
    let has_part = |line: &str| {
        let line = line.trim_start();
        line.starts_with("image:") || line.starts_with("build:")
    };
    text.lines().any(|line| line.trim_end() == "services:")
        && text.lines().any(|line| line.starts_with(' ') && has_part(line))
}

#[cfg(test)]
mod tests {
    use FileKind::{Action, Compose, Dependabot, Dockerfile, Python, Rust, Shell, Workflow};

    use super::*;

    #[test]
    fn names_tell() {
        for (path, kind) in [
            ("a/x.py", Some(Python)),
            ("a/x.pyi", Some(Python)),
            ("X.PYW", Some(Python)),
            ("src/lib.rs", Some(Rust)),
            ("run.sh", Some(Shell)),
            ("Dockerfile", Some(Dockerfile)),
            ("a/dockerfile.dev", Some(Dockerfile)),
            ("a/app.Dockerfile", Some(Dockerfile)),
            ("Containerfile", Some(Dockerfile)),
            (".github/workflows/ci.yml", Some(Workflow)),
            (".github/workflows/deep/x.yml", None),
            ("a/.github/workflows/ci.yml", None),
            (".github/dependabot.yaml", Some(Dependabot)),
            ("dependabot.yml", None),
            ("action.yml", Some(Action)),
            ("tools/build/action.yaml", Some(Action)),
            ("compose.yml", Some(Compose)),
            ("docker-compose.prod.yaml", Some(Compose)),
            ("src/dockerfile.rs", Some(Rust)),
            ("Dockerfile.dockerignore", None),
            ("dockerfiles/a", None),
            ("ci.yml", None),
            ("README.md", None),
        ] {
            assert_eq!(kinds(path.into(), b""), kind.into_iter().collect::<Vec<_>>(), "{path}");
        }
    }

    #[test]
    fn a_script_is_what_its_first_line_starts_whatever_its_name() {
        for head in [
            "#!/usr/bin/python\n",
            "#!/usr/bin/env python3\n",
            "#!/usr/bin/env python3\r\n",
            "\u{FEFF}#!/usr/bin/env python3\n",
            "#!/usr/bin/env -S python3 -u\n",
            "#!/usr/bin/env -Spython3 -u\n",
            "#!/usr/bin/env -i PATH=/bin python3.11\n",
            "#! /usr/bin/python3.11 -I",
            "#!/opt/pypy3/bin/pypy3\n",
            "#!/usr/bin/env -S uv run --script\n",
            "#!C:\\Python\\pythonw.exe\n",
            "import os\nos.system(\"x\")\n",
            "DEBUG: bool = True\nimport os\n",
            "# a tool\n\nfrom subprocess import run\n",
            "\"\"\"x\"\"\"\ndef main() -> None:\n    pass\n",
            "#!/usr/bin/env -vSpython3\n",
            "import os, subprocess\n",
            "import os as o, sys\n",
            "import os;os.system(\"x\")\n",
            "import subprocess  # to run it\n",
            "x = 1\rimport os\r",
            "def main(): import os\n",
            &format!("{}import os\n", "# a licence\n".repeat(1000)),
            &format!("\"\"\"{}\"\"\"\nimport os\n", "a docstring\n".repeat(1000)),
        ] {
            assert_eq!(kinds("bin/tool".into(), head.as_bytes()), [Python], "{head:?}");
        }
        assert_eq!(kinds("tool.sh".into(), b"#!/usr/bin/env python3\n"), [Python, Shell]);
        assert_eq!(kinds("notes.md".into(), b"#!/usr/bin/env python3\n"), [Python]);
        assert_eq!(kinds("x".into(), b"#!/bin/sh\n'''exec' /a/python \"$0\" \"$@\"\n' '''\n"), [Python, Shell]);
        assert_eq!(kinds("x".into(), b"#!/bin/busybox sh\n"), [Shell]);
        for (path, head) in [
            ("x", "#!/usr/bin/perl\n"),
            ("x", "text about python3\nwe import goods from everywhere\n"),
            ("METADATA", "Name: flask\n\nfrom flask import Flask\ndef hello():\n"),
            ("x.txt", "import os\n"),
            ("x", "\u{7F}ELF\0\0"),
        ] {
            assert_eq!(kinds(path.into(), head.as_bytes()), [], "{head:?}");
        }
        assert_eq!(kinds("lib.rs".into(), b"#![forbid(unsafe_code)]\n"), [Rust]);
    }

    #[test]
    fn dockerfiles_and_compose_files_are_seen_under_any_name() {
        for head in [
            "FROM debian:12\nRUN true\n",
            "from debian\nuser 1\n",
            "# syntax=docker/dockerfile:1\nARG X\nFROM --platform=linux/amd64 ${X} AS a\nRUN a \\\n  && b\n",
            "\u{FEFF}FROM a\r\nCOPY <<EOF /x\r\nanything\r\n",
        ] {
            assert_eq!(kinds("release".into(), head.as_bytes()), [Dockerfile], "{head:?}");
        }
        let behind_a_licence = format!("{}FROM a\nRUN b\n", "# a licence\n".repeat(1000));
        assert_eq!(kinds("release".into(), behind_a_licence.as_bytes()), [Dockerfile]);
        let long = format!("FROM a\n{}", "RUN echo a long line of a long file\n".repeat(400));
        assert_eq!(kinds("x.txt".into(), long.as_bytes()), [Dockerfile]);
        for head in ["FROM the desk of\nSomebody\n", "RUN x\n", "ARG X\n", "SELECT a\nFROM b\n", "", "From a b\n"] {
            assert_eq!(kinds("x".into(), head.as_bytes()), [], "{head:?}");
        }
        assert_eq!(kinds("stack.yml".into(), b"services:\n  a:\n    image: x\n"), [Compose]);
        assert_eq!(kinds("ci.yml".into(), b"image: x\nservices: [a]\n"), []);
    }
}
