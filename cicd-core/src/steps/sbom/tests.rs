use serde_json::Value;

use super::cyclonedx::cyclonedx;
use super::document::{Document, Identity, License};
use super::packages::{Expected, Package, complete};
use super::spdx::spdx_document;
use crate::docker::ImageUnderTest;

const CYCLONEDX: &str = include_str!("../../../tests/data/sbom/example.cdx.json");
const SPDX: &str = include_str!("../../../tests/data/sbom/example.spdx.json");
const IMAGE: &str = "sha256:adcc8bdb1a0c22f870f4bb6c390943114b17b77841e067b56385ca25de2f25c5";

type Read = fn(&[u8], Identity<'_>) -> Result<Document, String>;

fn read(read: Read, text: &str) -> Result<Document, String> {
    let image = ImageUnderTest { id: IMAGE.to_owned(), name: "example:c0ffee".to_owned(), commit: "c0ffee".to_owned() };
    read(text.as_bytes(), Identity { image: &image, made: "2026-11-20T10:11:12Z".parse().expect("a time") })
}

fn package(purl: &str) -> Package {
    Package::of_purl(purl).expect("a package URL")
}

#[test]
fn both_documents_list_every_package() {
    for (reader, text) in [(cyclonedx as Read, CYCLONEDX), (spdx_document, SPDX)] {
        let listed = read(reader, text).expect("a document").listed;
        let shown: Vec<_> = listed.iter().map(|(package, license)| format!("{package} {license:?}")).collect();
        assert_eq!(
            shown,
            [
                "libc6 2.36-9+deb12u10 (amd64) Told",
                "login 1:4.13+dfsg1-1+deb12u1 (amd64) Missing",
                "filelock 3.8.2 (Python) Told",
                "flask 3.1.3 (Python) Told",
                "plain-words 1!2.0+local (Python) Told",
            ]
        );
        let all = Expected { packages: listed.keys().cloned().collect(), kinds: ["deb", "pypi"].into() };
        complete("test", &all, &listed).expect("complete");
        let more = Expected { kinds: ["deb", "npm", "pypi"].into(), ..all.clone() };
        let error = complete("test", &more, &listed).expect_err("npm").to_string();
        assert!(error.contains("the test document lists no npm package, and the image holds some"), "{error}");
        let mut listed = listed;
        listed.retain(|package, _| package.to_string() != "flask 3.1.3 (Python)");
        let error = complete("test", &all, &listed).expect_err("not");
        assert!(error.to_string().contains("the test document lacks packages of the image: flask 3.1.3"), "{error}");
    }
}

#[test]
fn another_run_gives_the_same_document() {
    let again = CYCLONEDX
        .replace("\"serialNumber\": \"urn:uuid:", "\"serialNumber\": \"urn:uuid:00000000-")
        .replace("\"timestamp\": \"2026-11", "\"timestamp\": \"2027-12")
        .replace("\"RepoTag\"", "\"RepoTags\"")
        .replace("\"value\": \"example:1\"", "\"value\": \"another:2\"");
    let json: Value = serde_json::from_str(CYCLONEDX).expect("JSON");
    let refs = [json.pointer("/metadata/component/bom-ref"), json.pointer("/components/0/bom-ref")];
    let again = refs.into_iter().fold(again, |text, old| {
        let old = old.and_then(Value::as_str).expect("a name");
        text.replace(old, &old.chars().rev().collect::<String>())
    });
    assert_ne!(CYCLONEDX, again);
    let [one, other] = [CYCLONEDX, &again].map(|text| read(cyclonedx, text).expect("a document").json.to_string());
    assert_eq!(one, other);
    assert!(one.contains("\"timestamp\":\"2026-11-20T10:11:12Z\"") && one.contains("operating-system:debian@12.11"));

    let mut json: Value = serde_json::from_str(&SPDX.replace("\"2026-11", "\"2027-12")).expect("JSON");
    json["documentNamespace"] = "http://example.org/else".into();
    for key in ["packages", "files", "relationships", "hasExtractedLicensingInfos"] {
        json[key].as_array_mut().expect("a list").reverse();
    }
    let [one, other] =
        [SPDX, &json.to_string()].map(|text| read(spdx_document, text).expect("a document").json.to_string());
    assert_eq!(one, other);
    assert!(one.contains("\"created\":\"2026-11-20T10:11:12Z\"") && !one.contains("2026-11-21"));
}

#[test]
fn another_image_or_time_gives_another_serial_number() {
    let image =
        |id: &str| ImageUnderTest { id: id.to_owned(), name: "example:c0ffee".to_owned(), commit: "c0ffee".to_owned() };
    let serial = |id: &str, made: &str| {
        let (image, made) = (image(id), made.parse().expect("a time"));
        Identity { image: &image, made }.uuid("spdx")
    };
    let first = serial(IMAGE, "2026-11-20T10:11:12Z");
    let digits: Vec<_> = first.split('-').map(str::len).collect();
    assert_eq!(digits, [8, 4, 4, 4, 12]);
    assert!(first.as_bytes()[14] == b'8' && b"89ab".contains(&first.as_bytes()[19]), "{first}");
    assert_ne!(first, serial(&IMAGE.replace("adcc", "adcd"), "2026-11-20T10:11:12Z"));
    assert_ne!(first, serial(IMAGE, "2026-11-20T10:11:13Z"));
}

#[test]
fn licences_are_spelt_as_spdx_spells_them() {
    let one = |name: &str| {
        let text = CYCLONEDX.replace("\"id\": \"Unlicense\"", &format!("\"name\": \"{name}\""));
        let json = read(cyclonedx, &text).expect("a document").json;
        let all = json["components"].as_array().expect("a list");
        let filelock = all.iter().find(|one| one["name"] == "filelock").expect("filelock");
        filelock["licenses"].to_string()
    };
    assert_eq!(one("MIT"), r#"[{"license":{"id":"MIT"}}]"#);
    assert_eq!(one("MIT or ISC"), r#"[{"expression":"MIT OR ISC"}]"#);
    assert_eq!(one("Public Domain"), r#"[{"license":{"name":"Public Domain"}}]"#);

    let odd = SPDX.replace("\"Unlicense\"", "\"as is, more or less\"");
    let json = read(spdx_document, &odd).expect("a document").json.to_string();
    assert!(
        json.contains("\"extractedText\":\"as is, more or less\"") && !json.contains("\"licenseDeclared\":\"as is")
    );

    let none = read(cyclonedx, &CYCLONEDX.replace("\"licenses\"", "\"licences\"")).expect("a document").listed;
    assert!(none.values().all(|license| *license == License::Missing));
}

#[test]
fn what_is_not_a_document_about_this_image_is_refused() {
    let component = "\"bom-ref\": \"pkg:pypi/flask@3.1.3\"";
    let cases: &[(Read, &str, &str, &str)] = &[
        (cyclonedx, "\"bomFormat\": \"CycloneDX\"", "\"bomFormat\": \"SPDX\"", "its bomFormat is \"SPDX\""),
        (cyclonedx, "\"specVersion\": \"1.6\"", "\"specVersion\": \"2.0\"", "its specVersion is \"2.0\""),
        (cyclonedx, "\"value\": \"sha256:adcc", "\"value\": \"sha256:beef", "it is about image \"sha256:beef"),
        (cyclonedx, "trivy:ImageID", "trivy:Image", "does not say which image"),
        (cyclonedx, "\"type\": \"container\"", "\"type\": \"file\"", "its type is \"file\""),
        (cyclonedx, component, "\"ref\": \"x\"", "has no bom-ref"),
        (cyclonedx, component, "\"bom-ref\": \"pkg:pypi/filelock@3.8.2\"", "two components have the bom-ref"),
        (cyclonedx, "\"ref\": \"pkg:pypi/flask@3.1.3\"", "\"ref\": \"x\"", "names \"x\", which is no component"),
        (cyclonedx, "\"version\": \"3.1.3\"", "\"version\": \"\"", "\"Flask\" has no version"),
        (cyclonedx, "\"name\": \"Flask\"", "\"name\": 3", "has no name"),
        (spdx_document, "\"spdxVersion\": \"SPDX-2.3\"", "\"spdxVersion\": \"SPDX-3.0\"", "its spdxVersion is"),
        (spdx_document, "\"dataLicense\": \"CC0-1.0\"", "\"dataLicense\": \"MIT\"", "its dataLicense is"),
        (spdx_document, "ImageID: sha256:adcc", "ImageID: sha256:beef", "it is not about image sha256:adcc"),
        (spdx_document, "\"CONTAINER\"", "\"FILE\"", "no package is a container"),
        (spdx_document, "\"DESCRIBES\"", "\"CONTAINS\"", "does not say that it describes the image"),
        (
            spdx_document,
            "SPDXRef-Package-f9e9c2b7f0e6df07\",\n      \"v",
            "SPDXRef-Package-14ee582fb54feeab\",\n      \"v",
            "two entries have",
        ),
        (
            spdx_document,
            "SPDXRef-Package-f9e9c2b7f0e6df07\",\n      \"v",
            "Flask!\",\n      \"v",
            "is not an SPDX identifier",
        ),
        (
            spdx_document,
            "\"licenseId\": \"LicenseRef-5043101562052462\"",
            "\"licenseId\": \"LicenseRef-1\"",
            "its text is not there",
        ),
        (
            spdx_document,
            "\"relatedSpdxElement\": \"SPDXRef-File-65",
            "\"relatedSpdxElement\": \"SPDXRef-File-66",
            "which is not there",
        ),
    ];
    for (reader, from, to, complaint) in cases {
        let text = if std::ptr::fn_addr_eq(*reader, cyclonedx as Read) { CYCLONEDX } else { SPDX };
        assert!(text.contains(from), "{from}");
        let error = read(*reader, &text.replace(from, to)).expect_err(complaint);
        assert!(error.contains(complaint), "{complaint}: {error}");
    }
    for text in ["", "null", "[]", "{}", "{\"bomFormat\": \"CycloneDX\"}"] {
        assert!(read(cyclonedx, text).is_err() && read(spdx_document, text).is_err(), "{text}");
    }
    for (reader, text) in [(cyclonedx as Read, CYCLONEDX), (spdx_document, SPDX)] {
        let whole = text.trim_end();
        for end in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
            assert!(read(reader, &whole[..end]).is_err(), "{end} bytes were accepted");
        }
    }
}

#[test]
fn a_package_without_version_or_url_is_not_listed() {
    let without = |from: &str, to: &str| read(spdx_document, &SPDX.replace(from, to)).expect("a document").listed;
    let flask = package("pkg:pypi/flask@3.1.3");
    assert!(!without("\"versionInfo\": \"3.1.3\"", "\"versionInfo\": \"\"").contains_key(&flask));
    assert!(!without("pkg:pypi/flask@3.1.3", "pkg:pypi/flask@3.1.4").contains_key(&flask));
    assert!(!without("\"referenceType\": \"purl\"", "\"referenceType\": \"cpe\"").contains_key(&flask));
}

#[test]
fn package_urls_are_read_whole() {
    assert_eq!(package("pkg:pypi/Plain_Words@1%212.0%2Blocal").to_string(), "plain-words 1!2.0+local (Python)");
    assert_eq!(package("pkg:pypi/a.b@1.0.0"), package("pkg:pypi/A-b@1.0.0"));
    let debian = package("pkg:deb/debian/login@4.13%2Bdfsg1-1?arch=amd64&distro=debian-12&epoch=1");
    assert_eq!(debian.to_string(), "login 1:4.13+dfsg1-1 (amd64)");
    assert_eq!(package("pkg:npm/%40scope/left-pad@1.0").to_string(), "@scope/left-pad 1.0 (npm)");
    assert_eq!(package("pkg:maven/org.example/left@1?type=jar#x").to_string(), "org.example/left 1 (maven)");
    for other in
        ["", "flask", "pkg:pypi/flask", "pkg:npm/left-pad", "pkg:deb/debian/x@1", "pkg:pypi/x@1%2", "pkg:pypi/x@%ff"]
    {
        assert_eq!(Package::of_purl(other), None, "{other}");
    }
}
