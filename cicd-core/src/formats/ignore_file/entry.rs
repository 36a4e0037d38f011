use std::collections::HashMap;

use jiff::civil::Date;

use super::identifier::{Kind, Verdict, judge};
use super::{IgnoreCode, IgnoreFile};
use crate::formats::printable::printable;
use crate::model::by_key::counting;
use crate::model::{Environments, Finding, Location, Severity, Target};
use crate::policy::{Applies, Exception, Justification, Origin, Scope, check_owner, check_reason};

/// What `found-by` may say: the one tool beside Trivy that is asked for flaws.
const SECOND_OPINION: &str = "pip-audit";

/// A text and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) text: String,
    pub(super) at: Location,
}

/// An entry as it is written, in either form.
#[derive(Debug, Clone)]
pub(super) struct RawEntry {
    pub(super) id: Placed,
    pub(super) reason: Option<Placed>,
    pub(super) owner: Option<Placed>,
    pub(super) expires: Option<Placed>,
    pub(super) purls: Vec<Placed>,
    pub(super) found_by: Option<Placed>,
    /// The environments that it is limited to.
    pub(super) environments: Option<Vec<Placed>>,
    pub(super) paths: Vec<Placed>,
    /// Why the fix that exists cannot be taken.
    pub(super) fix_blocked_by: Option<Placed>,
    /// What is wrong with the way it is written; any of it makes the entry void.
    pub(super) defects: Vec<Finding>,
    /// Why the keys of a comment block may be missing, for the reader who sees a block above the entry.
    pub(super) hint: Option<String>,
}

pub(super) fn defect(code: IgnoreCode, at: Location, message: impl Into<String>) -> Finding {
    Finding::new(code, message).severity(Severity::Medium).at(at)
}

/// More entries than anybody can answer for are not read: what is not read allows nothing.
const ENTRIES_MAX: usize = 100_000;
/// A file that is no ignore file at all would give millions of findings, and one is as red as they are.
const FINDINGS_MAX: usize = 1000;

/// Judges the entries of one file, in the order in which they are given.
#[derive(Debug, Default)]
pub(super) struct Judge {
    file: IgnoreFile,
    listed: Listed,
    entries: usize,
    /// Defects that are counted only.
    more: usize,
}

impl Judge {
    pub(super) fn entry(&mut self, entry: RawEntry) {
        self.entries += 1;
        if self.entries > ENTRIES_MAX {
            if self.entries == ENTRIES_MAX + 1 {
                let message = format!("of more than {ENTRIES_MAX} entries, none from here on is read");
                self.file.findings.push(
                    defect(IgnoreCode::ReadDifferently, entry.id.at, message).help("delete what nobody can answer for"),
                );
            }
            return;
        }
        let blocked = entry.fix_blocked_by.as_ref().map(|blocked| blocked.text.clone());
        let is_for_second_opinion = entry.found_by.is_some();
        match judge_one(entry, &self.listed) {
            Ok(exception) => {
                self.file.fix_blocked_by.extend(blocked.map(|blocked| (exception.location.clone(), blocked)));
                self.listed.add(&exception);
                let file = &mut self.file;
                let list = if is_for_second_opinion { &mut file.second_opinion } else { &mut file.exceptions };
                list.push(exception);
            }
            Err(defects) => self.defects(defects),
        }
    }

    /// Whether nothing that follows will be read.
    pub(super) fn is_full(&self) -> bool {
        self.entries > ENTRIES_MAX
    }

    pub(super) fn defects(&mut self, defects: impl IntoIterator<Item = Finding>) {
        for finding in defects {
            if self.file.findings.len() < FINDINGS_MAX {
                self.file.findings.push(finding);
            } else {
                self.more += 1;
            }
        }
    }

    pub(super) fn finish(mut self) -> IgnoreFile {
        if self.more > 0
            && let Some(last) = self.file.findings.last().cloned()
        {
            let message = format!("{} more defects follow in this file", self.more);
            self.file.findings.push(Finding { message, ..last });
        }
        self.file
    }
}

/// The complete entries of both lists, looked up by identifier, by each thing that they reach and by each environment: a file may
/// hold one identifier a thousand times, for a thousand packages.
#[derive(Debug, Default)]
struct Listed {
    places: Vec<Location>,
    first: HashMap<(String, Part<Target>, Part<String>), usize>,
}

/// One of many, or all of them; under `Listed` stands every entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part<T> {
    Listed,
    All,
    One(T),
}

impl Listed {
    fn add(&mut self, exception: &Exception) {
        let place = self.places.len();
        self.places.push(exception.location.clone());
        let (targets, environments) = (targets(&exception.scope), names(&exception.justification.environments));
        for target in targets.iter().chain([&Part::Listed]) {
            for environment in environments.iter().chain([&Part::Listed]) {
                counting::one();
                let key = (exception.id.clone(), target.clone(), environment.clone());
                self.first.entry(key).or_insert(place);
            }
        }
    }

    /// The first entry that holds for some of the same, in some of the same environments.
    fn overlapping(&self, id: &str, scope: &Scope, environments: &Environments) -> Option<&Location> {
        let (targets, names) = (asked(targets(scope)), asked(names(environments)));
        let each = targets.iter().flat_map(|target| names.iter().map(move |name| (target, name)));
        let places = each
            .inspect(|_| counting::one())
            .filter_map(|(target, name)| self.first.get(&(id.to_owned(), target.clone(), name.clone())));
        self.places.get(*places.min()?)
    }
}

/// What overlaps with these: each of them, and what is listed for all; with all, whatever is listed.
fn asked<T>(parts: Vec<Part<T>>) -> Vec<Part<T>> {
    match parts.as_slice() {
        [Part::All] => vec![Part::Listed],
        _ => parts.into_iter().chain([Part::All]).collect(),
    }
}

fn targets(scope: &Scope) -> Vec<Part<Target>> {
    match scope {
        Scope::Any => vec![Part::All],
        Scope::Targets(targets) => targets.iter().cloned().map(Part::One).collect(),
    }
}

fn names(environments: &Environments) -> Vec<Part<String>> {
    if environments.is_every() {
        return vec![Part::All];
    }
    environments.names().map(|name| Part::One(name.to_owned())).collect()
}

/// Judges one entry; `listed` are the complete entries above it.
fn judge_one(entry: RawEntry, listed: &Listed) -> Result<Exception, Vec<Finding>> {
    let RawEntry {
        id,
        reason,
        owner,
        expires,
        purls,
        paths,
        fix_blocked_by,
        found_by,
        environments,
        mut defects,
        hint,
    } = entry;
    let shown = printable(&id.text);
    let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
    let missing = |code, what: &str| defect(code, id.at.clone(), format!("the entry for {shown} has no {what}{hint}"));
    // A line that cannot be read as one identifier says so once; a second complaint about its spelling would only confuse.
    if defects.is_empty() {
        defects.extend(misspelled(&id, &shown));
    }
    defects.extend(purls.iter().filter(|purl| !is_purl(&purl.text)).map(|purl| {
        let message = format!("{:?} is not a package URL", printable(&purl.text));
        defect(IgnoreCode::Malformed, purl.at.clone(), message)
            .help("write it as `pkg:pypi/requests`, with or without `@version`")
    }));
    defects.extend(found_by.filter(|source| source.text != SECOND_OPINION).map(|source| {
        let message = format!("{:?} is not a second source of flaws", printable(&source.text));
        defect(IgnoreCode::UnknownKey, source.at, message)
            .help(format!("write {SECOND_OPINION}, or delete the key where Trivy knows the flaw"))
    }));
    if !(purls.is_empty() && paths.is_empty()) && judge(&id.text) == Verdict::Good {
        defects.extend(unfit_scope(&id.text, &purls, &paths));
    }
    let says_nothing = |blocked: &Placed| {
        let error = check_reason(&blocked.text).err()?;
        Some(defect(IgnoreCode::FixExists, blocked.at.clone(), printable(&error.to_string())))
    };
    defects.extend(fix_blocked_by.as_ref().and_then(says_nothing));
    match &reason {
        None => defects.push(missing(IgnoreCode::NoReason, "reason")),
        Some(reason) => defects.extend(
            check_reason(&reason.text)
                .err()
                .map(|error| defect(IgnoreCode::NoReason, reason.at.clone(), printable(&error.to_string()))),
        ),
    }
    match &owner {
        None => defects.push(missing(IgnoreCode::NoOwner, "owner")),
        Some(owner) => defects.extend(
            check_owner(&owner.text)
                .err()
                .map(|error| defect(IgnoreCode::NoOwner, owner.at.clone(), printable(&error.to_string()))),
        ),
    }
    let date = expires.as_ref().map(|expires| read_date(&expires.text).ok_or(expires));
    match &date {
        None => defects.push(missing(IgnoreCode::NoExpiry, "expiry")),
        Some(Err(expires)) => {
            let message =
                format!("{:?} is not a date as YYYY-MM-DD, so the entry has no expiry", printable(&expires.text));
            defects.push(defect(IgnoreCode::NoExpiry, expires.at.clone(), message));
        }
        Some(Ok(_)) => {}
    }
    let limited = environments.as_ref().map(|names| Environments::only(names.iter().map(|name| &name.text)));
    let limited = match limited {
        None => Environments::default(),
        Some(Ok(limited)) => limited,
        Some(Err(error)) => {
            let at = environments.iter().flatten().next().map_or(&id.at, |first| &first.at);
            defects.push(defect(IgnoreCode::UnknownKey, at.clone(), printable(&error.to_string())));
            Environments::default()
        }
    };
    let packages = purls.iter().map(|purl| Target::package(&purl.text));
    let targets: Vec<_> = packages.chain(paths.iter().map(|path| Target::file(&path.text))).collect();
    let scope = if targets.is_empty() { Scope::Any } else { Scope::Targets(targets) };
    if let Some(first) = listed.overlapping(&id.text, &scope, &limited) {
        let message = format!("{shown} is listed at {first} already");
        defects.push(defect(IgnoreCode::Duplicate, id.at.clone(), message));
    }
    match (reason, owner, date) {
        (Some(reason), Some(owner), Some(Ok(expires))) if defects.is_empty() => Ok(Exception {
            id: id.text,
            scope,
            justification: Justification { reason: reason.text, owner: owner.text, expires, environments: limited },
            origin: Origin::IgnoreFile,
            location: id.at,
            applies: Applies::Here,
        }),
        _ => Err(defects),
    }
}

fn misspelled(id: &Placed, shown: &str) -> Option<Finding> {
    match judge(&id.text) {
        Verdict::Good => None,
        Verdict::Case(meant) => {
            let message = format!("Trivy compares capitals and small letters, so {shown} matches nothing");
            Some(defect(IgnoreCode::ReadDifferently, id.at.clone(), message).help(format!("write {meant}")))
        }
        Verdict::Bad(meant) => {
            let finding = defect(IgnoreCode::Malformed, id.at.clone(), format!("{shown:?} is not an identifier"));
            Some(match meant {
                Some(meant) => finding.help(format!("did you mean {meant}?")),
                None => finding,
            })
        }
    }
}

/// A flaw is in a package, anything else in a file: a scope of the other kind would reach nothing, or with Trivy everything.
fn unfit_scope(id: &str, purls: &[Placed], paths: &[Placed]) -> Vec<Finding> {
    let (unfit, message, help) = match Kind::of(id) {
        Kind::Flaw => (paths, "a flaw is in a package, not in a file", "name the package: `purl: pkg:pypi/requests`"),
        Kind::Misconfiguration | Kind::Secret => {
            (purls, "what is no flaw is in a file, not in a package", "name the file: `path: app/settings.env`")
        }
    };
    let unfit = unfit.iter().map(|scope| defect(IgnoreCode::UnknownKey, scope.at.clone(), message).help(help));
    let patterns = paths.iter().filter(|path| path.text.is_empty() || path.text.contains(['*', '?', '[', '{', '\\']));
    let patterns = patterns.map(|path| {
        let message = format!("{:?} is a pattern, not the path of a file", printable(&path.text));
        defect(IgnoreCode::Malformed, path.at.clone(), message).help("name each file")
    });
    unfit.chain(patterns).collect()
}

fn is_purl(text: &str) -> bool {
    text.strip_prefix("pkg:").and_then(|rest| rest.split_once('/')).is_some_and(|(kind, name)| {
        !kind.is_empty()
            && kind.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            && !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_graphic())
    })
}

/// A date exactly as `YYYY-MM-DD`: what the date library takes beyond that, Trivy does not.
pub(super) fn read_date(text: &str) -> Option<Date> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(index, b)| match index {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    shape.then(|| text.parse().ok()).flatten()
}
