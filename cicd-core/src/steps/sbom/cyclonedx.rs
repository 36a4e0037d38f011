use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::document::{Document, Identity, License, list, require, set, sort, spdx, text};
use super::packages::Package;

/// The versions of the format whose essentials are checked here.
const VERSIONS: [&str; 3] = ["1.5", "1.6", "1.7"];
/// The property in which Trivy tells the image's id.
const IMAGE_ID: &str = "aquasecurity:trivy:ImageID";

/// What belongs to the engine and not to the image: it changes when somebody gives the image another name.
const IN_THE_ENGINE: [&str; 3] =
    ["aquasecurity:trivy:Reference", "aquasecurity:trivy:RepoTag", "aquasecurity:trivy:RepoDigest"];

/// Checks a [CycloneDX](https://cyclonedx.org/specification/overview/) document about an image and makes it reproducible.
///
/// # Errors
/// What is not as the specification wants it, or is about something else.
pub(super) fn cyclonedx(bytes: &[u8], identity: Identity<'_>) -> Result<Document, String> {
    let mut json: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    require(&json, "bomFormat", "CycloneDX")?;
    let version = text(&json, "specVersion")?;
    if !VERSIONS.contains(&version) {
        return Err(format!("its specVersion is {version:?}, not one of {}", VERSIONS.join(", ")));
    }
    let subject =
        json.pointer_mut("/metadata/component").ok_or("it is about nothing: metadata.component is missing")?;
    about(subject, identity)?;
    set(&mut json, "serialNumber", format!("urn:uuid:{}", identity.uuid("cyclonedx")))?;
    set(&mut json, "version", 1)?;
    set(json.get_mut("metadata").ok_or("it has no metadata")?, "timestamp", identity.time())?;
    let renamed = rename(&mut json)?;
    let mut listed = BTreeMap::new();
    for component in list(&mut json, "components")? {
        text(component, "name")?;
        text(component, "type")?;
        let license = licenses(component)?;
        sort_list(component, "properties");
        let Ok(purl) = text(component, "purl") else { continue };
        if let Some(package) = Package::of_purl(purl) {
            text(component, "version")?;
            listed.insert(package, license);
        }
    }
    list(&mut json, "components")?.sort_by_cached_key(|component| text(component, "bom-ref").map(str::to_owned));
    dependencies(&mut json, &renamed)?;
    Ok(Document { json, listed })
}

/// Checks what the document is about, and says it in the words of this run.
fn about(subject: &mut Value, identity: Identity<'_>) -> Result<(), String> {
    require(subject, "type", "container")?;
    let properties = list(subject, "properties")?;
    let id = properties.iter().find(|property| text(property, "name") == Ok(IMAGE_ID));
    match id.map(|property| text(property, "value")).transpose()? {
        Some(id) if id == identity.image.id => {}
        Some(id) => return Err(format!("it is about image {id:?}, not about {}", identity.image.id)),
        None => return Err("it does not say which image it is about".to_owned()),
    }
    properties.retain(|property| !text(property, "name").is_ok_and(|name| IN_THE_ENGINE.contains(&name)));
    sort(properties);
    set(subject, "name", identity.image.name.clone())?;
    set(subject, "version", identity.image.id.clone())?;
    set(subject, "hashes", json!([{ "alg": "SHA-256", "content": identity.digest() }]))
}

/// Gives every component a name that does not change from run to run; gives back the new names by the old ones.
fn rename(json: &mut Value) -> Result<BTreeMap<String, String>, String> {
    let mut renamed = BTreeMap::new();
    let mut known = BTreeSet::new();
    let subject = json.pointer_mut("/metadata/component").ok_or("metadata.component is missing")?;
    let old = text(subject, "bom-ref")?.to_owned();
    let new = format!("container:{}", text(subject, "version")?);
    set(subject, "bom-ref", new.clone())?;
    known.insert(new.clone());
    renamed.insert(old, new);
    let components = list(json, "components")?;
    // Components that differ in nothing but their random name may stand in any order.
    let content = |component: &Value| {
        let mut component = component.clone();
        component.as_object_mut().map(|object| object.remove("bom-ref"));
        component.to_string()
    };
    components.sort_by_cached_key(content);
    for component in components {
        let old = text(component, "bom-ref")?.to_owned();
        let base = match text(component, "purl") {
            Ok(purl) => purl.to_owned(),
            Err(_) => {
                let version =
                    text(component, "version").map_or_else(|_| String::new(), |version| format!("@{version}"));
                format!("{}:{}{version}", text(component, "type")?, text(component, "name")?)
            }
        };
        let numbered = (2..).map(|number: u32| format!("{base}#{number}"));
        let new = [base.clone()].into_iter().chain(numbered).find(|name| !known.contains(name)).unwrap_or(base);
        set(component, "bom-ref", new.clone())?;
        known.insert(new.clone());
        if renamed.insert(old.clone(), new).is_some() {
            return Err(format!("two components have the bom-ref {old:?}"));
        }
    }
    Ok(renamed)
}

fn dependencies(json: &mut Value, renamed: &BTreeMap<String, String>) -> Result<(), String> {
    let new_name = |old: &str| {
        renamed.get(old).cloned().ok_or_else(|| format!("a dependency names {old:?}, which is no component"))
    };
    let all = list(json, "dependencies")?;
    for one in all.iter_mut() {
        let name = new_name(text(one, "ref")?)?;
        set(one, "ref", name)?;
        let Some(on) = one.get_mut("dependsOn").and_then(Value::as_array_mut) else { continue };
        for target in on.iter_mut() {
            *target = new_name(target.as_str().ok_or("a dependency is not a text")?)?.into();
        }
        sort(on);
    }
    sort(all);
    Ok(())
}

fn sort_list(value: &mut Value, key: &str) {
    if let Some(values) = value.get_mut(key).and_then(Value::as_array_mut) {
        sort(values);
    }
}

/// Spells a component's licences as SPDX does, where they are of SPDX.
fn licenses(component: &mut Value) -> Result<License, String> {
    let Some(all) = component.get_mut("licenses").and_then(Value::as_array_mut) else { return Ok(License::Missing) };
    let alone = all.len() == 1;
    for one in all.iter_mut() {
        if let Ok(expression) = text(one, "expression") {
            let normal = spdx(expression).ok_or_else(|| format!("{expression:?} is not an SPDX expression"))?;
            set(one, "expression", normal)?;
            continue;
        }
        let license = one.get("license").ok_or("a licence is neither an expression nor a name")?;
        let told = text(license, "id").or_else(|_| text(license, "name"))?.to_owned();
        *one = match spdx(&told) {
            Some(id) if !id.contains(' ') && !id.starts_with("LicenseRef-") => json!({ "license": { "id": id } }),
            // An expression may only stand alone.
            Some(expression) if alone => json!({ "expression": expression }),
            _ => json!({ "license": { "name": told } }),
        };
    }
    sort(all);
    all.dedup();
    Ok(if all.is_empty() { License::Missing } else { License::Told })
}
