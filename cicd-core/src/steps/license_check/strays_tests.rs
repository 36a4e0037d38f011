//! What Python could import, or would run, beside what its packages have recorded.

use std::io::{Cursor, Read};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::found::Found;
use super::judge::{judge_other, judge_stray};
use crate::docker::read_file_system;
use crate::formats::python_bytecode::siphash;

const SITE: &str = "opt/app/site-packages";
/// The magic number of Python 3.11.
const MAGIC: [u8; 4] = [0xa7, 0x0d, b'\r', b'\n'];
const MODIFIED_S: u64 = 1_700_000_000;

#[derive(Default, Clone)]
struct Image(Vec<(Vec<u8>, Vec<u8>, Option<&'static str>)>);

impl Image {
    fn file(mut self, path: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Self {
        self.0.push((path.as_ref().to_vec(), content.as_ref().to_vec(), None));
        self
    }

    fn link(mut self, path: &str, target: &'static str) -> Self {
        self.0.push((path.into(), Vec::new(), Some(target)));
        self
    }

    /// A package as an installer leaves it, in a folder.
    fn package_in(mut self, site: &str, name: &str, files: &[(&str, &[u8])]) -> Self {
        let info = format!("{name}-1.0.dist-info");
        let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nLicense: MIT\n");
        let mut record = String::new();
        let metadata_path = format!("{info}/METADATA");
        for (path, content) in files.iter().copied().chain([(metadata_path.as_str(), metadata.as_bytes())]) {
            let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(content));
            record.push_str(&format!("{path},sha256={digest},{}\n", content.len()));
            self = self.file(format!("{site}/{path}"), content);
        }
        record.push_str(&format!("{info}/RECORD,,\n"));
        self.file(format!("{site}/{info}/RECORD"), record)
    }

    fn package(self, name: &str, files: &[(&str, &[u8])]) -> Self {
        self.package_in(SITE, name, files)
    }

    /// One package that is as it was installed.
    fn good() -> Self {
        Self::default().package("good", &[("good/__init__.py", b"print(1)\n"), ("good/page.html", b"<p>")])
    }

    /// The same image in which a later layer has written a file anew.
    fn changed(mut self, path: &str, content: &[u8]) -> Self {
        self.0.retain(|(known, ..)| known != path.as_bytes());
        self.file(path, content)
    }

    fn found(&self) -> Found {
        self.found_with(&[])
    }

    /// What is found where Python is started in /opt/app with this environment.
    fn found_with(&self, environment: &[&str]) -> Found {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content, link) in &self.0 {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_mtime(MODIFIED_S);
            header.set_size(content.len() as u64);
            // A path that is no text is written as it is.
            header.as_old_mut().name[..path.len()].copy_from_slice(path);
            if let Some(target) = link {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_link_name(target).expect("short");
            }
            header.set_cksum();
            archive.append(&header, content.as_slice()).expect("in memory");
        }
        let archive = archive.into_inner().expect("in memory");
        let tree = read_file_system(|| Ok(Box::new(Cursor::new(archive.clone())) as Box<dyn Read>)).expect("whole");
        let environment: Vec<String> = environment.iter().map(|entry| (*entry).to_owned()).collect();
        Found::in_tree(&tree, &environment, "/opt/app").expect("readable")
    }

    /// The codes and places of what is found.
    fn codes(&self) -> Vec<String> {
        self.codes_with(&[])
    }

    fn codes_with(&self, environment: &[&str]) -> Vec<String> {
        let findings = self.found_with(environment).strays.iter().map(judge_stray).collect::<Vec<_>>();
        findings
            .iter()
            .map(|one| {
                format!("{} {}", one.code, one.target.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string))
            })
            .collect()
    }
}

/// A zip of empty files, whatever stands before it.
fn zip(before: &[u8], names: &[&str]) -> Vec<u8> {
    let mut bytes = before.to_vec();
    let mut directory = Vec::new();
    for name in names {
        bytes.extend(b"PK\x03\x04");
        bytes.extend([0; 22]);
        bytes.extend([u8::try_from(name.len()).expect("short"), 0, 0, 0]);
        bytes.extend(name.as_bytes());
        directory.extend(b"PK\x01\x02");
        directory.extend([0; 24]);
        directory.extend([u8::try_from(name.len()).expect("short"), 0]);
        directory.extend([0; 16]);
        directory.extend(name.as_bytes());
    }
    let size = u32::try_from(directory.len()).expect("short").to_le_bytes();
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06");
    bytes.extend([0; 8]);
    bytes.extend(size);
    bytes.extend([0; 6]);
    bytes
}

#[test]
fn a_package_as_it_was_installed_is_no_finding() {
    assert_eq!(Image::good().codes(), Vec::<String>::new());
    let scripts = Image::good();
    let record = format!("{SITE}/good-1.0.dist-info/RECORD");
    let (_, text, _) = scripts.0.iter().find(|(path, ..)| path == record.as_bytes()).expect("a record").clone();
    let more = [text.as_slice(), b"../../bin/good,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"].concat();
    assert_eq!(scripts.changed(&record, &more).codes(), Vec::<String>::new(), "a program that is not there");
}

#[test]
fn no_archive_hides_python_code() {
    let python = ["evil/__init__.py"];
    for (path, content) in [
        ("opt/app/evil-1.0-py3-none-any.whl", zip(b"", &["evil.py", "evil-1.0.dist-info/METADATA"])),
        ("opt/app/lib.zip", zip(b"", &python)),
        ("opt/app/evil.egg", zip(b"", &["EGG-INFO/PKG-INFO"])),
        ("usr/local/bin/tool.pyz", zip(b"#!/usr/bin/env python3\n", &["__main__.py"])),
        ("opt/data/picture.png", zip(b"\x89PNG\r\n", &python)),
        ("opt/data/no-extension", zip(b"", &["native.so"])),
        ("opt/data/outer.zip", zip(b"", &["inner.WHL"])),
        ("opt/data/jar.zip", zip(b"", &["x.class", "evil.py"])),
        ("opt/data/program", zip(b"\x7fELF", &python)),
        ("opt/data/broken.zip", b"PK\x03\x04 and nothing else".to_vec()),
    ] {
        assert_eq!(Image::good().file(path, content).codes(), [format!("LIC-012 /{path}")], "{path}");
    }
    let fonts = zip(b"", &["a.ttf", "LICENSE"]);
    assert_eq!(Image::good().file("opt/data/fonts.zip", fonts).codes(), Vec::<String>::new());
    // The folder that packages are in is no better place.
    let whl = format!("{SITE}/evil.whl");
    assert_eq!(Image::good().file(&whl, zip(b"", &python)).codes(), [format!("LIC-012 /{whl}")]);
}

#[test]
fn a_package_is_found_in_a_folder_of_any_name() {
    let metadata = b"Metadata-Version: 2.1\nName: agpl\nVersion: 1.0\nLicense: AGPL\n";
    for folder in [
        &b"opt/\xff\xfe/agpl-1.0.dist-info"[..],
        b"opt/a\\b/agpl-1.0.dist-info",
        b"agpl-1.0.dist-info",
        b"opt/agpl.egg/EGG-INFO",
    ] {
        let file = if folder.ends_with(b"EGG-INFO") { "PKG-INFO" } else { "METADATA" };
        let path = [folder, b"/", file.as_bytes()].concat();
        let found = Image::good().file(path, metadata).found();
        let names: Vec<_> = found
            .distributions
            .iter()
            .filter_map(|one| one.content.as_ref().ok())
            .map(|one| one.name.clone())
            .collect();
        assert!(names.contains(&"agpl".to_owned()) && names.len() == 2, "{names:?}");
        assert!(
            found.strays.iter().any(|one| one.message.contains("its files cannot be compared")),
            "{:?}",
            found.strays
        );
    }
}

#[test]
fn every_file_of_a_package_is_what_its_record_says() {
    let info = "good-1.0.dist-info";
    let altered = format!("LIC-011 /{SITE}/{info}");
    let changed = Image::good().changed(&format!("{SITE}/good/__init__.py"), b"print(1)\nimport evil\n");
    assert_eq!(changed.codes(), [altered.as_str()]);
    let mut missing = Image::good();
    missing.0.retain(|(path, ..)| !path.ends_with(b"good/page.html"));
    assert_eq!(missing.codes(), [altered.as_str()]);
    let mut linked = missing.clone();
    linked = linked.file("tmp/page.html", "<script>").link(&format!("{SITE}/good/page.html"), "/tmp/page.html");
    assert_eq!(linked.codes(), [altered.as_str()], "a link to another text");
    for added in [
        "good/evil.py",
        "good/_native.so",
        "good/data.json",
        "evil.py",
        "evil/__init__.py",
        "evil.cpython-311-x86_64-linux-gnu.so",
    ] {
        let group = if added.starts_with("good/") { "good" } else { added.split('/').next().expect("a part") };
        let image = Image::good().file(format!("{SITE}/{added}"), "x");
        assert_eq!(image.codes(), [format!("LIC-012 /{SITE}/{group}")], "{added}");
    }
    let linked = Image::good().file("srv/evil/__init__.py", "x").link(&format!("{SITE}/evil"), "/srv/evil");
    assert_eq!(linked.codes(), [format!("LIC-012 /{SITE}/evil")], "a folder behind a link");
}

#[test]
fn a_record_that_vouches_for_nothing_is_none() {
    let record = format!("{SITE}/good-1.0.dist-info/RECORD");
    let unreadable = format!("LIC-010 /{SITE}/good-1.0.dist-info");
    for bad in ["good/__init__.py,md5=abc,1\n", "good/__init__.py\n", "\"good"] {
        let codes = Image::good().changed(&record, bad.as_bytes()).codes();
        assert!(codes.contains(&unreadable), "{bad:?}: {codes:?}");
    }
    let mut none = Image::good();
    none.0.retain(|(path, ..)| path != record.as_bytes());
    assert!(none.codes().contains(&unreadable));
    let unhashed = "good/__init__.py,,\ngood/page.html,,\ngood-1.0.dist-info/METADATA,,\ngood-1.0.dist-info/RECORD,,\n";
    assert_eq!(
        Image::good().changed(&record, unhashed.as_bytes()).codes(),
        [format!("LIC-011 /{SITE}/good-1.0.dist-info")]
    );
    let empty = Image::good().changed(&record, b"").codes();
    assert_eq!(empty.len(), 2, "everything is of no package: {empty:?}");
}

#[test]
fn what_python_runs_at_its_start_is_of_a_package() {
    for path in [
        "usr/local/lib/python3.11/sitecustomize.py",
        "opt/anywhere/usercustomize.py",
        "opt/x/sitecustomize.py",
        "opt/x/sitecustomize/__init__.py",
        "opt/x/sitecustomize.so",
        "opt/x/usercustomize.cpython-311-x86_64-linux-gnu.so",
        "opt/x/sitecustomize/__init__.abi3.so",
    ] {
        assert_eq!(Image::good().file(path, "import os").codes(), [format!("LIC-012 /{path}")]);
    }
    let pth = format!("{SITE}/evil.pth");
    for lines in [
        "import os; os.system('x')\n",
        "# a comment\n\n/srv/code\n",
        "../elsewhere\n",
        "import\tos\n",
        "# x\rimport os\n",
    ] {
        assert_eq!(Image::good().file(&pth, lines).codes(), [format!("LIC-012 /{pth}")], "{lines:?}");
    }
    let own = Image::good().package("patch", &[("patch.pth", b"import patch\n"), ("patch.py", b"")]);
    assert_eq!(own.codes(), Vec::<String>::new(), "its package has recorded it");
    let outside = Image::good().package("editable", &[("__editable__.pth", b"/src/editable\n")]);
    assert_eq!(outside.codes(), [format!("LIC-012 /{SITE}/__editable__.pth")], "where it leads, nobody has recorded");
}

#[test]
fn compiled_code_belongs_to_the_source_beside_it() {
    let source = b"print(1)\n";
    let pyc = |flags: u32, second: &[u8]| [&MAGIC[..], &flags.to_le_bytes(), second, b"code"].concat();
    let time = |modified: u64, size: usize| {
        let [modified, size] =
            [u32::try_from(modified), u32::try_from(size)].map(|it| it.expect("small").to_le_bytes());
        [modified, size].concat()
    };
    let hash = siphash(1, u64::from(u32::from_le_bytes(MAGIC)), source).to_le_bytes();
    let old = siphash(2, u64::from(u32::from_le_bytes(MAGIC)), source).to_le_bytes();
    let path = format!("{SITE}/good/__pycache__/__init__.cpython-311.pyc");
    for good in [pyc(0, &time(MODIFIED_S, source.len())), pyc(1, &hash), pyc(3, &hash), pyc(1, &old)] {
        assert_eq!(Image::good().file(&path, good).codes(), Vec::<String>::new());
    }
    let finding = format!("LIC-013 /{SITE}/good/__pycache__");
    for bad in [
        pyc(0, &time(MODIFIED_S, source.len() + 1)),
        pyc(0, &time(MODIFIED_S + 1, source.len())),
        pyc(1, &[0; 8]),
        pyc(7, &hash),
        b"import os\nprint(1)".to_vec(),
        Vec::new(),
    ] {
        assert_eq!(Image::good().file(&path, bad).codes(), [finding.as_str()]);
    }
    let alone = Image::good().file(format!("{SITE}/good/evil.pyc"), pyc(1, &hash));
    assert_eq!(alone.codes(), [format!("LIC-013 /{SITE}/good")], "Python imports it without a source");
    let orphan = Image::good().file("opt/app/__pycache__/gone.cpython-311.pyc", pyc(1, &hash));
    assert_eq!(orphan.codes(), ["LIC-013 /opt/app/__pycache__"]);
}

#[test]
fn a_list_of_the_system_answers_for_the_system_only() {
    let status = "Package: base-files\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n";
    let agpl = |site: &str, list: &str| {
        let metadata = "Metadata-Version: 2.1\nName: agpl\nVersion: 1.0\nLicense: AGPL\n";
        let image = Image::good().file("var/lib/dpkg/status", status).file("var/lib/dpkg/info/base-files.list", list);
        image.file(format!("{site}/agpl-1.0.dist-info/METADATA"), metadata).found().distributions.len()
    };
    assert_eq!(agpl("usr/lib/python3/dist-packages", "/usr/lib/python3/dist-packages/agpl-1.0.dist-info\n"), 1);
    assert_eq!(agpl("opt/app", "/opt/app/agpl-1.0.dist-info\n"), 2, "Debian puts nothing into /opt");
    assert_eq!(agpl("opt/app", "/usr/../opt/app/agpl-1.0.dist-info\n"), 2);
    let unknown = Image::good()
        .file("var/lib/dpkg/info/ghost.list", "/usr/lib/python3/dist-packages/agpl-1.0.dist-info\n")
        .file("usr/lib/python3/dist-packages/agpl-1.0.dist-info/METADATA", "Name: agpl\nVersion: 1\n");
    assert_eq!(unknown.found().distributions.len(), 2, "a package that is not installed owns nothing");
}

#[test]
fn copies_of_other_packages_are_told() {
    let image = Image::good().package("pip", &[("pip/__init__.py", b""), ("pip/_vendor/urllib3/a.py", b"x")]);
    assert_eq!(image.codes(), [format!("LIC-014 /{SITE}/pip/_vendor")]);
}

#[test]
fn packages_of_every_kind_are_counted() {
    let elf = |words: &[u8]| [b"\x7fELF".as_slice(), &[0; 70_000], words].concat();
    let manifest = r#"{"name":"left-pad","version":"1.3.0"}"#;
    let found = Image::good()
        .file("srv/node_modules/left-pad/package.json", manifest)
        .file("srv/node_modules/@scope/it/package.json", r#"{"name":"@scope/it","version":"2.0.0"}"#)
        .file("srv/node_modules/left-pad/test/package.json", r#"{"name":"fixture","version":"2.0.0"}"#)
        .file("srv/server", elf(b"\xff Go buildinf:"))
        .file("srv/with-archive", zip(&elf(b"\xff Go buildinf:"), &["web/index.html"]))
        .file("srv/.yarn/cache/left-pad.zip", zip(b"", &["node_modules/left-pad/package.json"]))
        .file("srv/tool", elf(b".dep-v0\0"))
        .file("usr/local/lib/R/site-library/jsonlite/DESCRIPTION", "Package: jsonlite\n")
        .file("usr/local/lib/perl5/auto/Moo/.packlist", "")
        .file("srv/lua/rocks-5.4/lpeg/1.1.0-1/lpeg-1.1.0-1.rockspec", "")
        .file("srv/app/lib/jason-1.4.4/ebin/jason.app", "")
        .file("srv/dart/.dart_tool/package_config.json", "{}")
        .file("srv/app.jar", zip(b"", &["META-INF/MANIFEST.MF", "a/B.class"]))
        .file("srv/gems/specifications/rack-3.gemspec", "")
        .file("lib/apk/db/installed", "P:musl\nV:1\nA:x86_64\n\n")
        .found();
    let shown: Vec<_> = found.others.iter().map(|(kind, count)| judge_other(kind, *count).message).collect();
    assert_eq!(
        shown,
        [
            "the licences of 1 apk package are not judged",
            "the licences of 1 cargo package are not judged",
            "the licences of 1 cpan package are not judged",
            "the licences of 1 cran package are not judged",
            "the licences of 1 gem package are not judged",
            "the licences of 2 golang packages are not judged",
            "the licences of 1 hex package are not judged",
            "the licences of 1 luarocks package are not judged",
            "the licences of 1 maven package are not judged",
            "the licences of 3 npm packages are not judged",
            "the licences of 1 pub package are not judged",
        ]
    );
    assert_eq!(judge_other("npm", 2).level, crate::model::Level::BlockClearance);
}

#[test]
fn no_folder_that_python_searches_holds_code_of_no_package() {
    let image = Image::good()
        .file("opt/app/lib/flask/__init__.py", "evil = 1\n")
        .file("opt/app/lib/words.txt", "data")
        .link("opt/app/other", "lib");
    assert_eq!(image.codes(), Vec::<String>::new(), "nothing has Python look there");
    for path in ["/opt/app/lib", "lib", "/opt/app/site-packages:/opt/app/lib", "/opt/app/other", "/opt/app/lib/../lib/"]
    {
        assert_eq!(image.codes_with(&[&format!("PYTHONPATH={path}")]), ["LIC-012 /opt/app/lib/flask"], "{path}");
    }
    let twice = ["PYTHONPATH=/opt/app/site-packages", "PYTHONPATH=/opt/app/lib"];
    assert_eq!(image.codes_with(&twice), ["LIC-012 /opt/app/lib/flask"]);
    assert_eq!(image.codes_with(&["PYTHONPATH=/opt/app/site-packages"]), Vec::<String>::new());
    assert_eq!(image.codes_with(&["PYTHONPATH=/opt/app"]), ["LIC-012 /opt/app/lib"], "packages in it are known");
}
