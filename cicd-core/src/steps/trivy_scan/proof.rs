use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use camino::Utf8Path;
use pep440_rs::Version;

use crate::formats::printable::printable;
use crate::formats::requirements::{LockedPackage, LockedRequirements, normalized_name};
use crate::formats::trivy_report::{Os, TrivyReport};
use crate::step::StepError;

/// The operating systems for whose packages there are advisories. Any other is scanned without a finding and without a word.
const OS_FAMILIES: &[&str] = &[
    "alma",
    "alpine",
    "amazon",
    "azurelinux",
    "cbl-mariner",
    "centos",
    "chainguard",
    "debian",
    "fedora",
    "opensuse-leap",
    "opensuse-tumbleweed",
    "oracle",
    "photon",
    "redhat",
    "rocky",
    "slem",
    "sles",
    "ubuntu",
    "wolfi",
];

/// From this version on, a report says which Trivy wrote it.
const SELF_NAMING: semver::Version = semver::Version::new(0, 69, 3);

/// Missing packages beyond these are counted, not named.
const NAMED_MAX: usize = 5;

/// What a report must show to count as a scan of the image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) image_id: &'a str,
    pub(super) trivy: &'a semver::Version,
    pub(super) locked: Option<(&'a Utf8Path, &'a LockedRequirements)>,
}

/// Checks that Trivy looked at this image and saw what is in it. A report without findings is worth nothing otherwise: an image
/// whose package lists were deleted gives the same.
///
/// # Errors
/// What is missing from the proof.
pub(super) fn prove(report: &TrivyReport, expected: &Expected<'_>) -> Result<(), StepError> {
    same_trivy(report, expected.trivy)?;
    same_image(report, expected.image_id)?;
    supported_os(report.os.as_ref())?;
    if report.os_packages().next().is_none() {
        return Err(StepError::not_looked(
            "Trivy saw no operating-system package in the image",
            "keep the package database (such as /var/lib/dpkg) in the image",
        ));
    }
    let suppressed: usize = report.results.iter().map(|result| result.suppressed).sum();
    if suppressed > 0 {
        return Err(StepError::not_looked(
            format!("Trivy suppressed {suppressed} findings by itself, although it was given nothing to ignore"),
            "look for their `Source` in the report in the step's folder",
        ));
    }
    match expected.locked {
        Some((path, locked)) => every_locked(report, path, locked),
        None => Ok(()),
    }
}

fn same_trivy(report: &TrivyReport, trivy: &semver::Version) -> Result<(), StepError> {
    let wrote = match report.version.as_deref() {
        Some(version) if version.trim_start_matches('v') == trivy.to_string() => return Ok(()),
        None if *trivy < SELF_NAMING => return Ok(()),
        Some(version) => format!("Trivy {}", printable(version)),
        None => "a Trivy that does not tell its version".to_owned(),
    };
    Err(StepError::not_looked(
        format!("the report was written by {wrote}, but Trivy {trivy} was run"),
        "install one Trivy and remove wrappers around it",
    ))
}

fn same_image(report: &TrivyReport, image_id: &str) -> Result<(), StepError> {
    if report.artifact_type == "container_image" && report.image_id.as_deref() == Some(image_id) {
        return Ok(());
    }
    let other = report.image_id.as_deref().map_or_else(|| "no image".to_owned(), printable);
    Err(StepError::not_looked(
        format!("the report is about {other}, not about image {image_id}"),
        "use the engine's classic image store: with the containerd store, images have two ids",
    ))
}

fn supported_os(os: Option<&Os>) -> Result<(), StepError> {
    let Some(os) = os else {
        return Err(StepError::not_looked(
            "Trivy recognised no operating system in the image, so it judged none of its packages",
            "keep /etc/os-release and the package database in the image",
        ));
    };
    let name = printable(&format!("{} {}", os.family, os.name));
    if !OS_FAMILIES.contains(&os.family.as_str()) {
        return Err(StepError::not_looked(
            format!("there are no advisories for the packages of {name}"),
            "build on an operating system that Trivy has advisories for, such as Debian",
        ));
    }
    if os.end_of_life {
        return Err(StepError::not_looked(
            format!("{name} has reached its end of life: nobody publishes advisories for it any more"),
            "build on a supported release",
        ));
    }
    Ok(())
}

fn every_locked(report: &TrivyReport, path: &Utf8Path, locked: &LockedRequirements) -> Result<(), StepError> {
    let mut seen: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut versions: BTreeSet<(String, Version)> = BTreeSet::new();
    for package in report.packages_of("python-pkg") {
        let name = normalized_name(&package.name);
        versions.extend(Version::from_str(&package.version).ok().map(|version| (name.clone(), version)));
        seen.entry(name).or_default().push(&package.version);
    }
    let is_missing = |one: &&LockedPackage| !versions.contains(&(one.name.clone(), one.version.clone()));
    let missing: Vec<_> = locked.packages.iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let more = missing.len().saturating_sub(NAMED_MAX);
    let named: Vec<_> =
        missing.into_iter().take(NAMED_MAX).map(|package| unseen(package, seen.get(&package.name))).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    Err(StepError::not_looked(
        format!("Trivy did not see every package that {path} pins: {}{more}", named.join(", ")),
        "build the image from that file, and keep the packages' `*.dist-info` in it",
    ))
}

/// What is wrong with a pinned package as it was seen in the image.
fn unseen(package: &LockedPackage, versions: Option<&Vec<&str>>) -> String {
    let LockedPackage { name, version, line, .. } = package;
    match versions {
        Some(versions) => {
            let versions: Vec<_> = versions.iter().take(NAMED_MAX).map(|seen| printable(seen)).collect();
            format!("{name} {version} (line {line}; the image has {})", versions.join(", "))
        }
        None => format!("{name} {version} (line {line})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = include_str!("../../../tests/data/trivy/debian-python-0.70.0.json");
    const IMAGE: &str = "sha256:dcf6c8e3cee370de832f7cf66708007c59d5e780bdef7a539ad4b91f9cf9dcfd";

    fn outcome(report: &str, requirements: &str, version: &str) -> Result<(), String> {
        let report = TrivyReport::from_json(report.as_bytes()).expect("a report");
        let locked = LockedRequirements::parse(requirements).expect("a locked file");
        let trivy = version.parse().expect("a version");
        let path = Utf8Path::new("requirements.txt");
        let expected = Expected { image_id: IMAGE, trivy: &trivy, locked: Some((path, &locked)) };
        prove(&report, &expected).map_err(|error| error.to_string())
    }

    const LOCKED: &str = "click==8.1.7\nFlask==2.2.2\nrequests==2.30 ; python_version > '3'\nwerkzeug==2.2.2\n";

    #[test]
    fn the_recorded_scan_is_proven() {
        assert_eq!(outcome(REPORT, LOCKED, "0.70.0"), Ok(()));
    }

    #[test]
    fn what_is_not_proven_is_an_error() {
        let no_python = REPORT.replace("\"python-pkg\"", "\"node-pkg\"");
        let no_os_packages = REPORT.replace("\"os-pkgs\"", "\"lang-pkgs\"");
        let suppressed = REPORT.replacen(
            "\"Class\": \"lang-pkgs\"",
            "\"Class\": \"lang-pkgs\", \"ExperimentalModifiedFindings\": [{\"Status\": \"ignored\"}]",
            1,
        );
        let cases: &[(&str, &str, &str, &str)] = &[
            (REPORT, LOCKED, "0.76.0", "written by Trivy 0.70.0, but Trivy 0.76.0 was run"),
            (
                &REPORT.replace("\"Version\": \"0.70.0\"", "\"Version\": \"\\u001b[2J\""),
                LOCKED,
                "0.70.0",
                "written by Trivy",
            ),
            (&REPORT.replace("sha256:dcf6", "sha256:dcf7"), LOCKED, "0.70.0", "about sha256:dcf7"),
            (&REPORT.replace("container_image", "filesystem"), LOCKED, "0.70.0", "not about image"),
            (&REPORT.replace("\"ImageID\"", "\"Image\""), LOCKED, "0.70.0", "about no image"),
            (&REPORT.replace("\"OS\"", "\"Os2\""), LOCKED, "0.70.0", "recognised no operating system"),
            (&REPORT.replace("\"Family\": \"debian\"", "\"Family\": \"none\""), LOCKED, "0.70.0", "no advisories for"),
            (
                &REPORT.replace("\"Name\": \"12.11\"", "\"Name\": \"12.11\", \"EOSL\": true"),
                LOCKED,
                "0.70.0",
                "end of life",
            ),
            (&no_os_packages, LOCKED, "0.70.0", "no operating-system package"),
            (&no_python, LOCKED, "0.70.0", "click 8.1.7 (line 1), flask 2.2.2 (line 2)"),
            (&suppressed, LOCKED, "0.70.0", "suppressed 1 findings"),
            (REPORT, "jinja2==3.1.6\n", "0.70.0", "jinja2 3.1.6 (line 1)"),
            (REPORT, "jinja2==3.1.6 ; os_name == 'nt'\n", "0.70.0", "jinja2 3.1.6 (line 1)"),
            (
                REPORT,
                "flask==2.2.2 ; os_name != 'nt'\nflask==3.0 ; os_name == 'nt'\n",
                "0.70.0",
                "flask 3.0 (line 2; the image has 2.2.2)",
            ),
            (REPORT, "flask==3.0.0\n", "0.70.0", "flask 3.0.0 (line 1; the image has 2.2.2)"),
            (REPORT, "a==1\nb==1\nc==1\nd==1\ne==1\nf==1\n", "0.70.0", "e 1 (line 5) and 1 more"),
        ];
        for (report, locked, version, complaint) in cases {
            let error = outcome(report, locked, version).expect_err(complaint);
            assert!(error.contains(complaint), "{complaint}: {error}");
            assert!(!error.chars().any(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn an_old_trivy_that_does_not_name_itself_is_taken_at_its_word() {
        let nameless = REPORT.replace("\"Trivy\"", "\"Nobody\"");
        assert_eq!(outcome(&nameless, LOCKED, "0.60.0"), Ok(()));
        assert!(outcome(&nameless, LOCKED, "0.70.0").is_err());
    }

    #[test]
    fn recorded_images_that_prove_nothing() {
        let trivy = "0.70.0".parse().expect("a version");
        for (text, complaint) in [
            (include_str!("../../../tests/data/trivy/scratch-0.70.0.json"), "recognised no operating system"),
            (
                include_str!("../../../tests/data/trivy/end-of-life-0.70.0.json"),
                "debian 9.13 has reached its end of life",
            ),
        ] {
            let report = TrivyReport::from_json(text.as_bytes()).expect("a report");
            let image_id = report.image_id.clone().expect("an image");
            let error = prove(&report, &Expected { image_id: &image_id, trivy: &trivy, locked: None });
            assert!(error.expect_err(complaint).to_string().contains(complaint));
        }
    }
}
