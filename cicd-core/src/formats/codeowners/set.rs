use std::collections::{BTreeMap, BTreeSet, HashMap};

use camino::Utf8Path;

use super::pattern::{Pattern, Reach, Segment, name_matches};
use crate::model::by_key::counting;

/// Many patterns, of which those that match a file are looked up instead of tried one by one: a tree of their parts.
///
/// Patterns that say the same share an end. A name with a wildcard that is not a lone `*` before the rest of it is the only thing that is
/// tried against each name; a file of rules may have [so many](super::file) of these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Patterns {
    /// The first one is the root.
    nodes: Vec<Node>,
    /// The end of each pattern.
    end_of: Vec<usize>,
    /// For each end the last of its patterns.
    last: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Node {
    names: HashMap<String, usize>,
    /// What stands behind a `*` that begins a name and is its only wildcard.
    tails: HashMap<String, usize>,
    others: BTreeMap<Vec<char>, usize>,
    any_folders: Option<usize>,
    /// Whether it is what `**` led to, and any folder leads back to it.
    is_any_folders: bool,
    ends: Vec<(Reach, usize)>,
}

impl Patterns {
    pub(crate) fn new<'a>(patterns: impl IntoIterator<Item = &'a Pattern>) -> Self {
        let mut all = Self { nodes: vec![Node::default()], ..Self::default() };
        for (place, pattern) in patterns.into_iter().enumerate() {
            counting::one();
            let node = pattern.segments().iter().fold(0, |node, segment| all.child(node, segment));
            let ends = &mut all.nodes[node].ends;
            let known = ends.iter().find(|(reach, _)| *reach == pattern.reach()).map(|(_, end)| *end);
            let end = known.unwrap_or(all.last.len());
            match known {
                Some(end) => all.last[end] = place,
                None => {
                    ends.push((pattern.reach(), end));
                    all.last.push(place);
                }
            }
            all.end_of.push(end);
        }
        all
    }

    fn child(&mut self, node: usize, segment: &Segment) -> usize {
        let new = self.nodes.len();
        let Node { names, tails, others, any_folders, .. } = &mut self.nodes[node];
        let child = match segment {
            Segment::AnyFolders => *any_folders.get_or_insert(new),
            Segment::Name(name) => match Shape::of(name) {
                Shape::Plain => *names.entry(name.iter().collect()).or_insert(new),
                Shape::Tail => *tails.entry(name[1..].iter().collect()).or_insert(new),
                Shape::Other => *others.entry(name.clone()).or_insert(new),
            },
        };
        if child == new {
            let is_any_folders = *segment == Segment::AnyFolders;
            self.nodes.push(Node { is_any_folders, ..Node::default() });
        }
        child
    }

    /// The ends of the patterns that match a file, given by its path from the repository's root.
    pub(crate) fn matching(&self, path: &Utf8Path) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let mut active = self.opened(BTreeSet::from([0]));
        let mut parts = path.as_str().split('/').peekable();
        while let Some(part) = parts.next().filter(|_| !active.is_empty()) {
            let is_file = parts.peek().is_none();
            let mut reached = BTreeSet::new();
            for &node in &active {
                self.step(node, part, &mut reached);
            }
            for (reach, end) in
                reached.iter().filter_map(|&node: &usize| self.nodes.get(node)).flat_map(|one| &one.ends)
            {
                counting::one();
                let holds = match reach {
                    Reach::FileOrBelow => true,
                    Reach::Below => !is_file,
                    Reach::File => is_file,
                };
                found.extend(holds.then_some(*end));
            }
            active = self.opened(reached);
        }
        found
    }

    /// The last of the patterns that match a file, by its place.
    pub(crate) fn last_matching(&self, path: &Utf8Path) -> Option<usize> {
        self.matching(path).into_iter().filter_map(|end| self.last.get(end).copied()).max()
    }

    /// The end of the pattern at a place.
    pub(crate) fn end_of(&self, place: usize) -> Option<usize> {
        self.end_of.get(place).copied()
    }

    /// How many ends there are.
    pub(crate) fn ends(&self) -> usize {
        self.last.len()
    }

    /// Where one name leads to.
    fn step(&self, node: usize, part: &str, reached: &mut BTreeSet<usize>) {
        let Some(Node { names, tails, others, is_any_folders, .. }) = self.nodes.get(node) else { return };
        counting::one();
        reached.extend(is_any_folders.then_some(node));
        reached.extend(names.get(part));
        if !tails.is_empty() {
            let starts = part.char_indices().map(|(at, _)| at).chain([part.len()]);
            reached.extend(starts.filter_map(|at| tails.get(&part[at..])));
        }
        if !others.is_empty() {
            let name: Vec<char> = part.chars().collect();
            let fits = others.iter().inspect(|_| counting::one()).filter(|(pattern, _)| name_matches(pattern, &name));
            reached.extend(fits.map(|(_, child)| *child));
        }
    }

    /// These nodes, and those behind a `**` that stands for no folder.
    fn opened(&self, mut nodes: BTreeSet<usize>) -> BTreeSet<usize> {
        for node in nodes.clone() {
            let mut at = node;
            while let Some(behind) = self.nodes.get(at).and_then(|one| one.any_folders) {
                nodes.insert(behind);
                at = behind;
            }
        }
        nodes
    }
}

/// How a name of a pattern is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// It has no wildcard.
    Plain,
    /// It has one, a `*` at its beginning.
    Tail,
    /// It has to be tried.
    Other,
}

impl Shape {
    pub(super) fn of(name: &[char]) -> Self {
        let is_plain = |text: &[char]| !text.iter().any(|c| matches!(c, '*' | '?'));
        match name {
            name if is_plain(name) => Self::Plain,
            ['*', tail @ ..] if is_plain(tail) => Self::Tail,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_patterns_at_once_match_what_each_matches_alone() {
        let parts = ["a", "b", "a.c", "*", "**", "a*", "*c", "?", "*.c", "***"];
        let mut texts = Vec::new();
        for one in parts {
            for two in parts {
                for three in ["", "a", "**", "*", "*c", "b?"] {
                    let body = if three.is_empty() { format!("{one}/{two}") } else { format!("{one}/{two}/{three}") };
                    texts.extend([one.to_owned(), format!("/{body}"), format!("{body}/"), body.clone(), body]);
                }
            }
        }
        let patterns: Vec<_> = texts.iter().filter_map(|text| Pattern::parse(text).ok()).collect();
        let all = Patterns::new(&patterns);
        assert!(all.ends() < patterns.len(), "some say the same");
        let names = ["a", "b", "a.c", "xc", ""];
        let mut matched = 0;
        for one in names {
            for two in names {
                for three in names {
                    let path =
                        [one, two, three].into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join("/");
                    if path.is_empty() {
                        continue;
                    }
                    let path = Utf8Path::new(&path);
                    let found = all.matching(path);
                    let alone: Vec<_> = (0..patterns.len()).filter(|&place| patterns[place].matches(path)).collect();
                    for (place, pattern) in patterns.iter().enumerate() {
                        let end = all.end_of(place).expect("each has one");
                        assert_eq!(found.contains(&end), pattern.matches(path), "{} {path}", pattern.as_str());
                    }
                    assert_eq!(all.last_matching(path), alone.last().copied(), "{path}");
                    matched += alone.len();
                }
            }
        }
        assert!(matched > 1_000, "{matched}");
    }
}
