//! A base image of a few megabytes with a shell, made here: no registry is needed.

use std::fs;

use cicd_core::docker::{UnprovenBase, docker, inspect_image};

use super::docker_support::Sandbox;

impl Sandbox {
    /// Makes the image, under a name that no other test has.
    pub(crate) fn base(&mut self, name: &str) -> UnprovenBase {
        let cx = self.context("base");
        let reference = format!("cicd-core-test-{name}:{}", std::process::id());
        let tar = self.root.join("base.tar");
        fs::write(&tar, busybox()).expect("written");
        let path = "PATH=/bin";
        let import = docker(["import", "--change"]).arg(format!("ENV {path}")).arg(&tar).arg(&reference);
        cx.run_ok(&import).expect("imported");
        self.removes(&reference);
        let id = inspect_image(&cx, &reference).expect("an answer").expect("an image").id;
        // By its id as well, for a test that gives the name to another image.
        self.removes(&id);
        UnprovenBase { reference, id }
    }
}

/// A file system with a shell and what it is linked to, from this machine.
fn busybox() -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |from: &str, to: &str| {
        let mut header = tar::Header::new_gnu();
        let bytes = fs::read(from).expect("a shell, `cat` and their libraries");
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, to, bytes.as_slice()).expect("in memory");
    };
    let libraries = match std::env::consts::ARCH {
        "aarch64" => ["lib/aarch64-linux-gnu/libc.so.6", "lib/ld-linux-aarch64.so.1"],
        _ => ["lib/x86_64-linux-gnu/libc.so.6", "lib64/ld-linux-x86-64.so.2"],
    };
    add("/bin/dash", "bin/sh");
    add("/bin/cat", "bin/cat");
    for library in libraries {
        add(&format!("/{library}"), library);
    }
    tar.into_inner().expect("in memory")
}
