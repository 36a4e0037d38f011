use camino::Utf8Path;

use super::entry::{Judge, Placed, RawEntry, defect, read_date};
use super::{IgnoreCode, IgnoreFile};
use crate::formats::printable::{is_invisible, printable};
use crate::model::{Finding, Location};
use crate::policy::{CommentLine, LIMIT, comment_line};

/// Trivy reads lines into a buffer of 64 KiB; at the first longer line it stops reading, without a word.
const LINE_BYTES_MAX: usize = (64 << 10) - 1;

const KEYS: [&str; 9] = ["reason", "owner", "expires", "ticket", "fix-blocked-by", "purl", "path", "found-by", LIMIT];

/// Reads the plain form: identifiers on lines of their own, each with a block of comments directly above it.
#[must_use]
pub fn read_plain(path: &Utf8Path, bytes: &[u8]) -> IgnoreFile {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = 1 + bytes[..error.valid_up_to()].iter().filter(|&&b| b == b'\n').count();
            let message = "the file is not UTF-8 text, so Trivy finds no identifier in it";
            let at = Location::line(path, u32::try_from(line).unwrap_or(u32::MAX));
            let finding = defect(IgnoreCode::ReadDifferently, at, message)
                .help("save the file as UTF-8 without a byte order mark");
            return IgnoreFile { findings: vec![finding], ..IgnoreFile::default() };
        }
    };
    let mut reader = Reader::default();
    for (number, line) in (1_u32..).zip(text.split('\n')) {
        reader.line(&Line { path, number, text: line.strip_suffix('\r').unwrap_or(line) });
        if reader.judge.is_full() {
            break;
        }
    }
    reader.judge.defects(reader.block.without_entry());
    reader.judge.finish()
}

#[derive(Default)]
struct Reader {
    block: Block,
    above: Above,
    judge: Judge,
}

/// What the comments directly above an entry say.
#[derive(Default)]
struct Block {
    reason: Option<Placed>,
    owner: Option<Placed>,
    expires: Option<Placed>,
    ticket: Option<Placed>,
    fix_blocked_by: Option<Placed>,
    found_by: Option<Placed>,
    environments: Option<Placed>,
    purls: Vec<Placed>,
    paths: Vec<Placed>,
    defects: Vec<Finding>,
    /// What is written as a key, and is near none: above an entry nobody would read it, any other comment may say what it likes.
    strange: Vec<Finding>,
}

/// What stands above a line whose own block is empty.
#[derive(Clone, Copy, Default)]
enum Above {
    #[default]
    Nothing,
    /// Comments with keys, then an empty line.
    Detached { line: u32 },
    /// An entry, to which the comments belong.
    Entry { line: u32 },
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
        let column = u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX);
        Location::column(self.path, self.number, column)
    }

    fn placed(&self, part: &str) -> Placed {
        Placed { text: part.to_owned(), at: self.at(part) }
    }

    fn differs(&self, part: &str, message: impl Into<String>) -> Finding {
        defect(IgnoreCode::ReadDifferently, self.at(part), message)
    }
}

impl Block {
    /// What is wrong with a block that belongs to no entry. A limit that is cut off from its entry would widen it.
    fn without_entry(self) -> Vec<Finding> {
        let Self { environments, purls, paths, mut defects, .. } = self;
        let limits = environments.into_iter().chain(purls).chain(paths);
        defects.extend(limits.map(|limit| {
            defect(IgnoreCode::UnknownKey, limit.at, "this limit belongs to no entry")
                .help("write it directly above its entry, without an empty line between them, or delete it")
        }));
        defects
    }

    fn has_keys(&self) -> bool {
        let Self { reason, owner, expires, ticket, fix_blocked_by, found_by, environments, .. } = self;
        let texts = [reason, owner, expires, ticket, fix_blocked_by, found_by, environments];
        texts.into_iter().any(Option::is_some) || !self.purls.is_empty() || !self.paths.is_empty()
    }

    fn comment(&mut self, line: &Line<'_>, comment: &str) {
        let (name, value) = match comment_line(comment, &KEYS) {
            CommentLine::Key(name, value) => (name, value),
            CommentLine::Unknown { written, meant: Some(meant) } => {
                return self.defects.push(unknown(line, written).help(format!("did you mean `{meant}`?")));
            }
            CommentLine::Unknown { written, meant: None } => {
                let help = format!("the keys are {}; other comments end with an empty line", KEYS.join(", "));
                return self.strange.push(unknown(line, written).help(help));
            }
            CommentLine::Other => return,
        };
        let slot = match name {
            "reason" => &mut self.reason,
            "owner" => &mut self.owner,
            "expires" => &mut self.expires,
            "ticket" => &mut self.ticket,
            "found-by" => &mut self.found_by,
            "fix-blocked-by" => &mut self.fix_blocked_by,
            "path" => return self.paths.push(line.placed(value)),
            "purl" => return self.purls.push(line.placed(value)),
            _ => &mut self.environments,
        };
        if slot.is_some() {
            let message = format!("`{name}` stands twice above one entry");
            let key = comment.trim_start_matches('#').trim_start();
            self.defects.push(defect(IgnoreCode::UnknownKey, line.at(key), message));
        } else if !value.is_empty() || name == LIMIT {
            // A limit without a name must not become none at all.
            *slot = Some(line.placed(value));
        }
    }
}

fn unknown(line: &Line<'_>, written: &str) -> Finding {
    defect(IgnoreCode::UnknownKey, line.at(written), format!("the key `{}` is not known", printable(written)))
}

impl Reader {
    fn line(&mut self, line: &Line<'_>) {
        let text = line.text.strip_prefix('\u{FEFF}').filter(|_| line.number == 1).unwrap_or(line.text).trim();
        let odd = oddities(line);
        if text.is_empty() {
            if self.block.has_keys() {
                self.above = Above::Detached { line: line.number };
            }
            self.judge.defects(odd);
            self.judge.defects(std::mem::take(&mut self.block).without_entry());
        } else if text.starts_with('#') {
            self.block.comment(line, text);
            self.block.defects.extend(odd);
        } else {
            self.entry(line, text, odd);
        }
    }

    fn entry(&mut self, line: &Line<'_>, text: &str, odd: Vec<Finding>) {
        let block = std::mem::take(&mut self.block);
        let hint = match self.above {
            _ if block.has_keys() => None,
            Above::Nothing => None,
            Above::Detached { line } => Some(format!("the comments above are cut off by the empty line {line}")),
            Above::Entry { line } => Some(format!("the comments above belong to the entry on line {line}")),
        };
        self.above = Above::Entry { line: line.number };
        let mut defects = block.defects;
        defects.extend(block.strange);
        defects.extend(odd);
        if !line.text.is_ascii() {
            defects.extend(not_ascii(line));
        }
        let mut words = text.split_whitespace();
        let id = words.next().unwrap_or(text);
        if id.contains([',', ';']) {
            defects.push(line.differs(id, "Trivy takes the whole list for one identifier and matches nothing"));
        } else if id.contains(['*', '?']) {
            defects.push(line.differs(id, "Trivy knows no patterns and matches nothing"));
        }
        let expires = expiry(line, words, block.expires, &mut defects);
        let Block { reason, owner, fix_blocked_by, purls, paths, found_by, environments, .. } = block;
        let each = |all: Placed| {
            let names: Vec<_> = all.text.split(',').map(str::to_owned).collect();
            names.into_iter().map(|text| Placed { text, at: all.at.clone() }).collect()
        };
        let environments = environments.map(each);
        let id = line.placed(id);
        let entry = RawEntry {
            id,
            reason,
            owner,
            expires,
            purls,
            paths,
            fix_blocked_by,
            found_by,
            environments,
            defects,
            hint,
        };
        self.judge.entry(entry);
    }
}

/// The expiry of an entry, from the words after its identifier and from the comments above it.
fn expiry<'a>(
    line: &Line<'_>,
    words: impl Iterator<Item = &'a str>,
    above: Option<Placed>,
    defects: &mut Vec<Finding>,
) -> Option<Placed> {
    let mut here: Option<Placed> = None;
    // One complaint of each kind says it; a line may have ten thousand words.
    let (mut dropped, mut twice, mut unknown) = (false, false, false);
    for word in words {
        match word.strip_prefix("exp:") {
            Some(_) if twice => {}
            Some(_) if here.is_some() => {
                twice = true;
                defects
                    .push(line.differs(word, "of two `exp:`, Trivy takes the first").help("keep one `exp:YYYY-MM-DD`"));
            }
            Some(date) => here = Some(line.placed(date)),
            None if word.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("exp")) && !unknown => {
                unknown = true;
                let message = format!("Trivy does not know `{}` and would keep the entry for ever", printable(word));
                defects.push(line.differs(word, message).help("write `exp:YYYY-MM-DD`"));
            }
            None if !dropped => {
                dropped = true;
                let message = "Trivy drops what stands after the identifier";
                defects.push(line.differs(word, message).help("move it to a line above: `# reason: …`"));
            }
            None => {}
        }
    }
    if let (Some(here), Some(above)) = (&here, &above)
        && here.text != above.text
    {
        let message =
            format!("Trivy takes {}, but the comment above says {}", printable(&here.text), printable(&above.text));
        let date = if read_date(&here.text).is_some() { here } else { above };
        defects.push(
            defect(IgnoreCode::ReadDifferently, here.at.clone(), message)
                .help(format!("keep one of the two, such as `exp:{}`", printable(&date.text))),
        );
    }
    here.or(above)
}

/// What makes any line of the file mean something else to Trivy than to its reader.
fn oddities(line: &Line<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if line.text.len() >= LINE_BYTES_MAX {
        let message = "the line is longer than 64 KiB: Trivy reads neither it nor anything below it";
        found.push(line.differs(line.text, message).help("shorten the line"));
    }
    let skip = usize::from(line.number == 1 && line.text.starts_with('\u{FEFF}'));
    let odd = line.text.char_indices().skip(skip).find(|&(_, c)| c.is_control() && c != '\t' || is_invisible(c));
    if let Some((index, c)) = odd {
        let message = match c {
            '\r' => "a carriage return inside a line: editors show two lines where Trivy reads one".to_owned(),
            c => format!("an invisible character, U+{:04X}", u32::from(c)),
        };
        let part = line.text.get(index..).unwrap_or(line.text);
        found.push(line.differs(part, message).help("delete the character"));
    }
    found
}

fn not_ascii(line: &Line<'_>) -> Option<Finding> {
    let (index, c) = line.text.char_indices().find(|(_, c)| !c.is_ascii())?;
    let message = match c {
        '\u{FEFF}' => {
            "the file starts with a byte order mark, which Trivy takes for a part of the identifier".to_owned()
        }
        c if is_invisible(c) => return None,
        c => format!("U+{:04X} is not an ASCII character", u32::from(c)),
    };
    let part = line.text.get(index..).unwrap_or(line.text);
    Some(line.differs(part, message).help("type the line anew, with plain hyphens and spaces"))
}
