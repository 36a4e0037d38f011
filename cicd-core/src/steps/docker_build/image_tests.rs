//! What an image may do, and what it says of its system: file systems made here, a layer at a time.

use std::io::Cursor;

use super::privileges;
use super::system::{self, Compared};
use crate::docker::{FileTree, Marks, add_archive};
use crate::formats::ImageConfig;
use crate::model::Finding;

/// A file, folder, link or device of a layer.
#[derive(Clone)]
pub(super) struct Piece {
    pub(super) path: String,
    kind: tar::EntryType,
    pub(super) text: String,
    mode: u32,
    user: u64,
    group: u64,
    capability: bool,
}

pub(super) fn file(path: &str, text: &str) -> Piece {
    Piece {
        path: path.to_owned(),
        kind: tar::EntryType::Regular,
        text: text.to_owned(),
        mode: 0o644,
        user: 0,
        group: 0,
        capability: false,
    }
}

fn folder(path: &str, mode: u32) -> Piece {
    Piece { kind: tar::EntryType::Directory, ..file(path, "").mode(mode) }
}

impl Piece {
    pub(super) fn mode(self, mode: u32) -> Self {
        Self { mode, ..self }
    }

    fn of(self, user: u64, group: u64) -> Self {
        Self { user, group, ..self }
    }

    pub(super) fn kind(self, kind: tar::EntryType) -> Self {
        Self { kind, ..self }
    }
}

fn add(tree: &mut FileTree, index: usize, pieces: &[Piece]) {
    add_shown(tree, index, pieces, &mut |_| ());
}

/// Lays a layer upon a tree, and shows its files.
pub(super) fn add_shown(
    tree: &mut FileTree,
    index: usize,
    pieces: &[Piece],
    show: &mut dyn FnMut(crate::docker::LayerFile<'_>),
) {
    let mut archive = tar::Builder::new(Vec::new());
    for Piece { path, kind, text, mode, user, group, capability } in pieces {
        if *capability {
            let extensions = [("SCHILY.xattr.security.capability", &b"\x01\0\0\x02\0\x04\0\0\0\0\0\0"[..])];
            archive.append_pax_extensions(extensions).expect("in memory");
        }
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_uid(*user);
        header.set_gid(*group);
        header.set_mtime(0);
        if kind.is_symlink() || kind.is_hard_link() {
            header.set_size(0);
            archive.append_link(&mut header, path, text).expect("in memory");
        } else {
            header.set_size(text.len() as u64);
            archive.append_data(&mut header, path, text.as_bytes()).expect("in memory");
        }
    }
    let archive = archive.into_inner().expect("in memory");
    add_archive(tree, Cursor::new(archive), index, Marks::Delete, show).expect("a layer");
}

pub(super) fn shown(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|one| format!("{} {}", one.code, one.target.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string)))
        .collect()
}

fn privileges_of(pieces: &[Piece]) -> Vec<String> {
    let mut tree = FileTree::default();
    add(&mut tree, 0, pieces);
    let config = ImageConfig {
        user: "10001:10001".to_owned(),
        environment: vec!["PATH=/opt/bin:/bin".to_owned(), "PYTHONPATH=/opt/site".to_owned()],
        entrypoint: vec!["serve".to_owned()],
        ..ImageConfig::default()
    };
    shown(&privileges::judge(&tree, &config))
}

#[test]
fn no_file_gives_the_rights_of_another_user() {
    let shell = || file("bin/sh", "\x7fELF").mode(0o755);
    assert_eq!(privileges_of(&[shell()]), Vec::<String>::new());
    for (mode, user, group) in
        [(0o4755, 0, 0), (0o2755, 0, 42), (0o6755, 0, 0), (0o4700, 0, 0), (0o4755, 1000, 0), (0o4644, 0, 0)]
    {
        assert_eq!(privileges_of(&[shell().mode(mode).of(user, group)]), ["IMG-011 /bin/sh"], "{mode:o}");
    }
    let mut capable = shell();
    capable.capability = true;
    assert_eq!(privileges_of(&[capable]), ["IMG-011 /bin/sh"]);
    let second = file("opt/x", "bin/sh").kind(tar::EntryType::Link);
    assert_eq!(privileges_of(&[shell().mode(0o4755), second]), ["IMG-011 /bin/sh", "IMG-011 /opt/x"], "a second name");
    assert_eq!(privileges_of(&[folder("var/local", 0o2775)]), Vec::<String>::new(), "a folder hands its group on");
}

#[test]
fn nothing_may_be_changed_by_everybody() {
    let app = || file("opt/app/app.py", "x");
    for (pieces, expected) in [
        (vec![folder("opt/app", 0o777), app()], "IMG-012 /opt/app"),
        (vec![folder("opt/app", 0o755), app().mode(0o666)], "IMG-012 /opt/app/app.py"),
        (vec![folder("opt/app", 0o757), app().mode(0o666)], "IMG-012 /opt/app"),
        (vec![file("run/pipe", "").mode(0o622).kind(tar::EntryType::Fifo)], "IMG-012 /run/pipe"),
    ] {
        assert_eq!(privileges_of(&pieces), [expected]);
    }
    let link = file("opt/link", "/tmp").mode(0o777).kind(tar::EntryType::Symlink);
    assert_eq!(privileges_of(&[folder("tmp", 0o1777), link]), Vec::<String>::new());
}

#[test]
fn an_application_cannot_change_its_own_code() {
    let mine = |piece: Piece| piece.of(10001, 10001);
    for (pieces, expected) in [
        (vec![mine(file("opt/app/app.py", "x"))], "IMG-013 /opt/app/app.py"),
        (vec![file("opt/app/app.js", "x").mode(0o664).of(0, 10001)], "IMG-013 /opt/app/app.js"),
        (vec![mine(file("opt/app/run", "#!/bin/sh\n"))], "IMG-013 /opt/app/run"),
        (vec![mine(file("opt/app/tool", "\x7fELF"))], "IMG-013 /opt/app/tool"),
        (vec![mine(folder("opt/app", 0o755)), file("opt/app/app.py", "x")], "IMG-013 /opt/app"),
        (vec![mine(folder("opt/site", 0o755))], "IMG-013 /opt/site"),
        (vec![mine(folder("opt/bin", 0o700))], "IMG-013 /opt/bin"),
        (vec![mine(file("bin/serve", "odd"))], "IMG-013 /bin/serve"),
    ] {
        assert_eq!(privileges_of(&pieces), [expected]);
    }
    // The sticky bit keeps nobody from adding a module where modules are looked for.
    let open = folder("opt/site", 0o1777);
    assert_eq!(privileges_of(&[open]), ["IMG-013 /opt/site"]);
    for (path, folder) in [("/tmp", folder("tmp", 0o1777)), ("/data", mine(folder("data", 0o755)))] {
        let mut tree = FileTree::default();
        add(&mut tree, 0, &[folder]);
        let config = |program: &str| ImageConfig {
            user: "10001:10001".to_owned(),
            working_folder: path.to_owned(),
            entrypoint: vec![program.to_owned(), "-m".to_owned(), "app".to_owned()],
            ..ImageConfig::default()
        };
        let found = |program: &str| shown(&privileges::judge(&tree, &config(program)));
        assert_eq!(found("/usr/bin/python3.11"), [format!("IMG-013 {path}")]);
        assert_eq!(found("/opt/app/server"), Vec::<String>::new());
    }
    let data =
        [mine(folder("data", 0o755)), mine(file("data/state.json", "{}")), mine(file("opt/a.py", "x").mode(0o444))];
    assert_eq!(privileges_of(&data), Vec::<String>::new());
}

#[test]
fn nobody_becomes_somebody_else() {
    let passwd = "root:x:0:0::/root:/bin/sh\ndaemon:*:1:1::/:/usr/sbin/nologin\n";
    let good = [
        file("etc/passwd", passwd),
        file("etc/shadow", "root:*:1::::::\ndaemon:!:1::::::\n"),
        file("etc/group", "root:x:0:\nshadow:x:42:\nusers:x:100:app\n"),
        file(
            "etc/pam.d/su",
            "auth sufficient pam_rootok.so\n# auth sufficient pam_wheel.so trust\nauth required pam_permit.so\n",
        ),
        file("etc/sudoers.d/README", "words"),
    ];
    assert_eq!(privileges_of(&good), Vec::<String>::new());
    for (path, text) in [
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/:/bin/sh\n"),
        ("etc/passwd", "root:x:0:0::/root:/bin/sh\ntoor:x:00:0::/:/bin/sh\n"),
        ("etc/passwd", "root::0:0::/root:/bin/sh\n"),
        ("etc/shadow", "root::1::::::\n"),
        ("etc/group", "root:x:0:app\n"),
        ("etc/group", "shadow:x:42:app\n"),
        ("etc/sudoers", "app ALL=(ALL) NOPASSWD: ALL\n"),
        ("etc/sudoers.d/app", "app ALL=(ALL) NOPASSWD: ALL\n"),
        ("etc/doas.conf", "permit nopass app\n"),
        ("root/.ssh/authorized_keys", "ssh-ed25519 AAAA\n"),
        ("home/app/.ssh/authorized_keys2", "ssh-ed25519 AAAA\n"),
        ("root/.rhosts", "+ +\n"),
        ("etc/ld.so.preload", "/opt/evil.so\n"),
    ] {
        assert_eq!(privileges_of(&[file(path, text)]), [format!("IMG-014 /{path}")], "{text}");
    }
    // As C libraries read numbers: blanks and signs before them, and no more than 32 bits.
    for number in ["+0", " 0", "-0", "\t+00", "4294967296", "0x0", "", "zero", "1 "] {
        for (path, text) in
            [("etc/passwd", format!("toor:x:{number}:0::/:/bin/sh\n")), ("etc/group", format!("g:x:{number}:\n"))]
        {
            assert_eq!(privileges_of(&[file(path, &text)]), [format!("IMG-014 /{path}")], "{text}");
        }
    }
    let pam = file("etc/pam.d/su", "auth sufficient pam_wheel.so trust\n");
    assert_eq!(privileges_of(&[pam]), ["IMG-014 /etc/pam.d"]);
    let link = |path: &str, to: &str| file(path, to).kind(tar::EntryType::Symlink);
    for (pieces, place) in [
        (vec![file("opt/p", "toor::0:0::/:/bin/sh\n"), link("etc/passwd", "/opt/p")], "etc/passwd"),
        (
            vec![file("bin/p", "toor::0:0::/:/bin/sh\n"), file("etc/shadow", "bin/p").kind(tar::EntryType::Link)],
            "etc/shadow",
        ),
        (vec![file("etc/group", &"users:x:100:\n".repeat(1 << 20))], "etc/group"),
        (vec![folder("etc/passwd", 0o755)], "etc/passwd"),
        (vec![link("etc", "opt/etc"), file("opt/etc/passwd", "toor::0:0::/:/bin/sh\n")], "etc"),
        (vec![link("etc/sudoers.d", "/opt/rules")], "etc/sudoers.d"),
        (vec![link("etc/pam.d", "/opt/rules")], "etc/pam.d"),
        (vec![link("etc/pam.d/su", "/opt/su")], "etc/pam.d/su"),
        (vec![link("etc/sudoers", "/opt/sudoers")], "etc/sudoers"),
        (vec![link("etc/ld.so.preload", "/opt/evil")], "etc/ld.so.preload"),
        (vec![link("root/.ssh/authorized_keys", "/opt/keys")], "root/.ssh/authorized_keys"),
        (vec![link("root/.ssh", "/opt/ssh")], "root/.ssh"),
    ] {
        assert_eq!(privileges_of(&pieces), [format!("IMG-014 /{place}")]);
    }
    let device = file("opt/sda", "").kind(tar::EntryType::Block);
    assert_eq!(privileges_of(&[device]), ["IMG-015 /opt/sda"]);
}

const OPENSSL: &str = "Package: openssl\nStatus: install ok installed\nVersion: 3.0.11\nArchitecture: amd64\n\n";
const LIBC: &str = "Package: libc6\nStatus: install ok installed\nVersion: 2.36\nArchitecture: amd64\n\n";

pub(super) fn debian() -> Vec<Piece> {
    vec![
        folder("usr/lib", 0o755),
        file("lib", "usr/lib").kind(tar::EntryType::Symlink),
        file("usr/lib/os-release", "NAME=Debian\nID=debian\nVERSION_ID=\"12\"\n"),
        file("etc/os-release", "../usr/lib/os-release").kind(tar::EntryType::Symlink),
        file("etc/debian_version", "12.10\n"),
        file("var/lib/dpkg/status", &format!("{OPENSSL}{LIBC}")),
        file("var/lib/dpkg/info/openssl.list", "/.\n/usr\n/usr/bin/openssl\n/etc/ssl/openssl.cnf\n"),
        file("var/lib/dpkg/info/libc6:amd64.list", "/.\n/lib/libc.so.6\n"),
        file("usr/bin/openssl", "\x7fELF openssl").mode(0o755),
        file("etc/ssl/openssl.cnf", "x"),
        file("usr/lib/libc.so.6", "\x7fELF libc").mode(0o755),
    ]
}

/// What is found in an image of Debian's with this on top, made by an instruction.
fn on_debian(instruction: &str, pieces: &[Piece]) -> Vec<String> {
    let mut tree = FileTree::default();
    add(&mut tree, 0, &debian());
    let base = tree.clone();
    add(&mut tree, 1, pieces);
    let config =
        ImageConfig { made_by: vec!["ADD rootfs /".to_owned(), instruction.to_owned()], ..ImageConfig::default() };
    shown(&system::judge(Compared { base: Some((&base, 1)), tree: &tree, config: &config }).expect("readable"))
}

#[test]
fn an_image_says_it_is_the_system_that_it_is_built_on() {
    assert_eq!(on_debian("RUN true", &[]), Vec::<String>::new());
    let os = "IMG-016 /etc/os-release".to_owned();
    for release in
        ["ID=wolfi\nVERSION_ID=12\n", "ID=ubuntu\nVERSION_ID=12\n", "ID=debian\nVERSION_ID=13\n", "", "# ID=debian\n"]
    {
        for path in ["usr/lib/os-release", "etc/os-release"] {
            let codes = on_debian("RUN x", &[file(path, release)]);
            assert!(!codes.is_empty() && codes.iter().all(|code| *code == os), "{path} {release:?}: {codes:?}");
        }
    }
    assert_eq!(on_debian("RUN x", &[file("etc/debian_version", "99\n")]), std::slice::from_ref(&os));
    assert_eq!(on_debian("RUN x", &[file("etc/alpine-release", "3.20\n")]), std::slice::from_ref(&os));
    assert_eq!(on_debian("RUN x", &[file("etc/.wh.debian_version", "")]), std::slice::from_ref(&os));
    let both = [file("etc/.wh.os-release", ""), file("usr/lib/.wh.os-release", "")];
    assert!(on_debian("RUN x", &both).contains(&os));
    let elsewhere = file("etc/os-release", "/opt/os-release").kind(tar::EntryType::Symlink);
    let lie = [elsewhere, file("opt/os-release", "ID=wolfi\n")];
    assert!(on_debian("RUN x", &lie).contains(&os), "a link to another text");
    assert_eq!(on_debian("RUN x", &[file("etc/debian_version", "12.11\n")]), Vec::<String>::new(), "a point release");
    let apk = file("lib/apk/db/installed", "P:musl\nV:1\nA:x\n\n");
    let apk = Piece { path: "usr/lib/apk/db/installed".to_owned(), ..apk };
    assert!(on_debian("RUN x", &[apk]).contains(&os), "two databases");
}

#[test]
fn a_database_of_packages_tells_of_everything_that_is_installed() {
    let status = |text: String| file("var/lib/dpkg/status", &text);
    let gone = "IMG-017 openssl".to_owned();
    let older = OPENSSL.replace("3.0.11", "99");
    let removed = OPENSSL.replace("install ok installed", "deinstall ok config-files");
    for text in [LIBC.to_owned(), format!("{older}{LIBC}"), format!("{removed}{LIBC}")] {
        let codes = on_debian("RUN x", &[status(text.clone())]);
        assert!(codes.contains(&gone), "{text}: {codes:?}");
        let list = file("var/lib/dpkg/info/.wh.openssl.list", "");
        let codes = on_debian("RUN x", &[status(text.clone()), list]);
        assert!(codes.contains(&gone), "without its list, {text}: {codes:?}");
    }
    let all = [file("var/lib/dpkg/.wh.status", "")];
    assert!(on_debian("RUN x", &all).contains(&"IMG-017 deb".to_owned()));
    let purged = [
        status(LIBC.to_owned()),
        file("usr/bin/.wh.openssl", ""),
        file("etc/ssl/.wh.openssl.cnf", ""),
        file("var/lib/dpkg/info/.wh.openssl.list", ""),
    ];
    assert_eq!(on_debian("RUN apt-get purge openssl", &purged), Vec::<String>::new());
    let upgraded = [
        status(format!("{}{LIBC}", OPENSSL.replace("3.0.11", "3.0.12"))),
        file("usr/bin/openssl", "\x7fELF newer").mode(0o755),
        file("var/lib/dpkg/info/openssl.list", "/.\n/usr\n/usr/bin/openssl\n/etc/ssl/openssl.cnf\n"),
    ];
    assert_eq!(on_debian("RUN apt-get upgrade", &upgraded), Vec::<String>::new());
    let claims = file("var/lib/dpkg/info/openssl.list", "/usr/bin/openssl\n/usr/bin/evil\n");
    assert_eq!(on_debian("RUN x", &[claims]), std::slice::from_ref(&gone), "a list that claims more");
}

#[test]
fn what_a_system_runs_is_of_its_packages_or_is_named() {
    let evil = || file("usr/bin/evil", "\x7fELF evil").mode(0o755);
    let found = ["IMG-018 /usr/bin/evil".to_owned()];
    assert_eq!(on_debian("RUN ./setup.sh", &[evil()]), found);
    assert_eq!(on_debian("COPY bin /usr/bin", &[evil()]), found, "a folder that every system has");
    assert_eq!(on_debian("RUN ln /usr/bin/evil-twin", &[evil()]), found);
    assert_eq!(on_debian("COPY tool /usr/bin/evil", &[evil()]), Vec::<String>::new());
    assert_eq!(on_debian("RUN x", &[file("usr/lib/x/evil.so", "\x7fELF").mode(0o644)]), ["IMG-018 /usr/lib/x/evil.so"]);
    assert_eq!(on_debian("RUN x", &[file("usr/sbin/evil", "#!/bin/sh\n").mode(0o755)]), ["IMG-018 /usr/sbin/evil"]);
    assert_eq!(on_debian("RUN x", &[file("usr/local/bin/tool", "\x7fELF").mode(0o755)]), Vec::<String>::new());
    let openssl = file("usr/bin/openssl", "\x7fELF patched").mode(0o755);
    assert_eq!(on_debian("RUN cp patched /usr/bin/openssl", &[openssl]), ["IMG-019 /usr/bin/openssl"]);
    let stripped = file("usr/bin/openssl", "\x7fELF openssl").mode(0o700);
    assert_eq!(on_debian("RUN chmod", &[stripped]), Vec::<String>::new(), "a mode is not content");
}

#[test]
fn of_a_base_only_state_and_what_packages_bring_may_differ() {
    let os = "usr/local/lib/python3.12/os.py";
    let base = || {
        let mut all = debian();
        all.extend([
            file(os, "import abc\n"),
            file("usr/local/lib/python3.12/site-packages/pip/a.py", "1"),
            file("usr/local/bin/python3.12", "\x7fELF python").mode(0o755),
            file("usr/share/applications/mimeinfo.cache", "1"),
            file("opt/app/run", "#!/bin/sh\n").mode(0o755),
            file("etc/app.conf", "1"),
        ]);
        all
    };
    let with = |pieces: &[Piece]| {
        let mut tree = FileTree::default();
        add(&mut tree, 0, &base());
        let before = tree.clone();
        add(&mut tree, 1, pieces);
        let made_by = vec!["ADD rootfs /".to_owned(), "RUN x /usr/local/lib /opt/app".to_owned()];
        let config = ImageConfig { made_by, ..ImageConfig::default() };
        shown(&system::judge(Compared { base: Some((&before, 1)), tree: &tree, config: &config }).expect("readable"))
    };
    let link = |path: &str, to: &str| file(path, to).kind(tar::EntryType::Symlink);
    assert_eq!(with(&[]), Vec::<String>::new());
    for (pieces, place) in [
        (vec![file(os, "import abc\nevil()\n")], os),
        (vec![link(os, "/opt/evil.py"), file("opt/evil.py", "evil()")], os),
        (vec![link("usr/local/lib/python3.12", "/opt/p"), file("opt/p/os.py", "evil()")], os),
        (vec![file("usr/local/bin/python3.12", "\x7fELF evil").mode(0o755)], "usr/local/bin/python3.12"),
        (vec![file("usr/share/applications/mimeinfo.cache", "\x7fELF evil")], "usr/share/applications/mimeinfo.cache"),
        (vec![file("opt/app/run", "#!/bin/sh\nevil\n").mode(0o755)], "opt/app/run"),
        (vec![link("usr/bin/openssl", "/opt/evil"), file("opt/evil", "\x7fELF evil")], "usr/bin/openssl"),
    ] {
        assert_eq!(with(&pieces), [format!("IMG-019 /{place}")]);
    }
    for path in ["usr/local/lib/python3.12/random/__init__.py", "usr/local/lib/python3.12/json.so"] {
        assert_eq!(with(&[file(path, "evil()")]), [format!("IMG-018 /{path}")], "it comes before what is installed");
    }
    for piece in [
        file("etc/app.conf", "2"),
        file("usr/share/applications/mimeinfo.cache", "2"),
        file("usr/local/lib/python3.12/site-packages/pip/a.py", "2"),
        file("usr/local/lib/python3.12/__pycache__/os.cpython-312.pyc", "x"),
        file("usr/local/bin/.wh.python3.12", ""),
        file(os, "import abc\n").mode(0o600),
    ] {
        assert_eq!(with(std::slice::from_ref(&piece)), Vec::<String>::new(), "{}", piece.path);
    }
}

#[test]
fn what_is_installed_is_what_its_package_brings() {
    let nginx = "Package: nginx\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n";
    let status = || file("var/lib/dpkg/status", &format!("{OPENSSL}{LIBC}{nginx}"));
    let list = || file("var/lib/dpkg/info/nginx.list", "/.\n/usr/bin/nginx\n/lib/mod.so\n");
    let program = |text: &str| file("usr/bin/nginx", text).mode(0o755);
    // As `md5sum` gives it.
    let sum = "06e9d8150b2bc86c896c60b0bc4f6b51";
    let sums = || file("var/lib/dpkg/info/nginx.md5sums", &format!("{sum}  usr/bin/nginx\n"));
    let install = |text: &str| vec![status(), list(), sums(), program(text)];
    assert_eq!(on_debian("RUN apt-get install nginx", &install("\x7fELF nginx")), Vec::<String>::new());
    let found = ["IMG-019 /usr/bin/nginx".to_owned()];
    assert_eq!(on_debian("RUN apt-get install nginx && x", &install("\x7fELF evil")), found, "in the same instruction");
    let link = file("usr/bin/nginx", "/opt/evil").kind(tar::EntryType::Symlink);
    let pieces = [status(), list(), sums(), link];
    assert_eq!(on_debian("RUN apt-get install nginx && x", &pieces), found, "a link in its place");
    // In a later layer, whose list is written again as it was.
    let mut tree = FileTree::default();
    add(&mut tree, 0, &debian());
    let base = tree.clone();
    add(&mut tree, 1, &[status(), list(), program("\x7fELF nginx")]);
    add(&mut tree, 2, &[list(), program("\x7fELF evil")]);
    let config = ImageConfig { made_by: vec!["x".to_owned(); 3], ..ImageConfig::default() };
    let findings = system::judge(Compared { base: Some((&base, 1)), tree: &tree, config: &config }).expect("readable");
    assert_eq!(shown(&findings), found, "a list that was touched");
}

#[test]
fn a_package_of_apks_is_what_it_was_built_as() {
    let database =
        |more: &str| file("lib/apk/db/installed", &format!("P:musl\nV:1\nA:x\nF:lib\nR:libc.so\nZ:Q1\n\n{more}"));
    let base = [database(""), file("lib/libc.so", "\x7fELF"), file("etc/os-release", "ID=alpine\nVERSION_ID=3.20\n")];
    // The SHA-1 of `tool`, in base64.
    let tool = "P:tool\nV:1\nA:x\nF:usr/bin\nR:tool\nZ:Q1GTfEwo9yYYaJdOkmamSRUpOfZLA=\n\n";
    for (text, expected) in [("tool", vec![]), ("evil", vec!["IMG-019 /usr/bin/tool".to_owned()])] {
        let mut tree = FileTree::default();
        add(&mut tree, 0, &base);
        let before = tree.clone();
        add(&mut tree, 1, &[database(tool), file("usr/bin/tool", text).mode(0o755)]);
        let config = ImageConfig::default();
        let compared = Compared { base: Some((&before, 1)), tree: &tree, config: &config };
        assert_eq!(shown(&system::judge(compared).expect("readable")), expected);
    }
}

#[test]
fn packages_without_the_image_that_they_come_from_are_told() {
    for pieces in [
        debian(),
        vec![file("lib/apk/db/installed", "P:musl\nV:1\nA:x\n\n")],
        vec![file("etc/os-release", "ID=debian\n")],
        vec![file("usr/lib/sysimage/rpm/rpmdb.sqlite", "x")],
    ] {
        let mut tree = FileTree::default();
        add(&mut tree, 0, &pieces);
        assert!(system::has_packages(&tree).expect("readable"), "{}", pieces[0].path);
    }
    let mut tree = FileTree::default();
    add(&mut tree, 0, &[file("app", "x")]);
    assert!(!system::has_packages(&tree).expect("readable"));
}

#[test]
fn a_package_that_scanners_pass_over_is_told() {
    let removed = OPENSSL.replace("install ok installed", "deinstall ok installed");
    let purged = LIBC.replace("install ok installed", "purge ok installed");
    let held = OPENSSL.replace("install ok installed", "hold ok installed");
    for (text, expected) in [
        (format!("{removed}{LIBC}"), vec!["IMG-017 openssl".to_owned()]),
        (format!("{OPENSSL}{purged}"), vec!["IMG-017 libc6".to_owned()]),
        (format!("{held}{LIBC}"), vec![]),
    ] {
        assert_eq!(on_debian("RUN x", &[file("var/lib/dpkg/status", &text)]), expected);
    }
}

#[test]
fn a_base_that_nobody_knows_is_told() {
    let mut tree = FileTree::default();
    add(&mut tree, 0, &debian());
    let config = ImageConfig::default();
    let findings = system::judge(Compared { base: None, tree: &tree, config: &config }).expect("readable");
    assert_eq!(shown(&findings), ["IMG-017 base"]);
}

#[test]
fn a_later_layer_hides_what_it_deletes() {
    let mut tree = FileTree::default();
    add(&mut tree, 0, &[file("a/b/c", "1"), file("a/d", "2"), file("e", "3")]);
    add(&mut tree, 1, &[file("a/.wh.b", ""), file("e/f", "4")]);
    add(&mut tree, 2, &[file("a/.wh..wh..opq", ""), file("a/new", "5")]);
    let paths: Vec<_> = tree.iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["a/new", "e", "e/f"]);
}
