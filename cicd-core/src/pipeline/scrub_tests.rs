use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use super::*;
use crate::process::{CancelReason, Secret};

const SECRET: &str = "CANARY-0123456789";

struct Place {
    _dir: tempfile::TempDir,
    outside: camino::Utf8PathBuf,
    folder: camino::Utf8PathBuf,
    redactor: Redactor,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let outside = Utf8Path::from_path(dir.path()).expect("UTF-8").to_owned();
        let folder = outside.join("step");
        fs::create_dir(&folder).expect("made");
        let redactor = Redactor::new();
        redactor.learn(&Secret::new("canary", SECRET).expect("long enough"));
        Self { _dir: dir, outside, folder, redactor }
    }

    fn scrub(&self) -> io::Result<Removed> {
        scrub(&self.folder, &self.redactor, &Cancel::new().expect("descriptors"))
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.folder.join(name), text).expect("written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.join(name)).expect("read")
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

#[test]
fn a_secret_across_two_pieces_is_overwritten_and_nothing_else() {
    let place = Place::new();
    fs::create_dir(place.folder.join("deep")).expect("made");
    let text = [&"x".repeat(PIECE_BYTES - 5), SECRET, "y"].concat();
    place.write("deep/report", &text);
    assert_eq!(place.scrub().expect("scrubbed"), Removed::default());
    assert_eq!(place.read("deep/report"), text.replace(SECRET, "*****************"));
}

#[test]
fn nothing_is_written_into_a_file_that_has_another_name() {
    let place = Place::new();
    let cache = place.outside.join("cache.py");
    fs::write(&cache, format!("key = '{SECRET}'\n")).expect("written");
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o4755)).expect("set");
    fs::hard_link(&cache, place.folder.join("module.py")).expect("linked");
    fs::hard_link(&cache, place.folder.join("again.py")).expect("linked");
    symlink(&cache, place.folder.join("link.py")).expect("linked");
    symlink(&place.outside, place.folder.join("everything")).expect("linked");
    fs::write(place.outside.join("clean"), "clean").expect("written");
    fs::hard_link(place.outside.join("clean"), place.folder.join("clean")).expect("linked");
    let inode = |path: &Utf8Path| fs::metadata(path).expect("there").ino();
    place.scrub().expect("scrubbed");
    assert_eq!(fs::read_to_string(&cache).expect("there"), format!("key = '{SECRET}'\n"));
    for name in ["module.py", "again.py"] {
        assert_eq!(place.read(name), format!("key = '{}'\n", "*".repeat(SECRET.len())));
        let mode = fs::metadata(place.folder.join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "the copy runs as nobody else");
    }
    assert_eq!(inode(&place.outside.join("clean")), inode(&place.folder.join("clean")), "what is clean is left alone");
    assert_eq!(
        place.names(),
        ["again.py", "clean", "everything", "link.py", "module.py"],
        "nothing unfinished is left"
    );
}

#[test]
fn what_cannot_be_searched_is_removed_and_said_so() {
    let place = Place::new();
    let pipe = place.folder.join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, pipe.as_str(), rustix::fs::FileType::Fifo, mode, 0).expect("a pipe");
    let _socket = std::os::unix::net::UnixListener::bind(place.folder.join("socket")).expect("bound");
    let sparse = File::create(place.folder.join("sparse")).expect("created");
    sparse.set_len(20 << 30).expect("made of nothing");
    let mut deep = place.folder.join("deep");
    for _ in 0..DEPTH_MAX + 9 {
        deep.push("d");
    }
    fs::create_dir_all(&deep).expect("made");
    fs::write(deep.join("file"), SECRET).expect("written");
    symlink(SECRET, place.folder.join("link")).expect("linked");
    place.write("kept", "kept");
    let told = place.scrub().expect("scrubbed").told(&place.redactor).expect("something was removed");
    assert_eq!(place.names(), ["deep", "kept"]);
    assert!(!deep.exists());
    for name in
        ["pipe (a named pipe", "socket (", "sparse (too large", "d (nested too deeply)", "link (a link to a secret)"]
    {
        assert!(told.contains(name), "{told}");
    }
}

#[test]
fn names_that_show_a_secret_are_changed() {
    let place = Place::new();
    let encoded = format!("{}.txt", SECRET.replace('-', "%2D"));
    fs::create_dir_all(place.folder.join(SECRET).join("inner")).expect("made");
    place.write(&format!("{SECRET}/inner/{encoded}"), SECRET);
    fs::write(place.folder.as_std_path().join(OsStr::from_bytes(&[b"\xff", SECRET.as_bytes()].concat())), "x")
        .expect("written");
    place.scrub().expect("scrubbed");
    assert_eq!(place.names(), ["redacted-1", "redacted-2"]);
    let file = place.folder.join("redacted-1/inner/redacted-1");
    let other = place.folder.join("redacted-2/inner/redacted-1");
    let text = fs::read_to_string(file).or_else(|_| fs::read_to_string(other)).expect("one of them");
    assert_eq!(text, "*".repeat(SECRET.len()));
}

#[test]
fn permissions_keep_nothing_from_being_searched() {
    let place = Place::new();
    fs::create_dir(place.folder.join("closed")).expect("made");
    place.write("closed/file", SECRET);
    for (name, mode) in [("closed/file", 0), ("closed", 0)] {
        fs::set_permissions(place.folder.join(name), fs::Permissions::from_mode(mode)).expect("set");
    }
    place.scrub().expect("scrubbed");
    assert_eq!(place.read("closed/file"), "*".repeat(SECRET.len()));
}

#[test]
fn a_run_that_is_told_to_stop_removes_what_it_has_no_time_for() {
    let place = Place::new();
    place.write("file", SECRET);
    let cancel = Cancel::new().expect("descriptors");
    cancel.cancel(CancelReason::Signal(2));
    let mut late = Scrubbing {
        redactor: &place.redactor,
        cancel: &cancel,
        bytes: 0,
        until: Some(Instant::now()),
        removed: Removed::default(),
    };
    late.folder(&Folder::open(&place.folder).expect("opened"), 0).expect("scrubbed");
    assert_eq!(place.names(), Vec::<String>::new());
    assert_eq!(late.removed.named, ["file (the run was told to stop)"]);
}

#[test]
fn a_link_in_place_of_the_folder_is_not_followed() {
    let place = Place::new();
    fs::remove_dir(&place.folder).expect("removed");
    fs::create_dir(place.outside.join("home")).expect("made");
    fs::write(place.outside.join("home/file"), SECRET).expect("written");
    symlink(place.outside.join("home"), &place.folder).expect("linked");
    place.scrub().expect("scrubbed");
    assert_eq!(fs::read_to_string(place.outside.join("home/file")).expect("there"), SECRET);
}
