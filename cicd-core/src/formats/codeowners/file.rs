use std::fmt;

use camino::Utf8Path;

use super::Pattern;
use super::pattern::Segment;
use super::set::{Patterns, Shape};
use crate::formats::printable::{is_invisible, printable};
use crate::model::Location;
use crate::policy::check_owner;

/// A line that is longer was not written by a person.
const LINE_BYTES_MAX: usize = 10_000;
/// Of these rules each is tried on every file, where others are looked up. Nobody writes so many of them by hand.
const TRIED_RULES_MAX: usize = 1_000;
/// The account that stands for deleted ones.
const GHOST: &str = "@ghost";
/// The most characters that an account's name has.
const ACCOUNT_CHARS_MAX: usize = 39;

/// A CODEOWNERS file: the rules that can be understood, and what is wrong with the rest.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CodeOwnersFile {
    rules: Vec<Rule>,
    /// The patterns of the rules.
    patterns: Patterns,
    /// How many of them have to be tried.
    tried: usize,
    /// What is wrong; a line whose pattern is wrong is not among the rules.
    pub defects: Vec<Defect>,
}

/// One line: a pattern and its owners, or none, which takes the owners away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which files.
    pub pattern: Pattern,
    /// Whose they are. An approval by any one of them is enough.
    pub owners: Vec<Owner>,
    /// Where the pattern stands.
    pub location: Location,
}

/// Somebody who owns code: `@user`, `@organisation/team` or an e-mail address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(String);

impl Owner {
    /// The owner as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this and another text name the same owner: GitHub does not tell capitals from small letters here.
    #[must_use]
    pub fn is(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something wrong at a place of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defect {
    /// What kind of thing.
    pub kind: DefectKind,
    /// Where.
    pub location: Location,
    /// What is wrong, in one line.
    pub message: String,
}

/// The kinds of things that can be wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefectKind {
    /// GitHub reads it in another way than a person does, or not at all.
    Syntax,
    /// An owner that cannot be one.
    Owner,
    /// The account that stands for deleted ones.
    Ghost,
}

impl CodeOwnersFile {
    /// Reads the text of a CODEOWNERS file; `path` is what locations show.
    #[must_use]
    pub fn parse(path: &Utf8Path, text: &str) -> Self {
        let mut file = Self::default();
        for (number, line) in (1_u32..).zip(text.split('\n')) {
            file.line(&Line { path, number, text: line });
        }
        file.patterns = Patterns::new(file.rules.iter().map(|rule| &rule.pattern));
        file
    }

    /// The rules, from top to bottom.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Their patterns, by the place of the rule.
    pub(crate) fn patterns(&self) -> &Patterns {
        &self.patterns
    }

    /// The rule that decides about a file: the last one that matches.
    #[must_use]
    pub fn rule_for(&self, file: &Utf8Path) -> Option<&Rule> {
        self.rules.get(self.patterns.last_matching(file)?)
    }

    /// The owners of a file; none where no rule matches or the rule that decides names nobody.
    #[must_use]
    pub fn owners_of(&self, file: &Utf8Path) -> &[Owner] {
        self.rule_for(file).map_or(&[], |rule| &rule.owners)
    }

    fn line(&mut self, line: &Line<'_>) {
        self.defects.extend(line.oddities());
        let text = line.text.trim_start_matches('\u{feff}').trim_end_matches('\r');
        let words = words(text);
        let Some((pattern, owners)) = words.split_first().filter(|(first, _)| !first.starts_with('#')) else { return };
        if line.text.len() > LINE_BYTES_MAX {
            self.defects.push(line.defect(
                DefectKind::Syntax,
                pattern,
                format!("it is longer than {LINE_BYTES_MAX} bytes"),
            ));
            return;
        }
        let parsed = match Pattern::parse(pattern) {
            Ok(parsed) => parsed,
            Err(error) => {
                let message = format!("{:?} is not a pattern: {error}", printable(pattern));
                self.defects.push(line.defect(DefectKind::Syntax, pattern, message));
                return;
            }
        };
        self.tried += usize::from(is_tried(&parsed));
        if self.tried > TRIED_RULES_MAX && is_tried(&parsed) {
            let message = format!(
                "{:?} is left out: it has a wildcard within a name, as have {TRIED_RULES_MAX} patterns above it",
                printable(pattern)
            );
            self.defects.push(line.defect(DefectKind::Syntax, pattern, message));
            return;
        }
        let mut rule = Rule { pattern: parsed, owners: Vec::new(), location: line.at(pattern) };
        for owner in owners.iter().take_while(|word| !word.starts_with('#')) {
            if owner.eq_ignore_ascii_case(GHOST) {
                let message = "@ghost stands for deleted accounts: nobody is asked".to_owned();
                self.defects.push(line.defect(DefectKind::Ghost, owner, message));
            } else if is_owner(owner) {
                rule.owners.push(Owner((*owner).to_owned()));
            } else {
                let message =
                    format!("{:?} is neither @user, @organisation/team nor an e-mail address", printable(owner));
                self.defects.push(line.defect(DefectKind::Owner, owner, message));
            }
        }
        self.rules.push(rule);
    }
}

/// The words of a line; a blank after `\` is part of a word.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = None;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        if matches!(c, ' ' | '\t') && !escaped {
            words.extend(start.take().map(|start| &line[start..at]));
        } else if start.is_none() {
            start = Some(at);
        }
        escaped = c == '\\' && !escaped;
    }
    words.extend(start.map(|start| &line[start..]));
    words
}

/// Whether a pattern has to be tried on each name.
fn is_tried(pattern: &Pattern) -> bool {
    pattern.segments().iter().any(|segment| match segment {
        Segment::AnyFolders => false,
        Segment::Name(name) => Shape::of(name) == Shape::Other,
    })
}

fn is_owner(text: &str) -> bool {
    if check_owner(text).is_err() {
        return false;
    }
    let Some(account) = text.strip_prefix('@') else { return true };
    let name = account.split_once('/').map_or(account, |(organisation, _)| organisation);
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    plain && name.len() <= ACCOUNT_CHARS_MAX && !name.starts_with('-') && !name.ends_with('-')
}

struct Line<'a> {
    path: &'a Utf8Path,
    number: u32,
    text: &'a str,
}

impl Line<'_> {
    /// The place of a part of this line, told by where the part begins in memory.
    fn at(&self, part: &str) -> Location {
        let offset = (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        let before = self.text.get(..offset).unwrap_or("");
        let column = before.chars().filter(|&c| c != '\u{feff}').count() + 1;
        Location::column(self.path, self.number, u32::try_from(column).unwrap_or(u32::MAX))
    }

    fn defect(&self, kind: DefectKind, part: &str, message: String) -> Defect {
        Defect { kind, location: self.at(part), message }
    }

    /// What is not seen and still read.
    fn oddities(&self) -> Vec<Defect> {
        let mut oddities = Vec::new();
        let mut odd = |part: &str, message: &str| {
            oddities.push(self.defect(DefectKind::Syntax, part, message.to_owned()));
        };
        let mut text = self.text;
        if let Some(rest) = text.strip_prefix('\u{feff}').filter(|_| self.number == 1) {
            odd(text, "the file begins with a byte order mark");
            text = rest;
        }
        if let Some(rest) = text.strip_suffix('\r') {
            odd(&text[rest.len()..], "the line ends in a carriage return");
            text = rest;
        }
        let unseen =
            |c: char| (c.is_whitespace() && !matches!(c, ' ' | '\t')) || c.is_control() && c != '\t' || is_invisible(c);
        if let Some(at) = text.find(unseen) {
            let code = text[at..].chars().next().map_or(0, u32::from);
            odd(&text[at..], &format!("the line has a character that is not seen, U+{code:04X}"));
        }
        oddities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> CodeOwnersFile {
        CodeOwnersFile::parse("CODEOWNERS".into(), text)
    }

    fn owners(file: &CodeOwnersFile, path: &str) -> String {
        file.owners_of(path.into()).iter().map(Owner::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_last_rule_that_matches_decides() {
        let file = parse("# top\n*  @org/all\n*.rs @rust a@example.com # both\n/docs/\n\n  My\\ file @me\n");
        assert!(file.defects.is_empty(), "{:?}", file.defects);
        assert_eq!(owners(&file, "a/b.py"), "@org/all");
        assert_eq!(owners(&file, "a/b.rs"), "@rust a@example.com");
        assert_eq!(owners(&file, "docs/b.rs"), "", "a rule without owners takes them away");
        assert_eq!(owners(&file, "x/My file"), "@me");
        assert_eq!(file.rules[3].location.to_string(), "CODEOWNERS:6:3");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, kind, place) in [
            ("\u{feff}* @a\n", DefectKind::Syntax, "CODEOWNERS:1:1"),
            ("* @a\r\n", DefectKind::Syntax, "CODEOWNERS:1:5"),
            ("*\u{a0}@a\n", DefectKind::Syntax, "CODEOWNERS:1:2"),
            ("* @a\u{200b}\n", DefectKind::Syntax, "CODEOWNERS:1:5"),
            ("!x @a\n", DefectKind::Syntax, "CODEOWNERS:1:1"),
            ("# x\n \\#x @a\n", DefectKind::Syntax, "CODEOWNERS:2:2"),
            ("* team\n", DefectKind::Owner, "CODEOWNERS:1:3"),
            ("* @\n", DefectKind::Owner, "CODEOWNERS:1:3"),
            ("* @a/b/c\n", DefectKind::Owner, "CODEOWNERS:1:3"),
            ("* @-a\n", DefectKind::Owner, "CODEOWNERS:1:3"),
            ("* @a, @b\n", DefectKind::Owner, "CODEOWNERS:1:3"),
            ("* @a @Ghost\n", DefectKind::Ghost, "CODEOWNERS:1:6"),
        ] {
            let defects = parse(text).defects;
            let first = defects.first().unwrap_or_else(|| panic!("{text:?} was accepted"));
            assert_eq!((first.kind, first.location.to_string().as_str()), (kind, place), "{text:?}");
        }
        let long = format!("{} @a", "x".repeat(LINE_BYTES_MAX));
        assert_eq!(parse(&long).defects.len(), 1);
    }

    #[test]
    fn nothing_makes_it_panic() {
        for text in ["", "\\", "\\ ", " \\", "#", "\u{feff}", "\r", "/", "* \\", "é\u{202e} é", "* @é"] {
            let file = parse(text);
            let _ = file.owners_of("".into());
            let _ = file.owners_of("a".into());
        }
    }
}
