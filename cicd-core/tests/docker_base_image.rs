//! `PinnedBase` where no registry can be reached: the whole way through Debian's packages, once.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod docker_support;

use cicd_core::docker::{BaseOrigin, docker};
use cicd_core::model::{Fact, Level};
use cicd_core::step::Step;
use cicd_core::steps::PinnedBase;
use docker_support::Sandbox;

/// A port on which nothing listens, so that the registry cannot be reached.
const RECIPE: &str = "\
upstream = \"127.0.0.1:1/debian:bookworm-slim\"
digest = \"sha256:0000000000000000000000000000000000000000000000000000000000000000\"
[debootstrap]
suite = \"bookworm\"
variant = \"minbase\"
include = [\"ca-certificates\"]
";

#[test]
fn a_base_is_made_from_packages_once_and_then_reused() {
    let mut sandbox = Sandbox::new(&[("base.toml", RECIPE)]);
    let step = PinnedBase::from_file("base.toml");
    let cx = sandbox.context("base");
    let first = step.run(&cx, ()).expect("made");
    sandbox.removes(first.value.reference());
    assert_eq!(first.value.origin(), BaseOrigin::LocalPackages);
    assert_eq!(first.findings.len(), 1);
    assert_eq!((first.findings[0].code.as_str(), first.findings[0].level), ("BASE-001", Level::Warn));
    assert!(first.facts.get("why").is_some_and(|why| why.to_string().contains("connection refused")));

    let second = step.run(&cx, ()).expect("reused");
    assert_eq!(second.value, first.value);
    assert_eq!(second.facts.get("reused"), Some(&Fact::Bool(true)));

    let script = "cat /etc/apt/sources.list; test -s /usr/share/doc/dpkg/copyright && echo licence kept; \
                  find /usr/share/man /var/lib/apt/lists /var/cache/apt -type f; find /etc -name machine-id -size +0";
    let looked = cx
        .run_ok(&docker(["run", "--rm", "--network", "none", "--", first.value.id(), "sh", "-c", script]))
        .expect("it runs");
    let lines: Vec<_> = looked.stdout_text().expect("text").lines().collect();
    let [release, updates, security, licence] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(release.ends_with(" bookworm main") && updates.ends_with(" bookworm-updates main"), "{lines:?}");
    assert!(security.contains("-security bookworm-security main"), "{lines:?}");
    assert_eq!(*licence, "licence kept");
}
