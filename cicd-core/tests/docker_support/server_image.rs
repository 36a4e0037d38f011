//! A server to look at, as an image.

use std::fs;

use camino::Utf8PathBuf;

/// A tar of one of the examples and of what it is linked to, for `docker import`. No registry is needed.
pub(crate) fn file_system(example: &str) -> Vec<u8> {
    let test = Utf8PathBuf::from_path_buf(std::env::current_exe().expect("this test's own path")).expect("UTF-8");
    let server = test.ancestors().nth(2).expect("target/debug").join("examples").join(example);
    assert!(server.exists(), "{server} is missing: `cargo build --examples` makes it, as a plain `cargo test` does");
    let libraries = match std::env::consts::ARCH {
        "aarch64" => {
            ["lib/aarch64-linux-gnu/libc.so.6", "lib/aarch64-linux-gnu/libgcc_s.so.1", "lib/ld-linux-aarch64.so.1"]
        }
        _ => ["lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libgcc_s.so.1", "lib64/ld-linux-x86-64.so.2"],
    };
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |from: &str, to: &str| {
        let bytes = fs::read(from).unwrap_or_else(|error| panic!("{from}: {error}"));
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, to, bytes.as_slice()).expect("in memory");
    };
    add(server.as_str(), example);
    for library in libraries {
        add(&format!("/{library}"), library);
    }
    tar.into_inner().expect("in memory")
}
