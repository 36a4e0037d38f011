use std::collections::{BTreeSet, HashMap, HashSet};

use super::{Exception, Scope};
use crate::model::by_key::counting;
use crate::model::{Finding, Reach, Target};

/// What a list of exceptions may cover, by the codes and other names of findings and by what they are about: it is looked up
/// instead of searched for, since lists of both may be long.
///
/// What is wrong with an exception (`EXC-…`, `IGN-…`) is not among them: no exception covers that.
#[derive(Debug)]
pub struct FindingsByName<'a> {
    findings: &'a [Finding],
    /// The findings of one name that one part of a scope reaches, by their places, in order.
    lists: Vec<Vec<usize>>,
    places: HashMap<(&'a str, Reach<'a>), usize>,
}

impl<'a> FindingsByName<'a> {
    /// The index of those findings that one of these exceptions names. Any other exception covers nothing by it.
    #[must_use]
    pub fn new<'e>(findings: &'a [Finding], exceptions: impl IntoIterator<Item = &'e Exception>) -> Self {
        // Few of the names of a long list are ever asked for.
        let asked_for: HashSet<&str> = exceptions.into_iter().map(|exception| exception.id.as_str()).collect();
        let (mut lists, mut places) = (Vec::new(), HashMap::new());
        for (index, finding) in findings.iter().enumerate().filter(|(_, finding)| !finding.is_about_an_exception()) {
            let names = [finding.code.as_str()].into_iter().chain(finding.aliases.iter().map(String::as_str));
            let names: BTreeSet<_> = names.filter(|name| asked_for.contains(name)).collect();
            if names.is_empty() {
                continue;
            }
            let reached_by = finding.target.as_ref().map_or_else(Vec::new, Target::reached_by);
            for name in names {
                for reach in [Reach::Any].iter().chain(&reached_by) {
                    counting::one();
                    let place = *places.entry((name, *reach)).or_insert_with(|| {
                        lists.push(Vec::new());
                        lists.len() - 1
                    });
                    lists[place].push(index);
                }
            }
        }
        Self { findings, lists, places }
    }

    /// The findings that an exception covers, with their places in the list, in order.
    pub fn covered_by(&self, exception: &Exception) -> impl Iterator<Item = (usize, &'a Finding)> {
        let mut places: Vec<usize> =
            self.parts(exception).into_iter().flat_map(|part| self.list(part)).copied().collect();
        places.sort_unstable();
        let findings = self.findings;
        places.into_iter().inspect(|_| counting::one()).filter_map(|place| Some((place, findings.get(place)?)))
    }

    /// The lists that together are what an exception covers; no finding is in two of them.
    pub(super) fn parts(&self, exception: &Exception) -> Vec<usize> {
        let id = exception.id.as_str();
        let named: Vec<Reach<'_>> = match &exception.scope {
            Scope::Any => vec![Reach::Any],
            Scope::Targets(targets) => {
                let all: BTreeSet<_> = targets.iter().map(Target::reach).collect();
                // A line of a file that is named as well says nothing more.
                let is_narrower =
                    |target: &&Target| target.reached_by().iter().any(|by| *by != target.reach() && all.contains(by));
                let broad: BTreeSet<_> =
                    targets.iter().filter(|target| !is_narrower(target)).map(Target::reach).collect();
                broad.into_iter().collect()
            }
        };
        named
            .into_iter()
            .inspect(|_| counting::one())
            .filter_map(|reach| self.places.get(&(id, reach)).copied())
            .collect()
    }

    /// The findings of a part, by their places.
    pub(super) fn list(&self, part: usize) -> &[usize] {
        self.lists.get(part).map_or(&[], Vec::as_slice)
    }

    /// How many parts there are.
    pub(super) fn len(&self) -> usize {
        self.lists.len()
    }
}
