use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::packages::Package;
use crate::docker::ImageUnderTest;
use crate::formats::normalized_spdx;

/// What both documents say of themselves, so that the same image of the same commit gives the same bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) image: &'a ImageUnderTest,
    /// When the image's sources were committed, or what SOURCE_DATE_EPOCH says.
    pub(super) made: Timestamp,
}

impl Identity<'_> {
    /// The time as both formats write it: seconds, in UTC.
    pub(super) fn time(&self) -> String {
        self.made.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// A UUID of version 8, which leaves its bits to whoever makes it
    /// ([RFC 9562](https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-8)), from the image, the time and the format.
    pub(super) fn uuid(&self, format: &str) -> String {
        let name = format!("{format}\n{}\n{}\n{}", self.image.id, self.image.name, self.time());
        let digest = Sha256::digest(name.as_bytes());
        let mut hex: Vec<char> =
            digest.iter().take(16).flat_map(|byte| format!("{byte:02x}").chars().collect::<Vec<_>>()).collect();
        // The version, and the two highest bits of the variant.
        hex[12] = '8';
        hex[16] = match hex[16].to_digit(16).unwrap_or(0) & 3 {
            0 => '8',
            1 => '9',
            2 => 'a',
            _ => 'b',
        };
        let hex: String = hex.into_iter().collect();
        [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
    }

    /// The hexadecimal digits of the image's id.
    pub(super) fn digest(&self) -> &str {
        self.image.id.trim_start_matches("sha256:")
    }
}

/// A document that was proven and made reproducible.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Document {
    pub(super) json: Value,
    /// The packages that are in it, and whether their licence is told.
    pub(super) listed: BTreeMap<Package, License>,
}

/// Whether a licence is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum License {
    /// As SPDX identifiers or as words of its own.
    Told,
    /// Not at all.
    Missing,
}

/// The text at a key, as it has to be there.
pub(super) fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    match value.get(key).and_then(Value::as_str) {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(format!("{} has no {key}", name(value))),
    }
}

/// The list at a key, as it has to be there.
pub(super) fn list<'a>(value: &'a mut Value, key: &str) -> Result<&'a mut Vec<Value>, String> {
    value.get_mut(key).and_then(Value::as_array_mut).ok_or_else(|| format!("it has no list `{key}`"))
}

/// Requires that a key has this value.
pub(super) fn require(value: &Value, key: &str, expected: &str) -> Result<(), String> {
    match text(value, key)? {
        found if found == expected => Ok(()),
        found => Err(format!("its {key} is {found:?}, not {expected:?}")),
    }
}

/// Sets a key of an object.
pub(super) fn set(value: &mut Value, key: &str, new: impl Into<Value>) -> Result<(), String> {
    let object = value.as_object_mut().ok_or_else(|| format!("there is no object that could have {key}"))?;
    object.insert(key.to_owned(), new.into());
    Ok(())
}

/// Sorts values by what they look like written down.
pub(super) fn sort(values: &mut [Value]) {
    values.sort_by_cached_key(Value::to_string);
}

/// A licence in the spelling of SPDX, or nothing where it is none.
pub(super) fn spdx(license: &str) -> Option<String> {
    normalized_spdx(license)
}

/// What a component is called in a message.
fn name(value: &Value) -> String {
    let name = ["name", "SPDXID", "bom-ref"].iter().find_map(|key| value.get(key).and_then(Value::as_str));
    name.map_or_else(|| "an entry".to_owned(), |name| format!("{name:?}"))
}
