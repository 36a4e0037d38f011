//! A Docker engine of the tests' own, to be stopped and killed at will. It lives in name spaces of its own, so that its network,
//! its mounts and its processes go with it, and no other engine of the machine notices it.

use std::fs;
use std::io::{self, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use cicd_core::docker::LABEL_RUN;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::program;

/// What it needs to start: its storage is set up anew.
const START_PATIENCE: Duration = Duration::from_secs(30);
/// What its processes need to end once they are killed.
const END_PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);

/// The first process of the name space: starts an engine for every line it reads. Bash waits for whatever ends, as a first
/// process must; a later engine would take a dead one's number for a living process.
const INIT: &str = r#"ip link set lo up
while read -r _; do
    rm -f "$1/pid"
    dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" --host "unix://$1/socket" --cgroup-parent "$2" >>"$1/log" 2>&1 &
done"#;

pub(crate) struct Engine {
    _folder: tempfile::TempDir,
    root: Utf8PathBuf,
    cgroup: String,
    outer: Child,
    has_disk: bool,
}

impl Engine {
    /// Starts one; no other one of this test has the name.
    pub(crate) fn start(name: &str) -> Self {
        Self::start_on(name, None)
    }

    /// Starts one that keeps everything on a disk of its own, a `tmpfs` with these options.
    pub(crate) fn start_on(name: &str, disk: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = Utf8Path::from_path(folder.path()).expect("UTF-8").to_owned();
        if let Some(options) = disk {
            let data = root.join("data");
            fs::create_dir(&data).expect("made");
            let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none", data.as_str()]).status();
            assert!(mount.expect("mount is installed").success(), "this needs root");
        }
        let cgroup = format!("cicd-core-faults-{name}-{}", std::process::id());
        let mut command = Command::new("unshare");
        // `--kill-child`: nothing in there outlives this test, however it ends.
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc", "--mount", "--net", "--ipc"]);
        command.args(["bash", "-c", INIT, "engine", root.as_str(), &format!("/{cgroup}")]);
        let outer = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let mut engine = Self {
            _folder: folder,
            root,
            cgroup,
            outer: outer.expect("unshare is installed"),
            has_disk: disk.is_some(),
        };
        engine.boot();
        engine
    }

    /// Starts the engine's program, and waits until it answers.
    fn boot(&mut self) {
        let input = self.outer.stdin.as_mut().expect("it was piped");
        writeln!(input, "start").expect("the name space exists: this needs root, util-linux and iproute2");
        let until = Instant::now() + START_PATIENCE;
        while !self.try_docker(&["version"]).0 {
            let log = fs::read_to_string(self.root.join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "no private engine; this needs root and dockerd. Its log:\n{log}");
            std::thread::sleep(POLL);
        }
    }

    /// Makes it answer again, whatever was done to it.
    pub(crate) fn recover(&mut self) {
        match self.daemon() {
            Some(_) => self.signal(Signal::CONT),
            None => self.boot(),
        }
    }

    /// Sends the engine's program a signal; after a deadly one, waits until it is gone.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.daemon().expect("it runs"), signal).expect("it is ours");
        while signal == Signal::KILL && self.daemon().is_some() {
            std::thread::sleep(POLL);
        }
    }

    /// The engine's program as this name space numbers it, while it lives.
    pub(crate) fn daemon(&self) -> Option<Pid> {
        let init = self.init();
        let children = fs::read_to_string(format!("/proc/{init}/task/{init}/children")).ok()?;
        let is_daemon = |pid: &&str| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.contains("(dockerd)") && !stat.contains(") Z ")
        };
        Pid::from_raw(children.split_ascii_whitespace().find(is_daemon)?.parse().ok()?)
    }

    fn init(&self) -> u32 {
        let outer = self.outer.id();
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).expect("it runs");
        children.trim().parse().expect("one child")
    }

    /// Has a program use this engine, from where its containers' ports are.
    pub(crate) fn command(&self, program: &Utf8Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.init())).arg("--").arg(program);
        command.env("DOCKER_HOST", format!("unix://{}/socket", self.root));
        command
    }

    fn try_docker(&self, args: &[&str]) -> (bool, String) {
        let mut command = Command::new("docker");
        command.args(args).env("DOCKER_HOST", format!("unix://{}/socket", self.root)).stdin(Stdio::null());
        let output = command.output().expect("docker is installed");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).trim().to_owned())
    }

    /// Whether it knows something, such as `["network", "inspect", "name"]`.
    pub(crate) fn has(&self, args: &[&str]) -> bool {
        self.try_docker(args).0
    }

    pub(crate) fn docker(&self, args: &[&str]) -> String {
        let (success, text) = self.try_docker(args);
        assert!(success, "docker {args:?}: {text}");
        text
    }

    /// An image with the small server that runs it with these words; gives its id.
    pub(crate) fn image(&self, name: &str, words: &str) -> String {
        let tar = self.root.join("image.tar");
        if !tar.exists() {
            fs::write(&tar, file_system()).expect("written");
        }
        let command = format!("CMD [\"/hello_server\", \"0.0.0.0:8080\"{words}]");
        self.docker(&["import", "--change", &command, "--change", "ENV PATH=/bin", tar.as_str(), name])
    }

    /// How many containers, networks and volumes carry the label of a run.
    pub(crate) fn labelled(&self) -> usize {
        let filter = format!("label={LABEL_RUN}");
        let lists = [&["ps", "--all"][..], &["network", "ls"], &["volume", "ls"], &["image", "ls"]];
        let lists = lists.map(|list| self.docker(&[list, &["--quiet", "--filter", &filter]].concat()));
        lists.iter().map(|list| list.lines().count()).sum()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The name space ends with its outermost process, and everything in it.
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        if self.has_disk {
            // What its processes still hold goes with them.
            let _ = Command::new("umount").args(["--lazy", self.root.join("data").as_str()]).status();
        }
        // Cgroups belong to no name space here; those of the dead containers are empty. Version 1 has one tree a controller.
        // Their processes are killed with the name space, but may still be on their way out.
        let until = Instant::now() + END_PATIENCE;
        while cgroups(&self.cgroup).into_iter().filter(|folder| remove_cgroup(folder).is_err()).count() > 0
            && Instant::now() < until
        {
            std::thread::sleep(POLL);
        }
    }
}

/// The folders of a cgroup, one for each controller that has it.
fn cgroups(name: &str) -> Vec<Utf8PathBuf> {
    let root = Utf8Path::new("/sys/fs/cgroup");
    let controllers = root.read_dir_utf8().into_iter().flatten().flatten().map(|entry| entry.path().join(name));
    controllers.chain([root.join(name)]).filter(|folder| folder.is_dir()).collect()
}

fn remove_cgroup(folder: &Utf8Path) -> io::Result<()> {
    for inner in folder.read_dir_utf8()?.flatten().filter(|entry| entry.path().is_dir()) {
        remove_cgroup(inner.path())?;
    }
    fs::remove_dir(folder)
}

/// The server, a shell to build with, and what makes Trivy take it for Debian.
fn file_system() -> Vec<u8> {
    let libraries = match std::env::consts::ARCH {
        "aarch64" => {
            ["lib/aarch64-linux-gnu/libc.so.6", "lib/aarch64-linux-gnu/libgcc_s.so.1", "lib/ld-linux-aarch64.so.1"]
        }
        _ => ["lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libgcc_s.so.1", "lib64/ld-linux-x86-64.so.2"],
    };
    let server = program("hello_server");
    let mut files: Vec<(&str, Vec<u8>)> = vec![("hello_server", fs::read(&server).expect("an example"))];
    for (to, from) in [("bin/sh", "/bin/dash"), ("bin/sleep", "/bin/sleep"), ("bin/dd", "/bin/dd")] {
        files.push((to, fs::read(from).expect("a Debian machine")));
    }
    files.extend(libraries.map(|path| (path, fs::read(format!("/{path}")).expect("a library"))));
    let release = "ID=debian\nVERSION_ID=\"12\"\nNAME=\"Debian GNU/Linux\"\n";
    let package = "Package: base-files\nStatus: install ok installed\nMaintainer: Nobody <nobody@example.org>\nArchitecture: amd64\nVersion: 12.4\nDescription: files\n\n";
    let texts = [("etc/debian_version", "12.4\n"), ("etc/os-release", release), ("var/lib/dpkg/status", package)];
    files.extend(texts.map(|(path, text)| (path, text.into())));
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, bytes.as_slice()).expect("in memory");
    }
    tar.into_inner().expect("in memory")
}
