//! Setup on made-up machines: its own `curl`, archives and manifests, nothing from outside.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::model::ExitStatus;
use cicd_core::process::{Cancel, CancelReason};
use cicd_core::setup::{self, Consent, Options, SetupError, Sha256, Source};
use cicd_core::step::Workspace;

const URL: &str = "https://example.org/tool-1.2.3.tar.gz";
const FALLBACK: &str = "fallback = { name = \"tool-wheel\", version = \"1.2.3\", sha256.linux-x86_64 = [\"0000000000000000000000000000000000000000000000000000000000000000\"], sha256.linux-aarch64 = [\"0000000000000000000000000000000000000000000000000000000000000000\"] }";

/// A machine whose `curl` delivers `archive`, or cannot reach anybody.
struct Machine {
    root: Utf8PathBuf,
    variables: BTreeMap<OsString, OsString>,
    _folder: tempfile::TempDir,
}

impl Machine {
    fn new(archive: Option<&[u8]>) -> Self {
        let folder = tempfile::Builder::new().prefix("a machine ").tempdir().expect("a temporary folder");
        let root = Utf8Path::from_path(folder.path()).expect("text").to_owned();
        for dir in ["bin", "work space/ci"] {
            fs::create_dir_all(root.join(dir)).expect("created");
        }
        let curl = match archive {
            Some(archive) => {
                fs::write(root.join("served"), archive).expect("written");
                // The file is named after `--output`.
                format!(
                    "#!/bin/sh\nwhile [ \"$1\" != --output ]; do shift; done\necho x >> '{root}/downloads'\ncp '{root}/served' \"$2\"\n"
                )
            }
            None => "#!/bin/sh\necho 'curl: (6) Could not resolve host: example.org' >&2\nexit 6\n".to_owned(),
        };
        fs::write(root.join("bin/curl"), curl).expect("written");
        fs::set_permissions(root.join("bin/curl"), fs::Permissions::from_mode(0o755)).expect("changed");
        let path = format!("{root}/bin:/usr/bin:/bin");
        let variables = BTreeMap::from([
            ("PATH".into(), path.into()),
            ("CICD_TOOLS_DIR".into(), root.join("tools").to_string().into()),
        ]);
        Self { root, variables, _folder: folder }
    }

    fn manifest(self, text: &str) -> Self {
        fs::write(self.root.join("work space/ci/tools.toml"), text).expect("written");
        self
    }

    fn workspace(&self) -> Workspace {
        Workspace::at(self.root.join("work space"))
    }

    fn set_up(&self, consent: Consent<'_>, cancel: &Cancel) -> (Result<ExitStatus, SetupError>, String) {
        let workspace = self.workspace();
        let options = Options { workspace: &workspace, variables: &self.variables, consent, cancel };
        let mut out = Vec::new();
        let result = setup::run(options, &mut out);
        (result, String::from_utf8_lossy(&out).into_owned())
    }

    fn install(&self) -> (Result<ExitStatus, SetupError>, String) {
        self.set_up(Consent::Given, &Cancel::new().expect("descriptors"))
    }

    fn folders(&self) -> Vec<Utf8PathBuf> {
        setup::tool_folders(&self.variables, &self.workspace()).expect("folders")
    }

    fn downloads(&self) -> usize {
        fs::read_to_string(self.root.join("downloads")).map_or(0, |text| text.lines().count())
    }
}

fn release(sha256: &str, fallback: &str) -> String {
    let archive = format!("{{ url = \"{URL}\", sha256 = \"{sha256}\" }}");
    format!(
        "[python]\nversion = \"3.11\"\n[[release]]\nprogram = \"tool\"\nversion = \"1.2.3\"\narchive.linux-x86_64 = {archive}\narchive.linux-aarch64 = {archive}\n{fallback}\n"
    )
}

/// A `.tar.gz` of files; a target makes a symbolic link.
fn archive(files: &[(&str, &str)], links: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        // Set as bytes: the library refuses to write `..` by itself.
        header.as_gnu_mut().expect("gnu").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        tar.append(&header, content.as_bytes()).expect("appended");
    }
    for (name, target) in links {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, name, target).expect("appended");
    }
    tar.into_inner().and_then(flate2::write::GzEncoder::finish).expect("finished")
}

fn good() -> Vec<u8> {
    archive(&[("LICENSE", "free"), ("tool", "#!/bin/sh\necho tool 1.2.3\n")], &[])
}

#[test]
fn a_release_is_installed_once_with_its_record() {
    let bytes = good();
    let machine = Machine::new(Some(&bytes)).manifest(&release(Sha256::of(&bytes).as_str(), ""));
    let (result, said) = machine.install();
    assert_eq!(result.expect("installed"), ExitStatus::Green, "{said}");
    assert!(said.contains("$ curl ") && said.contains("to undo it:\n  rm --recursive '"), "{said}");
    let [bin] = &machine.folders()[..] else { panic!("one folder: {:?}", machine.folders()) };
    assert!(bin.join("tool").exists() && !bin.join("LICENSE").exists());
    let records = setup::provenance(&machine.variables, &machine.workspace()).expect("records");
    let Source::Release { url, sha256 } = &records[0].tools[0].source else { panic!("a release: {records:?}") };
    assert_eq!((url.as_str(), sha256), (URL, &Sha256::of(&bytes)));

    let (again, said) = machine.install();
    assert_eq!(again.expect("nothing to do"), ExitStatus::Green);
    assert!(said.starts_with("nothing to do"), "{said}");
    assert_eq!(machine.downloads(), 1);

    fs::write(bin.join("tool"), "#!/bin/sh\necho tool 1.2.4\n").expect("written");
    assert_eq!(machine.install().0.expect("repaired"), ExitStatus::Green);
    assert_eq!(machine.downloads(), 2);
}

#[test]
fn a_download_with_another_sum_is_refused_and_nothing_is_taken_instead() {
    let bytes = good();
    let truncated = &bytes[..bytes.len() - 1];
    let machine = Machine::new(Some(truncated)).manifest(&release(Sha256::of(&bytes).as_str(), FALLBACK));
    let (result, said) = machine.install();
    let error = result.expect_err("refused");
    assert!(matches!(error, SetupError::Checksum { .. }), "{error}");
    assert_eq!(error.exit_status(), ExitStatus::Error);
    assert!(!said.contains("tool-wheel"), "{said}");
    assert!(machine.folders().is_empty());
    let left = walk(&machine.root.join("tools"));
    assert!(!left.iter().any(|path| path.ends_with("tool") || path.ends_with("archive.tar.gz")), "{left:?}");
}

#[test]
fn archives_without_the_program_or_with_another_version_are_refused() {
    for (bytes, problem) in [
        (archive(&[("LICENSE", "free")], &[]), "holds no file tool"),
        (archive(&[("../tool", "outside"), ("folder/tool", "deeper")], &[]), "holds no file tool"),
        (archive(&[], &[("tool", "/bin/sh")]), "holds no file tool"),
        (b"not an archive".to_vec(), "cannot be unpacked"),
        (good()[..60].to_vec(), "cannot be unpacked"),
        (archive(&[("tool", "#!/bin/sh\necho tool 9.9.9\n")], &[]), "is version 9.9.9"),
        (archive(&[("tool", "\u{7f}ELF nonsense")], &[]), "cannot be used"),
    ] {
        let machine = Machine::new(Some(&bytes)).manifest(&release(Sha256::of(&bytes).as_str(), ""));
        let (result, said) = machine.install();
        let error = result.expect_err("refused").to_string();
        assert!(error.contains(problem), "{error}\n{said}");
        assert!(machine.folders().is_empty());
    }
}

#[test]
fn an_unreachable_host_without_a_fallback_is_an_error() {
    let machine = Machine::new(None).manifest(&release(Sha256::of(b"").as_str(), ""));
    let error = machine.install().0.expect_err("unreachable");
    assert!(error.to_string().contains("Could not resolve host"), "{error}");
    assert!(machine.folders().is_empty());
}

#[test]
fn without_consent_nothing_is_touched() {
    let machine = Machine::new(None).manifest(&release(Sha256::of(b"").as_str(), ""));
    let cancel = Cancel::new().expect("descriptors");
    for (consent, said) in [
        (Consent::Impossible, "pass --yes, or set CI=true"),
        (Consent::Ask(Box::new("no\n".as_bytes())), "nothing was changed"),
    ] {
        let (result, shown) = machine.set_up(consent, &cancel);
        assert_eq!(result.expect("refused"), ExitStatus::Usage);
        assert!(shown.contains(said) && shown.contains("curl --fail") && !shown.contains("$ curl"), "{shown}");
        assert!(!machine.root.join("tools").exists());
    }
}

#[test]
fn an_interrupt_ends_setup() {
    let bytes = good();
    let machine = Machine::new(Some(&bytes)).manifest(&release(Sha256::of(&bytes).as_str(), FALLBACK));
    let cancel = Cancel::new().expect("descriptors");
    cancel.cancel(CancelReason::Signal(2));
    let error = machine.set_up(Consent::Given, &cancel).0.expect_err("interrupted");
    assert_eq!(error.exit_status(), ExitStatus::Interrupted(2));
    assert!(machine.folders().is_empty());
}

#[test]
fn a_tools_folder_that_cannot_be_written_is_named() {
    let bytes = good();
    let mut machine = Machine::new(Some(&bytes)).manifest(&release(Sha256::of(&bytes).as_str(), ""));
    let below_a_file = machine.root.join("bin/curl/tools");
    machine.variables.insert("CICD_TOOLS_DIR".into(), below_a_file.to_string().into());
    let error = machine.install().0.expect_err("cannot be written").to_string();
    assert!(error.contains("CICD_TOOLS_DIR") && error.contains(below_a_file.as_str()), "{error}");
}

#[test]
fn what_an_interrupted_setup_left_is_not_used_and_is_replaced() {
    let bytes = good();
    let machine = Machine::new(Some(&bytes)).manifest(&release(Sha256::of(&bytes).as_str(), ""));
    machine.install().0.expect("installed");
    let folder = machine.folders()[0].parent().expect("a folder").to_owned();
    fs::remove_file(folder.join("provenance.json")).expect("removed");
    assert!(machine.folders().is_empty());
    machine.install().0.expect("installed again");
    assert_eq!(machine.folders().len(), 1);

    // A record that cannot be read is told by those who read it, and repaired by setup.
    fs::write(folder.join("provenance.json"), "{").expect("written");
    let error = setup::tool_folders(&machine.variables, &machine.workspace()).expect_err("unreadable");
    assert!(error.to_string().contains("provenance.json"), "{error}");
    machine.install().0.expect("repaired");
    assert_eq!(machine.folders().len(), 1);
}

#[test]
fn two_setups_at_once_install_once() {
    let bytes = good();
    let machine = Machine::new(Some(&bytes)).manifest(&release(Sha256::of(&bytes).as_str(), ""));
    std::thread::scope(|scope| {
        for setup in [scope.spawn(|| machine.install()), scope.spawn(|| machine.install())] {
            let (result, said) = setup.join().expect("ended");
            assert_eq!(result.expect("installed"), ExitStatus::Green, "{said}");
        }
    });
    assert_eq!(machine.downloads(), 1);
}

#[test]
fn a_manifest_that_cannot_be_used_is_a_usage_error() {
    let missing = Machine::new(None);
    assert!(missing.folders().is_empty(), "a repository without a manifest has no tools of its own");
    assert_eq!(missing.install().0.expect_err("missing").exit_status(), ExitStatus::Usage);
    let broken = Machine::new(None).manifest("[python]\nversoin = '3.11'\n");
    let error = broken.install().0.expect_err("refused");
    assert_eq!(error.exit_status(), ExitStatus::Usage);
    assert!(error.to_string().contains("did you mean `version`?"), "{error}");
}

fn walk(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut files = Vec::new();
    for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            files.extend(walk(entry.path()));
        } else {
            files.push(entry.path().to_owned());
        }
    }
    files
}
