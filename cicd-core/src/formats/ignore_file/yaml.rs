use std::fmt;

use camino::Utf8Path;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

use super::entry::{Judge, Placed, RawEntry, defect};
use super::identifier::{self, Kind, Verdict};
use super::{IgnoreCode, IgnoreFile, IgnoreFileError};
use crate::formats::closest;
use crate::formats::printable::{is_invisible, printable};
use crate::model::{Finding, Location};

/// Trivy has a fourth, `licenses`; those are approved package by package, elsewhere.
const SECTIONS: [&str; 3] = ["vulnerabilities", "misconfigurations", "secrets"];
const KEYS: [&str; 10] = [
    "id",
    "statement",
    "owner",
    "expired_at",
    "ticket",
    "fix-blocked-by",
    "purls",
    "paths",
    "found_by",
    "environments",
];

/// Reads the YAML form: lists of entries under `vulnerabilities`, `misconfigurations` and `secrets`.
///
/// # Errors
/// Text that is not one YAML document, or has a key twice.
pub fn read_yaml(path: &Utf8Path, bytes: &[u8]) -> Result<IgnoreFile, IgnoreFileError> {
    let failed = |location, problem: String| IgnoreFileError { location, problem };
    let text = std::str::from_utf8(bytes).map_err(|error| failed(Location::file(path), error.to_string()))?;
    let source = Source { path, text, lines: text.lines().collect() };
    // What cannot be seen cannot have been reviewed, wherever in the file it stands.
    let mut findings = source.invisible();
    if !findings.is_empty() {
        return Ok(IgnoreFile { findings, ..IgnoreFile::default() });
    }
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(IgnoreFile::default());
    }
    let root: Spanned<Node> = match serde_saphyr::from_str(text) {
        Ok(root) => root,
        Err(error) => {
            let at = error.location().map_or_else(|| Location::file(path), |location| source.at(location));
            let problem = printable(&error.without_snippet().to_string());
            if matches!(error.without_snippet(), serde_saphyr::Error::DuplicateMappingKey { .. }) {
                findings.push(defect(IgnoreCode::UnknownKey, at, format!("a key stands there twice: {problem}")));
                return Ok(IgnoreFile { findings, ..IgnoreFile::default() });
            }
            return Err(failed(at, problem));
        }
    };
    let Node::Map(sections) = root.value else {
        return Err(failed(source.at(root.referenced), "expected sections such as `vulnerabilities:`".to_owned()));
    };
    let mut judge = Judge::default();
    for (section, list) in sections {
        if !SECTIONS.contains(&section.value.as_str()) {
            judge.defects([source.unknown("section", &section, &SECTIONS)]);
            continue;
        }
        // A section with nothing under it is an empty one, for Trivy too; a text in quotation marks is none.
        let is_empty = matches!(&list.value, Node::Text(text) if text.is_empty())
            && !source.is_quoted(&source.at(list.referenced));
        if is_empty {
            continue;
        }
        let Node::List(items) = list.value else {
            return Err(failed(source.at(list.referenced), format!("expected a list under `{}`", section.value)));
        };
        for item in items {
            let Node::Map(keys) = item.value else {
                return Err(failed(
                    source.at(item.referenced),
                    "expected an entry such as `- id: CVE-2023-32681`".to_owned(),
                ));
            };
            let mut entry = source.entry(source.at(item.referenced), keys);
            entry.defects.extend(elsewhere(&entry.id, &section.value));
            judge.entry(entry);
        }
    }
    Ok(judge.finish())
}

/// Trivy looks for an identifier in one section only.
fn elsewhere(id: &Placed, section: &str) -> Option<Finding> {
    let right = match Kind::of(&id.text) {
        Kind::Flaw => SECTIONS[0],
        Kind::Misconfiguration => SECTIONS[1],
        Kind::Secret => SECTIONS[2],
    };
    (right != section && identifier::judge(&id.text) == Verdict::Good).then(|| {
        let message = format!("Trivy does not look for {} under `{section}`", printable(&id.text));
        defect(IgnoreCode::ReadDifferently, id.at.clone(), message).help(format!("move the entry to `{right}:`"))
    })
}

struct Source<'a> {
    path: &'a Utf8Path,
    text: &'a str,
    lines: Vec<&'a str>,
}

impl Source<'_> {
    fn at(&self, location: serde_saphyr::Location) -> Location {
        let number = |value: u64| u32::try_from(value).unwrap_or(u32::MAX).max(1);
        Location::column(self.path, number(location.line()), number(location.column()))
    }

    fn entry(&self, start: Location, keys: Vec<(Spanned<String>, Spanned<Node>)>) -> RawEntry {
        let nothing = Placed { text: String::new(), at: start };
        let mut entry = RawEntry {
            id: nothing,
            reason: None,
            owner: None,
            expires: None,
            purls: Vec::new(),
            paths: Vec::new(),
            fix_blocked_by: None,
            found_by: None,
            environments: None,
            defects: Vec::new(),
            hint: None,
        };
        for (key, value) in keys {
            let at = self.at(value.referenced);
            match (key.value.as_str(), value.value) {
                ("id", Node::Text(text)) => entry.id = Placed { text, at },
                ("statement", Node::Text(text)) => entry.reason = Some(Placed { text, at }),
                ("owner", Node::Text(text)) => entry.owner = Some(Placed { text, at }),
                ("expired_at", Node::Text(text)) => {
                    if self.is_quoted(&at) {
                        let message = "Trivy refuses a date in quotation marks";
                        let help = format!("write `expired_at: {}`", printable(&text));
                        entry.defects.push(defect(IgnoreCode::ReadDifferently, at.clone(), message).help(help));
                    }
                    entry.expires = Some(Placed { text, at });
                }
                ("ticket", Node::Text(_)) => {}
                ("found_by", Node::Text(text)) => entry.found_by = Some(Placed { text, at }),
                ("fix-blocked-by", Node::Text(text)) => entry.fix_blocked_by = Some(Placed { text, at }),
                ("environments", Node::List(items)) => {
                    entry.environments = Some(
                        items
                            .into_iter()
                            .map(|item| {
                                let text = if let Node::Text(text) = item.value { text } else { String::new() };
                                Placed { text, at: self.at(item.referenced) }
                            })
                            .collect(),
                    );
                }
                (scope @ ("purls" | "paths"), Node::List(items)) => {
                    if items.is_empty() {
                        let message = format!("an empty list of `{scope}` means all of them to Trivy");
                        let help = "name what it is about, or delete the key";
                        entry.defects.push(defect(IgnoreCode::ReadDifferently, at, message).help(help));
                    }
                    let targets = if scope == "purls" { &mut entry.purls } else { &mut entry.paths };
                    targets.extend(items.into_iter().map(|item| {
                        let text = if let Node::Text(text) = item.value { text } else { String::new() };
                        Placed { text, at: self.at(item.referenced) }
                    }));
                }
                (name, _) if KEYS.contains(&name) => {
                    let message = format!("the value of `{name}` has the wrong form");
                    entry.defects.push(defect(IgnoreCode::UnknownKey, at, message));
                }
                _ => entry.defects.push(self.unknown("key", &key, &KEYS)),
            }
        }
        entry
    }

    fn unknown(&self, what: &str, key: &Spanned<String>, known: &[&str]) -> Finding {
        if what == "section" && key.value == "licenses" {
            let message = "the section `licenses` allows nothing here, although Trivy reads it";
            return defect(IgnoreCode::UnknownKey, self.at(key.referenced), message)
                .help("have the packages approved in the list that the licence check compares them with");
        }
        let message = format!("the {what} `{}` is not known, and Trivy passes over it", printable(&key.value));
        let finding = defect(IgnoreCode::UnknownKey, self.at(key.referenced), message);
        match closest(&key.value, known.iter().copied()) {
            Some(meant) => finding.help(format!("did you mean `{meant}`?")),
            None => finding.help(format!("use one of: {}", known.join(", "))),
        }
    }

    fn is_quoted(&self, at: &Location) -> bool {
        let (Some(line), Some(column)) = (at.line, at.column) else { return false };
        let line = (line as usize).checked_sub(1).and_then(|index| self.lines.get(index));
        let first = line.and_then(|line| line.chars().nth(column as usize - 1));
        matches!(first, Some('"' | '\''))
    }

    fn invisible(&self) -> Vec<Finding> {
        let text = self.text.strip_prefix('\u{FEFF}').unwrap_or(self.text);
        let odd = (1_u32..).zip(text.lines()).find_map(|(number, line)| {
            let mut columns = (1_u32..).zip(line.chars());
            columns.find(|&(_, c)| is_invisible(c)).map(|(column, c)| (number, column, c))
        });
        let finding = odd.map(|(line, column, c)| {
            let at = Location::column(self.path, line, column);
            let message = format!("an invisible character, U+{:04X}", u32::from(c));
            defect(IgnoreCode::ReadDifferently, at, message).help("delete the character")
        });
        finding.into_iter().collect()
    }
}

/// A value with the places of everything in it; what a struct would lose by failing at the first unknown key.
#[derive(Debug)]
enum Node {
    Text(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list or a mapping")
    }

    fn visit_str<E>(self, text: &str) -> Result<Node, E> {
        Ok(Node::Text(text.to_owned()))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Text(String::new()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Result<Vec<String>, String> {
        let file = read_yaml("i.yaml".into(), text.as_bytes()).map_err(|error| error.to_string())?;
        Ok(file.findings.into_iter().map(|one| format!("{} {}", one.code, one.message)).collect())
    }

    #[test]
    fn an_empty_section_is_as_empty_as_trivy_takes_it() {
        for empty in [
            "vulnerabilities:\n",
            "secrets: ~\n",
            "misconfigurations: null\nvulnerabilities: []\n",
            "secrets: # none\n",
        ] {
            assert_eq!(codes(empty), Ok(Vec::new()), "{empty:?}");
        }
        for wrong in ["vulnerabilities: ''\n", "secrets: none\n", "misconfigurations: {}\n"] {
            assert!(codes(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_licences_section_is_told_apart_from_a_slip() {
        let told = codes("licenses:\n  - id: MIT\n").expect("read");
        assert!(told[0].contains("although Trivy reads it"), "{told:?}");
        let slip = codes("vulnerabilites:\n").expect("read");
        assert!(slip[0].contains("Trivy passes over it"), "{slip:?}");
    }
}
