//! What a file is, told from its name and from its content.

mod python;

use std::io::{self, Read};

use camino::{Utf8Path, Utf8PathBuf};

use self::python::{Does, Numbers};
use super::dockerfile::KEYWORDS;

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
    /// A workflow of GitHub's.
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

/// What follows `dockerfile.` in the names of programs and texts that are about Dockerfiles, and of the list of what a build ignores.
const NOT_BUILT_FROM: [&str; 10] = ["rs", "py", "go", "js", "ts", "java", "rb", "c", "md", "dockerignore"];

fn by_name(path: &Utf8Path) -> Option<FileKind> {
    let name = path.file_name()?.to_ascii_lowercase();
    let folder = path.parent().map_or("", Utf8Path::as_str);
    let extension = Utf8Path::new(&name).extension().unwrap_or("");
    let is_yaml = is_yaml(path);
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
        "tf" => Some(FileKind::Terraform),
        _ if is_yaml && folder == ".github/workflows" => Some(FileKind::Workflow),
        _ if is_yaml && stem == "action" => Some(FileKind::Action),
        _ if is_yaml && stem == "dependabot" && folder == ".github" => Some(FileKind::Dependabot),
        _ if is_yaml && is_compose_name(stem) => Some(FileKind::Compose),
        _ => None,
    }
}

/// What GitHub reads, and tools for it, where a name differs in capital letters alone: it takes them as they are.
///
/// ```
/// use cicd_core::formats::file_kind::name_on_github;
///
/// assert_eq!(name_on_github(".github/workflows/CI.YML".into()), Some(".github/workflows/CI.yml".into()));
/// assert_eq!(name_on_github("ACTION.yml".into()), Some("action.yml".into()));
/// assert_eq!(name_on_github(".github/workflows/CI.yml".into()), None);
/// ```
#[must_use]
pub fn name_on_github(path: &Utf8Path) -> Option<Utf8PathBuf> {
    let right = match by_name(path)? {
        FileKind::Workflow => path.with_extension(path.extension()?.to_ascii_lowercase()),
        FileKind::Action | FileKind::Dependabot => path.with_file_name(path.file_name()?.to_ascii_lowercase()),
        _ => return None,
    };
    (right != path).then_some(right)
}

fn is_compose_name(stem: &str) -> bool {
    ["compose", "docker-compose", "podman-compose"]
        .iter()
        .any(|name| stem.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-', '_'])))
}

fn is_yaml(path: &Utf8Path) -> bool {
    path.extension().is_some_and(|extension| ["yml", "yaml"].iter().any(|yaml| extension.eq_ignore_ascii_case(yaml)))
}

/// Extensions of other languages, of data and of settings: calls look the same there.
const OF_OTHERS: [&str; 94] = [
    "adoc",
    "awk",
    "bat",
    "build",
    "c",
    "cc",
    "cfg",
    "cjs",
    "clj",
    "cmake",
    "coffee",
    "conf",
    "cpp",
    "cs",
    "css",
    "csv",
    "cts",
    "d",
    "dart",
    "el",
    "env",
    "erl",
    "ex",
    "exs",
    "f90",
    "fish",
    "fs",
    "gn",
    "go",
    "graphql",
    "h",
    "hcl",
    "hpp",
    "htm",
    "html",
    "ini",
    "ipynb",
    "j2",
    "java",
    "jinja",
    "jinja2",
    "js",
    "json",
    "jsonl",
    "jsonnet",
    "jsx",
    "less",
    "lock",
    "lua",
    "md",
    "mdx",
    "mjs",
    "mount",
    "mts",
    "out",
    "path",
    "php",
    "pl",
    "po",
    "properties",
    "proto",
    "ps1",
    "pug",
    "r",
    "rb",
    "ron",
    "rs",
    "rst",
    "sass",
    "scss",
    "service",
    "sh",
    "slice",
    "socket",
    "sol",
    "sql",
    "svelte",
    "svg",
    "target",
    "tcl",
    "tex",
    "tf",
    "timer",
    "toml",
    "ts",
    "tsv",
    "tsx",
    "v",
    "vim",
    "vue",
    "xml",
    "yaml",
    "yml",
    "zig",
];
/// Names of other languages' files that calls are in, too.
const NAMED_BY_OTHERS: [&str; 8] =
    ["buck", "build", "cmakelists.txt", "jenkinsfile", "meson_options.txt", "module.bazel", "tiltfile", "workspace"];
/// Extensions of languages in which imports and definitions look as in Python: Starlark, Groovy, Julia, Swift and the like.
const OF_LIKE_LANGUAGES: [&str; 14] =
    ["bazel", "bzl", "gd", "gradle", "groovy", "hs", "jl", "kt", "kts", "m", "nim", "scala", "star", "swift"];

/// The least that a text of this name has to do so that it is Python; nothing where that does not tell.
fn python_counts_from(path: &Utf8Path, text: &str) -> Option<Does> {
    let name = path.file_name().unwrap_or("").to_ascii_lowercase();
    let extension = Utf8Path::new(&name).extension().unwrap_or("");
    if OF_LIKE_LANGUAGES.contains(&extension) && !NAMED_BY_OTHERS.contains(&name.as_str()) {
        return None;
    }
    // The first line names another interpreter only for whoever starts the file by its own name.
    let is_of_another = OF_OTHERS.contains(&extension) || NAMED_BY_OTHERS.contains(&name.as_str());
    Some(if is_of_another || text.starts_with("#!") { Does::Imports } else { Does::Calls })
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

/// What a text says of being a Dockerfile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Is,
    IsNot,
    /// It holds nothing yet that a Dockerfile may not begin with.
    NotYet,
}

/// Whether this begins as a Dockerfile must: a `FROM` before anything but `ARG`, and every line an instruction, up to the first
/// here-document.
fn is_dockerfile(text: &str) -> Told {
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
    use FileKind::{Action, Compose, Dependabot, Dockerfile, Kubernetes, Python, Rust, Shell, Terraform, Workflow};

    use super::*;

    #[test]
    fn names_tell() {
        for (path, kind) in [
            ("a/x.py", Some(Python)),
            ("a/x.pyi", Some(Python)),
            ("X.PYW", Some(Python)),
            ("src/lib.rs", Some(Rust)),
            ("run.sh", Some(Shell)),
            ("deploy/main.tf", Some(Terraform)),
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
            ("x", "\u{7F}ELF\0\0"),
        ] {
            assert_eq!(kinds(path.into(), head.as_bytes()), [], "{head:?}");
        }
        assert_eq!(kinds("lib.rs".into(), b"#![forbid(unsafe_code)]\n"), [Rust]);
    }

    #[test]
    fn python_is_told_by_its_text_wherever_it_lies() {
        let call = "import subprocess\nsubprocess.run(\"ls \" + input(), shell=True)\n";
        let behind = |comment: &str, code: &str| format!("{}{code}", comment.repeat(1_100_000 / comment.len()));
        for (path, text) in [
            ("app/job_a", &format!("print(\"hi\")\n{call}")[..]),
            ("app/job_b", "if True:\n    import subprocess\n    subprocess.run(\"ls \" + input(), shell=True)\n"),
            ("app/job_d", "class A:\n    def run(self):\n        import os\nA().run()\n"),
            ("app/job_e", &behind("# a history\n", call)),
            ("app/job_f", "__import__(\"os\").system(\"ls \" + input())\n"),
            ("app/job.task", call),
            ("app/trail.py ", call),
            ("app/theme.txt", call),
            ("app/theme.py.txt", call),
            ("app/job.cfg", call),
            ("app/job.json", call),
            ("app/job.js", call),
            ("app/job.sh", "#!/bin/sh\nimport os\n"),
            ("app/job.rb", "#!/usr/bin/ruby\nimport os\n"),
            ("app/Jenkinsfile", "exec (\"1\")\n"),
            ("app/BUILD", "def f():\n    pass\n"),
            ("app/long", &behind("\n", "print(1)\n")),
            ("app/longer", &behind("x = 1\r", "print(1)\r")),
            ("app/text", &format!("\"\"\"{}\"\"\"\nprint(1)\n", "a text\n".repeat(100_000))),
            ("app/line", &format!("x = \"{}\"; print(x)", "a".repeat(1_100_000))),
            ("app/utf7", "# coding: utf-7\n# +AAo-import os\n"),
            ("app/joined", "\\\n  print(1)\n"),
            (
                "app/subscript",
                "t = __loader__.__class__\nt.__class_getitem__ = eval\nt[\"__import__('os').abort()\"]\n",
            ),
            ("app/subscript.json", "t = __loader__.__class__\nt.__class_getitem__ = eval\nt[\"1\"]\n"),
            ("app/underscores", "t = x._\u{FF3F}class_\u{FF3F}\nt._\u{FE4D}add_\u{FE4F} = x\nt + t\n"),
            ("app/attribute", "t = __loader__ . \\\n __class__\nt.__getattr__ = eval\nt.x\n"),
            ("app/traceback.cfg", "x = __loader__\nx.get_source = eval\n__name__ = \"1\"\n1 / 0\n"),
            ("app/field.txt", "license._Printer__filenames = [\"/etc/passwd\"]\nf\"{license}\"\n"),
            ("app/in_field.ini", "f\"{x.__class__}\"\n"),
            ("app/alias.toml", "x = __import__\nx(\"os\").abort()\n"),
            ("app/decorator.yaml", "@eval\nclass A: 0\n"),
            ("app/unpacked", "a, b = 1, __builtins__\nb.x = a\n"),
            ("app/stub", "__builtins__.__dict__['a'] = 1\n"),
        ] {
            let told = kinds_of(path.into(), text.as_bytes()).expect("read");
            assert!(told.contains(&Python), "{path}");
            assert_eq!(told, kinds(path.into(), text.as_bytes()), "{path}");
        }
    }

    #[test]
    fn what_only_looks_like_python_is_none() {
        for (path, text) in [
            ("words.txt", "abstract\nand\nclass\ndef\neval\nimport\nlambda\nreturn\n"),
            ("requirements.txt", "flask==3.1.3 \\\n    --hash=sha256:0123\nrequests[socks]>=2.0,<3\n"),
            ("top_level.txt", "flask\n"),
            ("x.target", "[Unit]\nDescription=Basic\nDocumentation=man:systemd.special(7)\nRequires=sysinit.target\n"),
            ("x.list", "Documentation=man:systemd.special(7)\n"),
            ("CMakeLists.txt", "project(shop)\nadd_subdirectory(src)\n"),
            ("BUILD", "cc_library(name = \"a\", srcs = [\"a.cc\"])\n"),
            ("rules.bzl", "load(\"x\", \"y\")\ndef f(a):\n    return y(a)\n"),
            ("x.jl", "import Pkg\nPkg.add(\"X\")\n"),
            ("x.ts", "import x = require(\"y\")\n"),
            ("x.js", "import { x } from \"y\"\nx()\n"),
            ("x.mdx", "import X from \"y\"\n"),
            ("x.lua", "print(\"x\")\n"),
            ("x.ron", "(a: 1)\n"),
            ("x.j2", "print(1)\n"),
            ("x.coffee", "print(1)\n"),
            ("x.out", "print(1)\n"),
            ("x.json", "{\"import\": [\"def\", 1.5, \"eval(x)\"]}\n"),
            ("x.toml", "[package]\nname = \"x\"\nimport = \"y\"\n"),
            ("x.yaml", "import: x\nclass: y\n"),
            ("x.md", "# Heading\n\nimport goods from everywhere.\n"),
            ("CODEOWNERS", "*  @a/b\n/ci/ @a/c\n"),
            (".gitignore", "*.pyc\n__pycache__/\n"),
            ("Makefile", "all:\n\tpython -c 'import os'\n"),
            ("numbers.dat", "1,2,3\n4,5,6\n"),
            (".dockerignore", "tests\n__pycache__\n__tests__ # not in the image\n"),
            ("defaults.env", "__DEBUG__=1\nLEVEL=2\n"),
            ("settings", "a = b\nc_d = [1, 'e']\nx[0] = -y\n"),
        ] {
            assert_eq!(kinds(path.into(), text.as_bytes()), [], "{path}");
        }
    }

    #[test]
    fn no_more_of_a_file_is_read_than_is_needed_to_tell() {
        let (head, all) = (100, 350);
        for (line, path, told, bytes) in [
            ("\u{7F}ELF\n", "a", None, head),
            ("a text of prose\n", "a", None, head),
            ("import os\n", "a.jl", None, head),
            ("1,2\n", "a", None, 400),
            ("(1, 2)\n", "a.dat", None, 700),
            ("x = 1\n", "a", Some(Python), all),
            ("1,2\n", "a.csv", None, all),
            ("import os\n", "a.csv", Some(Python), all),
            ("ARG X\nFROM a\n", "a", Some(Dockerfile), all),
        ] {
            let mut file = io::Cursor::new(line.repeat(100));
            let kinds = kinds_within(path.into(), &mut file, [head, all - head]).expect("read");
            assert_eq!((kinds, file.position()), (Vec::from_iter(told), bytes), "{line} {path}");
        }
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
        for padding in ["ARG X=a\n", "# a licence\n", "\n"] {
            let behind = format!("{}FROM a\n", padding.repeat(200_000));
            assert_eq!(kinds_of("x".into(), behind.as_bytes()).expect("read"), [Dockerfile], "{padding}");
        }
        for head in ["FROM the desk of\nSomebody\n", "RUN x\n", "ARG X\n", "SELECT a\nFROM b\n", "", "From a b\n"] {
            assert_eq!(kinds("x".into(), head.as_bytes()), [], "{head:?}");
        }
        assert_eq!(kinds("stack.yml".into(), b"services:\n  a:\n    image: x\n"), [Compose]);
        assert_eq!(kinds("ci.yml".into(), b"image: x\nservices: [a]\n"), []);
        assert_eq!(kinds("a.yaml".into(), b"# x\napiVersion: v1\nkind: Pod\n"), [Kubernetes]);
        assert_eq!(kinds("a.yaml".into(), b"kind: x\nspec:\n  apiVersion: v1\n"), []);
    }
}
