use FileKind::{
    Action, Compose, Dependabot, Dockerfile, Kubernetes, OtherCi, Python, Rust, Shell, Terraform, Workflow,
};

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
        (".forgejo/workflows/x.yml", Some(Workflow)),
        (".gitea/workflows/x.YAML", Some(Workflow)),
        (".gitlab-ci.yml", Some(OtherCi)),
        ("ci/build.gitlab-ci.yml", Some(OtherCi)),
        ("deploy/Jenkinsfile.groovy", Some(OtherCi)),
        (".circleci/continue/config.yml", Some(OtherCi)),
        ("azure-pipelines.yml", Some(OtherCi)),
        ("azure-pipelines.txt", None),
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
        ("app/subscript", "t = __loader__.__class__\nt.__class_getitem__ = eval\nt[\"__import__('os').abort()\"]\n"),
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
