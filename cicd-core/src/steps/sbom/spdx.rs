use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::document::{Document, Identity, License, list, require, set, sort, spdx, text};
use super::packages::Package;
use crate::formats::hex;

/// What SPDX writes where nothing is known, and where there is nothing.
const NOTHING: [&str; 2] = ["NOASSERTION", "NONE"];
/// What belongs to the engine and not to the image: it changes when somebody gives the image another name.
const IN_THE_ENGINE: [&str; 3] = ["Reference: ", "RepoTag: ", "RepoDigest: "];
/// How many digits of a licence's sum stand in the name it is given, as many as Trivy gives.
const REFERENCE_DIGITS: usize = 16;

/// Checks an [SPDX 2.3](https://spdx.github.io/spdx-spec/v2.3/) document about an image and makes it reproducible.
///
/// # Errors
/// What is not as the specification wants it, or is about something else.
pub(super) fn spdx_document(bytes: &[u8], identity: Identity<'_>) -> Result<Document, String> {
    let mut json: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    require(&json, "spdxVersion", "SPDX-2.3")?;
    require(&json, "dataLicense", "CC0-1.0")?;
    require(&json, "SPDXID", "SPDXRef-DOCUMENT")?;
    set(&mut json, "name", identity.image.name.clone())?;
    let namespace = format!("https://spdx.org/spdxdocs/{}", identity.uuid("spdx"));
    set(&mut json, "documentNamespace", namespace)?;
    let creation = json.get_mut("creationInfo").ok_or("it has no creationInfo")?;
    list(creation, "creators")?;
    set(creation, "created", identity.time())?;
    let mut listed = BTreeMap::new();
    let mut extracted = References::of(&mut json)?;
    let mut subject = None;
    for package in list(&mut json, "packages")? {
        text(package, "name")?;
        text(package, "downloadLocation")?;
        dated(package, &identity.time())?;
        let license = licenses(package, &mut extracted)?;
        if package.get("primaryPackagePurpose").and_then(Value::as_str) == Some("CONTAINER") {
            about(package, identity)?;
            subject = Some(text(package, "SPDXID")?.to_owned());
        }
        if let Some(package) = purl(package).and_then(Package::of_purl) {
            listed.insert(package, license);
        }
    }
    let subject = subject.ok_or("it is about nothing: no package is a container")?;
    extracted.write(&mut json)?;
    relationships(&mut json, &subject)?;
    for key in ["packages", "files", "relationships"] {
        if let Some(values) = json.get_mut(key).and_then(Value::as_array_mut) {
            values.sort_by_cached_key(|value| (text(value, "SPDXID").map(str::to_owned), value.to_string()));
        }
    }
    Ok(Document { json, listed })
}

/// The package URL, of a package that also tells its version.
fn purl(package: &Value) -> Option<&str> {
    text(package, "versionInfo").ok()?;
    let references = package.get("externalRefs")?.as_array()?;
    let reference = references.iter().find(|one| text(one, "referenceType") == Ok("purl"))?;
    text(reference, "referenceLocator").ok()
}

/// Checks which image a package is, and says it in the words of this run.
fn about(package: &mut Value, identity: Identity<'_>) -> Result<(), String> {
    let expected = format!("ImageID: {}", identity.image.id);
    let annotations = list(package, "annotations")?;
    if !annotations.iter().any(|one| text(one, "comment") == Ok(&expected)) {
        return Err(format!("it is not about image {}", identity.image.id));
    }
    let is_in_the_engine = |one: &Value| {
        text(one, "comment").is_ok_and(|comment| IN_THE_ENGINE.iter().any(|start| comment.starts_with(start)))
    };
    annotations.retain(|one| !is_in_the_engine(one));
    set(package, "name", identity.image.name.clone())?;
    set(package, "versionInfo", identity.image.id.clone())?;
    set(package, "checksums", json!([{ "algorithm": "SHA256", "checksumValue": identity.digest() }]))
}

fn dated(package: &mut Value, time: &str) -> Result<(), String> {
    let Some(annotations) = package.get_mut("annotations").and_then(Value::as_array_mut) else { return Ok(()) };
    for annotation in annotations.iter_mut() {
        set(annotation, "annotationDate", time)?;
    }
    sort(annotations);
    Ok(())
}

/// Licences that have no SPDX identifier, by the name that the document gives them.
struct References(BTreeMap<String, Value>);

impl References {
    fn of(json: &mut Value) -> Result<Self, String> {
        let Some(all) = json.get_mut("hasExtractedLicensingInfos").and_then(Value::as_array_mut) else {
            return Ok(Self(BTreeMap::new()));
        };
        let named = all.iter().map(|one| {
            text(one, "extractedText")?;
            Ok((text(one, "licenseId")?.to_owned(), one.clone()))
        });
        Ok(Self(named.collect::<Result<_, String>>()?))
    }

    /// The name for a licence that SPDX cannot read.
    fn add(&mut self, told: &str) -> String {
        let id = format!("LicenseRef-{}", &hex(&Sha256::digest(told.as_bytes()))[..REFERENCE_DIGITS]);
        self.0.entry(id.clone()).or_insert_with(|| json!({ "licenseId": id, "extractedText": told, "name": told }));
        id
    }

    fn knows_all(&self, expression: &str) -> Result<(), String> {
        let words = expression.split([' ', '(', ')']).filter(|word| word.starts_with("LicenseRef-"));
        for word in words {
            if !self.0.contains_key(word) {
                return Err(format!("{word} is used, but its text is not there"));
            }
        }
        Ok(())
    }

    fn write(self, json: &mut Value) -> Result<(), String> {
        let all: Vec<_> = self.0.into_values().collect();
        if all.is_empty() { Ok(()) } else { set(json, "hasExtractedLicensingInfos", all) }
    }
}

/// Spells a package's licences as SPDX does.
fn licenses(package: &mut Value, references: &mut References) -> Result<License, String> {
    let mut license = License::Missing;
    for key in ["licenseConcluded", "licenseDeclared"] {
        let told = text(package, key)?.to_owned();
        if NOTHING.contains(&told.as_str()) {
            continue;
        }
        let expression = spdx(&told).unwrap_or_else(|| references.add(&told));
        references.knows_all(&expression)?;
        set(package, key, expression)?;
        license = License::Told;
    }
    Ok(license)
}

/// Checks that every name is given once, and every relationship is between things that are there.
fn relationships(json: &mut Value, subject: &str) -> Result<(), String> {
    let document = text(json, "SPDXID")?.to_owned();
    let mut known = BTreeSet::from([document.clone()]);
    for key in ["packages", "files"] {
        for one in json.get(key).and_then(Value::as_array).into_iter().flatten() {
            let id = text(one, "SPDXID")?;
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
            if !id.strip_prefix("SPDXRef-").is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain)) {
                return Err(format!("{id:?} is not an SPDX identifier"));
            }
            if !known.insert(id.to_owned()) {
                return Err(format!("two entries have the SPDX identifier {id}"));
            }
        }
    }
    let mut is_described = false;
    for one in list(json, "relationships")? {
        let [from, kind, to] = ["spdxElementId", "relationshipType", "relatedSpdxElement"].map(|key| text(one, key));
        let (from, kind, to) = (from?, kind?, to?);
        if let Some(stray) = [from, to].into_iter().find(|id| !known.contains(*id) && !NOTHING.contains(id)) {
            return Err(format!("a relationship names {stray}, which is not there"));
        }
        is_described |= (from, kind, to) == (document.as_str(), "DESCRIBES", subject);
    }
    if is_described { Ok(()) } else { Err("it does not say that it describes the image".to_owned()) }
}
