use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use camino::Utf8Path;
use expect_test::{Expect, expect};
use jiff::civil::{Date, date};

use super::found::Found;
use super::gate::report;
use super::judge::{Approved, judge_locked};
use super::propose::rows_for;
use super::*;
use crate::docker::Distribution;
use crate::docker::read_file_system;
use crate::formats::requirements::LockedRequirements;
use crate::formats::{ApprovedPackage, read_approved, read_python_metadata, write_approved};
use crate::model::Status;
use crate::model::by_key::counting;
use crate::policy::{Policy, evaluate};

const FILELOCK_3_8_1: &[u8] = include_bytes!("../../../tests/data/licenses/filelock-3.8.1.dist-info/METADATA");
const FILELOCK_3_8_2: &[u8] = include_bytes!("../../../tests/data/licenses/filelock-3.8.2.dist-info/METADATA");
const FILELOCK_LICENSE: &[u8] = include_bytes!("../../../tests/data/licenses/filelock-3.8.1.dist-info/LICENSE");
const FLASK: &[u8] = include_bytes!("../../../tests/data/licenses/flask-3.1.3.dist-info/METADATA");
const SITE: &str = "opt/app/site-packages";
const LIST: &str = "ci/approved.csv";
const TODAY: Date = date(2026, 11, 21);

#[derive(Default)]
struct ImageFiles(Vec<(String, tar::EntryType, Vec<u8>)>);

impl ImageFiles {
    fn file(mut self, path: impl Into<String>, content: impl AsRef<[u8]>) -> Self {
        self.0.push((path.into(), tar::EntryType::Regular, content.as_ref().to_vec()));
        self
    }

    fn link(mut self, path: &str, kind: tar::EntryType, target: &str) -> Self {
        self.0.push((path.to_owned(), kind, target.into()));
        self
    }

    fn filelock(self, version: &str) -> Self {
        let metadata = if version == "3.8.1" { FILELOCK_3_8_1 } else { FILELOCK_3_8_2 };
        let folder = format!("{SITE}/filelock-{version}.dist-info");
        self.file(format!("{folder}/METADATA"), metadata).file(format!("{folder}/LICENSE"), FILELOCK_LICENSE)
    }

    fn package(self, name: &str, version: &str, more: &str) -> Self {
        let metadata = format!("Metadata-Version: 2.4\nName: {name}\nVersion: {version}\n{more}");
        self.file(format!("{SITE}/{name}-{version}.dist-info/METADATA"), metadata)
    }

    fn archive(&self) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, kind, content) in &self.0 {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o644);
            if kind.is_file() {
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, path, content.as_slice()).expect("in memory");
            } else {
                header.set_size(0);
                builder.append_link(&mut header, path, std::str::from_utf8(content).expect("text")).expect("in memory");
            }
        }
        builder.into_inner().expect("in memory")
    }

    fn read(&self) -> Vec<Distribution> {
        read(self.archive()).expect("a whole archive")
    }
}

fn read(archive: Vec<u8>) -> std::io::Result<Vec<Distribution>> {
    let tree = read_file_system(|| Ok(Box::new(Cursor::new(archive.clone())) as Box<dyn Read>))?;
    Ok(Found::in_tree(&tree, &[], "").map_err(std::io::Error::other)?.distributions)
}

/// An image with these packages, as they were installed, and nothing else.
fn found(distributions: &[Distribution]) -> Found {
    Found { distributions: distributions.to_vec(), strays: Vec::new(), others: BTreeMap::new() }
}

/// The list that approves what is found, as a reviewer would complete the proposal.
fn approving(found: &[Distribution]) -> Vec<ApprovedPackage> {
    let mut rows = rows_for(found, &Approved::new(LIST.into(), &[], TODAY));
    for (row, line) in rows.iter_mut().zip(2..) {
        row.approval = Some(("@example/legal".to_owned(), date(2026, 11, 1)));
        row.reason = "reviewed, without conditions of use".to_owned();
        row.line = line;
        if row.spdx.is_empty() {
            row.spdx = "Unlicense".to_owned();
        }
    }
    rows
}

fn check(found: &[Distribution], rows: &[ApprovedPackage], lock: Option<&str>, expected: Expect) -> Status {
    let locked = lock.map(|text| LockedRequirements::parse(text).expect("a lock file").packages);
    let approved = Approved::new(LIST.into(), rows, TODAY);
    let outcome = report(
        "sha256:00",
        &self::found(found),
        &approved,
        locked.as_deref().map(|locked| (Utf8Path::new("req.txt"), locked)),
    );
    let mut lines = vec![outcome.facts.headline().expect("a headline").to_owned()];
    lines.extend(outcome.findings.iter().map(|finding| {
        let place = finding.location.as_ref().map(|place| format!(" @ {place}"));
        format!("{} {}{}", finding.code, finding.message, place.as_deref().unwrap_or(""))
    }));
    expected.assert_eq(&lines.join("\n"));
    evaluate(outcome.findings, &outcome.exceptions, &Policy::default(), TODAY).status
}

#[test]
fn what_was_approved_passes() {
    let found = ImageFiles::default()
        .filelock("3.8.1")
        .file(format!("{SITE}/flask-3.1.3.dist-info/METADATA"), FLASK)
        .file(format!("{SITE}/flask-3.1.3.dist-info/licenses/LICENSE.txt"), "BSD")
        .read();
    let status =
        check(&found, &approving(&found), Some("filelock==3.8.1\nflask==3.1.3\n"), expect!["2 packages, all approved"]);
    assert_eq!(status, Status::Passed);
}

#[test]
fn the_new_classifier_of_filelock_is_caught() {
    let old = ImageFiles::default().filelock("3.8.1").read();
    let new = ImageFiles::default().filelock("3.8.2").read();
    let status = check(
        &new,
        &approving(&old),
        None,
        expect![[r#"
            1 package, 1 not approved
            LIC-002 filelock 3.8.2 is not approved, 3.8.1 is: licence Public Domain (Unlicense) -> The Unlicense (Unlicense) (Unlicense); Classifier: "License :: Public Domain" -> "License :: OSI Approved :: The Unlicense (Unlicense)"; licence files unchanged @ ci/approved.csv:2"#]],
    );
    assert_eq!(status, Status::Failed);
    let triple = |bytes| read_python_metadata(bytes).expect("real").license;
    let same = diff(&triple(FILELOCK_3_8_1), &triple(FILELOCK_3_8_1));
    assert_eq!(same.to_string(), "licence unchanged: Public Domain (Unlicense)");
}

#[test]
fn every_way_of_not_being_approved_is_found() {
    let found = ImageFiles::default()
        .package("left", "1.0", "License: MIT\n")
        .package("mute", "1.0", "License: UNKNOWN\n")
        .package("odd", "1.0", "License-Expression: GPL-3.0\n")
        .package(
            "torn",
            "1.0",
            "License-Expression: GPL-3.0-only\nClassifier: License :: OSI Approved :: MIT License\n",
        )
        .package("bare", "1.0", "License-Expression: MIT\nLicense-File: LICENSE\n")
        .read();
    check(
        &found,
        &[],
        None,
        expect![[r#"
            5 packages, 5 not approved
            LIC-008 bare 1.0 names licence files that it does not ship: LICENSE
            LIC-001 bare 1.0 (MIT) is not approved: it has no row @ ci/approved.csv
            LIC-001 left 1.0 (MIT) is not approved: it has no row @ ci/approved.csv
            LIC-003 mute 1.0 says nothing of its licence @ ci/approved.csv
            LIC-001 mute 1.0 (UNKNOWN) is not approved: it has no row @ ci/approved.csv
            LIC-007 odd 1.0: "GPL-3.0" uses GPL-3.0, which SPDX has deprecated
            LIC-001 odd 1.0 (GPL-3.0) is not approved: it has no row @ ci/approved.csv
            LIC-008 torn 1.0: License-Expression GPL-3.0-only against the classifier MIT License
            LIC-001 torn 1.0 (GPL-3.0-only) is not approved: it has no row @ ci/approved.csv"#]],
    );
}

#[test]
fn a_licence_that_changed_under_the_same_version_is_found() {
    let old = ImageFiles::default().filelock("3.8.1").read();
    let folder = format!("{SITE}/filelock-3.8.1.dist-info");
    let changed = String::from_utf8_lossy(FILELOCK_3_8_1).replace("License: Unlicense", "License: GPL");
    let new = ImageFiles::default()
        .file(format!("{folder}/METADATA"), changed)
        .file(format!("{folder}/LICENSE"), "other")
        .read();
    let status = check(
        &new,
        &approving(&old),
        None,
        expect![[r#"
            1 package, 2 findings
            LIC-004 filelock 3.8.1 was approved with another licence: licence Public Domain (Unlicense) -> Public Domain (GPL); License: "Unlicense" -> "GPL" @ ci/approved.csv:2
            LIC-004 filelock 3.8.1: the licence files have the SHA-256 be49ffce8180…, approved was e59185ab5df1… @ ci/approved.csv:2"#]],
    );
    assert_eq!(status, Status::Failed);
}

#[test]
fn the_list_itself_is_judged() {
    let found = ImageFiles::default().filelock("3.8.1").read();
    let mut rows = approving(&found);
    let mut twice = rows[0].clone();
    (twice.name, twice.version, twice.line) = ("Filelock".to_owned(), "3.8.1.0".to_owned(), 3);
    let mut stale = rows[0].clone();
    (stale.name, stale.spdx, stale.line) = ("gone".to_owned(), "BSD".to_owned(), 4);
    let mut older = rows[0].clone();
    (older.version, older.line) = ("3.8.0".to_owned(), 5);
    rows.extend([twice, stale, older]);
    check(
        &found,
        &rows,
        None,
        expect![[r#"
            1 package, 4 findings
            LIC-006 Filelock 3.8.1.0 is on line 2 already @ ci/approved.csv:3
            LIC-007 gone 3.8.1: "BSD" is not an SPDX licence expression: unknown term @ ci/approved.csv:4
            LIC-005 gone 3.8.1 is approved, but not in the image @ ci/approved.csv:4
            LIC-005 filelock 3.8.0 is approved, but not in the image @ ci/approved.csv:5"#]],
    );
    let new = ImageFiles::default().filelock("3.8.2").read();
    let mut other = approving(&new);
    other[0].spdx = "MIT".to_owned();
    check(
        &new,
        &other,
        None,
        expect![[r#"
            1 package, 1 finding
            LIC-008 filelock 3.8.2: approved as MIT against the classifier The Unlicense (Unlicense) @ ci/approved.csv:2"#]],
    );
}

#[test]
fn nobody_and_the_future_approve_nothing() {
    let found = ImageFiles::default().filelock("3.8.1").read();
    let proposal = rows_for(&found, &Approved::new(LIST.into(), &[], TODAY));
    let csv = write_approved(&proposal);
    assert!(csv.ends_with(",,,\n"), "approved_by, approved_on and reason are empty: {csv}");
    assert_eq!(proposal[0].spdx, "", "Public Domain (Unlicense) leaves a doubt");
    let read_back = read_approved(LIST.into(), csv.as_bytes(), |_, _| Ok(())).expect("a list");
    let expected = expect![[r#"
        1 package, 1 not approved
        LIC-001 filelock 3.8.1 (Public Domain (Unlicense)) is not approved: its row has not been approved @ ci/approved.csv:2"#]];
    check(&found, &read_back, None, expected);
    let mut rows = approving(&found);
    rows[0].approval = Some(("@example/legal".to_owned(), date(2026, 11, 22)));
    let expected = expect![[r#"
        1 package, 1 not approved
        LIC-001 filelock 3.8.1 (Public Domain (Unlicense)) is not approved: its row has not been approved @ ci/approved.csv:2"#]];
    check(&found, &rows, None, expected);
    assert!(rows_for(&found, &Approved::new(LIST.into(), &approving(&found), TODAY)).is_empty());
}

#[test]
fn the_image_has_to_be_what_is_locked() {
    let found = ImageFiles::default().filelock("3.8.1").read();
    check(
        &found,
        &approving(&found),
        Some("filelock==3.8.2\nflask==3.1.3\ntomli==1.0 ; python_version < '3.11'\n"),
        expect![[r#"
            1 package, 3 findings
            LIC-009 filelock 3.8.1 is in the image, but is locked as 3.8.2 @ req.txt:1
            LIC-009 flask 3.1.3 is locked, but not in the image @ req.txt:2
            LIC-009 tomli 1.0 is locked, but not in the image @ req.txt:3"#]],
    );
    check(
        &found,
        &approving(&found),
        Some("filelock==3.8.1 ; python_version < '3.12'\nfilelock==3.9 ; python_version >= '3.12'\n"),
        expect![[r#"
            1 package, 1 finding
            LIC-009 filelock 3.9 is locked, but not in the image @ req.txt:2"#]],
    );
    check(
        &found,
        &approving(&found),
        Some("flask==3.1.3\n"),
        expect![[r#"
            1 package, 2 findings
            LIC-009 filelock 3.8.1 is in the image, but is not locked @ req.txt
            LIC-009 flask 3.1.3 is locked, but not in the image @ req.txt:1"#]],
    );
}

#[test]
fn a_lock_file_alone_is_compared_with_the_list() {
    let found = read(ImageFiles::default().filelock("3.8.1").archive()).expect("an archive");
    let rows = approving(&found);
    let judged = |lock: &str, today| {
        let locked = LockedRequirements::parse(lock).expect("locked").packages;
        let approved = Approved::new(LIST.into(), &rows, today);
        let findings = judge_locked("requirements.txt".into(), &locked, &approved);
        let place = |at: &crate::model::Location| at.to_string();
        findings
            .iter()
            .map(|one| format!("{} {} @ {}", one.code, one.message, one.location.as_ref().map_or(String::new(), place)))
            .collect::<Vec<_>>()
    };
    assert!(judged("filelock==3.8.1\n", TODAY).is_empty());
    for (lock, today, expected) in [
        (
            "filelock==3.8.2\n",
            TODAY,
            &["LIC-002 filelock 3.8.2 is locked, but approved is 3.8.1 @ requirements.txt:1"][..],
        ),
        (
            "filelock==3.8.1\nflask==3.1.3\n",
            TODAY,
            &["LIC-001 flask 3.1.3 is locked, but not approved @ requirements.txt:2"],
        ),
        (
            // A marker excuses nothing: it is true somewhere.
            "flask==3.1.3 ; sys_platform == 'win32'\nfilelock==3.8.2 ; python_version < '3.12'\n",
            TODAY,
            &[
                "LIC-001 flask 3.1.3 is locked, but not approved @ requirements.txt:1",
                "LIC-002 filelock 3.8.2 is locked, but approved is 3.8.1 @ requirements.txt:2",
            ],
        ),
        (
            "filelock==3.8.1\n",
            date(2020, 1, 1),
            &["LIC-001 filelock 3.8.1 is locked, but not approved @ requirements.txt:1"],
        ),
    ] {
        assert_eq!(judged(lock, today), expected);
    }
}

#[test]
fn what_cannot_be_judged_does_not_pass() {
    let found = ImageFiles::default()
        .file(format!("{SITE}/empty-1.0.dist-info/RECORD"), "")
        .file(format!("{SITE}/latin-1.0.dist-info/METADATA"), b"Name: latin\nVersion: 1.0\nAuthor: Jos\xe9\n")
        .package("Twin", "1.0", "License: MIT\n")
        .package("twin", "2.0", "License: MIT\n")
        .package("live", "1.0", "License: MIT\n")
        .file(
            format!("{SITE}/live-1.0.dist-info/direct_url.json"),
            r#"{"url":"file:///src","dir_info":{"editable":true}}"#,
        )
        .file(format!("{SITE}/older.egg-link"), "/src/older\n.")
        .link(&format!("{SITE}/lost-1.0.dist-info/METADATA"), tar::EntryType::Symlink, "/not/there")
        .read();
    check(
        &found,
        &[],
        None,
        expect![[r#"
        7 packages, 7 not approved
        LIC-010 opt/app/site-packages/Twin-1.0.dist-info: there is a second package of this name in the same folder
        LIC-010 opt/app/site-packages/empty-1.0.dist-info: it has no METADATA
        LIC-010 opt/app/site-packages/latin-1.0.dist-info: METADATA: its headers are not UTF-8 from byte 36 on
        LIC-010 opt/app/site-packages/live-1.0.dist-info: it is installed in editable mode, from a folder that is not part of it
        LIC-010 opt/app/site-packages/lost-1.0.dist-info: it is a link to something that is not in the image
        LIC-010 opt/app/site-packages/older.egg-link: it is installed in editable mode, from a folder that is not part of it
        LIC-010 opt/app/site-packages/twin-2.0.dist-info: there is a second package of this name in the same folder"#]],
    );
}

#[test]
fn links_are_followed_and_debian_packages_are_left_to_debian() {
    let debian = "/.\n/usr/lib/python3/dist-packages/six-1.16.0.egg-info\n/usr/lib/python3/dist-packages/wheel-0.38.4.dist-info/METADATA\n";
    let found = ImageFiles::default()
        .file("opt/cache/uv/archive/METADATA", "Name: linked\nVersion: 1\nLicense: MIT\n")
        .file("opt/cache/uv/other/METADATA", "Name: soft\nVersion: 1\nLicense: MIT\n")
        .link(&format!("{SITE}/linked-1.dist-info/METADATA"), tar::EntryType::Link, "opt/cache/uv/archive/METADATA")
        .link(
            &format!("{SITE}/soft-1.dist-info/METADATA"),
            tar::EntryType::Symlink,
            "../../../../opt/cache/uv/other/METADATA",
        )
        .file("usr/lib/python3/dist-packages/six-1.16.0.egg-info", "Name: six\nVersion: 1.16.0\n")
        .file("usr/lib/python3/dist-packages/wheel-0.38.4.dist-info/METADATA", "Name: wheel\nVersion: 0.38.4\n")
        .file("usr/lib/python3/dist-packages/own-1.egg-info/PKG-INFO", "Name: own\nVersion: 1\nLicense: ISC\n")
        .file("var/lib/dpkg/info/python3-six.list", debian)
        .file(
            "var/lib/dpkg/status",
            "Package: python3-six\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n",
        )
        .read();
    let names: Vec<_> = found.iter().map(|one| one.content.as_ref().map(|content| content.name.as_str())).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(["own", "linked", "soft"].iter().all(|name| names.contains(&Ok(name))), "{names:?}");
}

#[test]
fn a_broken_archive_is_an_error_and_an_empty_one_holds_nothing() {
    assert!(ImageFiles::default().file("etc/passwd", "root").read().is_empty());
    let archive = ImageFiles::default().filelock("3.8.1").archive();
    for end in (100..2560).step_by(200) {
        assert!(read(archive[..end].to_vec()).is_err(), "cut at {end} was accepted");
    }
    assert!(read(vec![0xff; 4096]).is_err());
}

/// So many approved rows and packages: each of a name of its own, or all of one name.
fn many(count: usize, one_name: bool) -> (Vec<Distribution>, Vec<ApprovedPackage>, String) {
    let found = read(ImageFiles::default().filelock("3.8.1").archive()).expect("an archive");
    let row = approving(&found).remove(0);
    let named = |number: usize| match one_name {
        true => ("filelock".to_owned(), format!("3.{number}")),
        false => (format!("p{number}"), "3.8.1".to_owned()),
    };
    let package = |number: usize| {
        let mut one = found[0].clone();
        let content = one.content.as_mut().expect("readable");
        (content.name, content.version) = named(number);
        one
    };
    let approved = |number: usize| {
        let (name, version) = named(number);
        ApprovedPackage { name, version, line: u32::try_from(number + 2).expect("small"), ..row.clone() }
    };
    let lock = (0..if one_name { 1 } else { count }).map(named).map(|(name, version)| format!("{name}=={version}\n"));
    ((0..count).map(package).collect(), (0..count).map(approved).collect(), lock.collect())
}

#[test]
fn no_licence_check_grows_faster_than_its_packages_and_rows() {
    for one_name in [false, true] {
        counting::is_linear("packages, rows and a lock file", 16, |count| {
            let (found, rows, lock) = many(count, one_name);
            let locked = LockedRequirements::parse(&lock).expect("locked").packages;
            let approved = Approved::new(LIST.into(), &rows, TODAY);
            let outcome =
                report("sha256:00", &self::found(&found), &approved, (!one_name).then_some(("r.txt".into(), &locked)));
            assert!(outcome.findings.is_empty(), "{:?}", outcome.findings.first());
            assert!(judge_locked("r.txt".into(), &locked, &approved).is_empty());
        });
    }
}
