//! Commands that are known to change something elsewhere, so that none runs on every `ci` by mistake.
//!
//! A program cannot be looked into, but its command line can. What stands there is read in every way in which a shell or an interpreter
//! could take it, and each reading is searched for known words: a text that only mentions a push is refused too, which an effect or a
//! reason answers.

mod known;

use std::collections::BTreeMap;

use self::known::{ACTIONS, BUILDERS, FLAGS, GOALS, KNOWN, LEADS, SHELLS};
use crate::process::Invocation;

/// A command line has fewer words; what a text of a megabyte says behind a program is not about it.
const WORDS_MAX: usize = 200;

/// No system starts a process with a longer argument: Linux takes 128 KiB, macOS 1 MiB of all together.
const ARGUMENT_BYTES_MAX: usize = 1 << 20;

/// Values of one variable that are tried.
const VALUES_MAX: usize = 4;

/// A value may be made of others, so many deep.
const DEPTH_MAX: usize = 3;

/// A value is a name or a few words; of a longer one the beginning is put in.
const VALUE_CHARS_MAX: usize = 128;

/// By no more than this a text grows when values are put into it.
const GROWTH_BYTES_MAX: usize = 4 << 20;

/// Stands for what is only known when the command runs.
const UNKNOWN: char = '\u{1}';

/// The same as a word or a value.
const UNKNOWN_WORD: &str = "\u{1}";

/// Stands before an unknown word that opens a command inside of another one.
const OPENING: char = '\u{2}';

/// Chooses no value of a variable that has several: which one it has then, nobody knows.
const PICK_NONE: usize = usize::MAX;

/// The words of a command line that are known to change something elsewhere.
pub(super) fn publishes(invocation: &Invocation) -> Option<String> {
    let mut words = vec![invocation.program_name().to_owned()];
    let startable = invocation.arguments().iter().filter(|argument| argument.len() <= ARGUMENT_BYTES_MAX);
    words.extend(startable.map(|argument| argument.to_string_lossy().into_owned()));
    let mut text = words.join(" ");
    if let Some(input) = invocation.input() {
        text.push(' ');
        text.push_str(&String::from_utf8_lossy(input));
    }
    let set = invocation.variables().map(|(name, value)| (name.to_string_lossy(), value.to_string_lossy()));
    let text = text.replace("\\\r\n", "").replace("\\\n", "");
    let variables = Variables::of(set.map(|(name, value)| (name.into_owned(), value.into_owned())), &text);
    search(&words, true).or_else(|| Reading::every(&variables).find_map(|reading| reading.search(&text, &variables)))
}

/// What variables are set to, in the text or around it.
struct Variables(BTreeMap<String, Vec<String>>);

impl Variables {
    fn of(set: impl Iterator<Item = (String, String)>, text: &str) -> Self {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::from([("IFS".to_owned(), vec![" ".to_owned()])]);
        let assigned = text.match_indices('=').filter_map(|(at, _)| assignment(&text[..at], &text[at + 1..]));
        for (name, value) in set.chain(assigned) {
            let values = all.entry(name).or_default();
            // One more than are tried tells that there are too many.
            if !values.contains(&value) && values.len() <= VALUES_MAX {
                values.push(value);
            }
        }
        Self(all)
    }

    /// The value of a variable, or what stands for it where it may have none.
    fn value<'a>(&'a self, name: &str, instead: Option<&'a str>, pick: usize) -> Option<&'a str> {
        let values = self.0.get(name).map_or(&[][..], Vec::as_slice);
        if values.len() > VALUES_MAX || (pick == PICK_NONE && values.len() > 1) {
            return Some(UNKNOWN_WORD);
        }
        let count = values.len() + usize::from(instead.is_some());
        let chosen = pick.checked_rem(count)?;
        values.get(chosen).map(String::as_str).or(instead)
    }

    /// The text with the values of variables in their place. What stands behind the name in `${NAME:-…}` may be code itself, and comes at the
    /// end once more.
    fn put_in(&self, text: &str, pick: usize) -> String {
        let mut out = String::with_capacity(text.len());
        let mut inner = String::new();
        let mut rest = text;
        // Where the next `}` or end of a line is; each is looked for once.
        let mut end = 0;
        while let Some(at) = rest.find('$').filter(|_| out.len() < text.len() + GROWTH_BYTES_MAX) {
            out.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let name_end =
                |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
            let (name, instead) = match rest.chars().next() {
                Some('{') => {
                    let start = text.len() - rest.len() + 1;
                    if end < start {
                        end = text[start..].find(['}', '\n']).map_or(text.len(), |length| start + length);
                    }
                    if !text[end..].starts_with('}') {
                        continue;
                    }
                    rest = &text[end + 1..];
                    let inside = &text[start..end];
                    let (name, more) = inside.split_at(name_end(inside));
                    if !more.is_empty() {
                        inner.extend(["\n;", inside, "\n;", more.trim_start_matches([':', '-', '=', '+', '?'])]);
                    }
                    (name, more.trim_start_matches(':').strip_prefix(['-', '=', '+']))
                }
                Some('(') => {
                    out.extend([' ', UNKNOWN, ' ']);
                    continue;
                }
                Some(c) if c.is_ascii_alphabetic() || c == '_' => {
                    let (name, after) = rest.split_at(name_end(rest));
                    rest = after;
                    (name, None)
                }
                Some(c) if c.is_ascii_digit() || matches!(c, '@' | '*') => {
                    rest = &rest[1..];
                    ("", None)
                }
                _ => continue,
            };
            out.push_str(self.value(name, instead, pick).unwrap_or(UNKNOWN_WORD));
        }
        out.push_str(rest);
        out.push_str(&inner);
        out
    }
}

/// A name that is set before a `=`, and what is behind it.
fn assignment(before: &str, behind: &str) -> Option<(String, String)> {
    let before = before.trim_end_matches([':', '?', '+']).trim_end_matches([' ', '\t']);
    let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
    let name = before.get(start..).filter(|name| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))?;
    let behind = behind.trim_start_matches([' ', '\t']);
    let behind = behind.char_indices().nth(VALUE_CHARS_MAX).map_or(behind, |(end, _)| &behind[..end]);
    let quote = behind.chars().next().filter(|c| matches!(c, '\'' | '"'));
    let value = match quote {
        Some(quote) => behind[1..].split(quote).next()?,
        None => behind.split(|c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | ')' | ',')).next()?,
    };
    (!value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

/// A way to take a text apart. Quotes and backslashes are undone in each.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// Which value of a variable that has several.
    pick: usize,
    /// Whether `\n` is the end of a line, as in a text of Python.
    escapes: bool,
    /// Whether texts are put together by `+`, and names stand for their values without a dollar.
    joined: bool,
    /// Whether `=` and `,` part words.
    loose: bool,
}

impl Reading {
    fn every(variables: &Variables) -> impl Iterator<Item = Self> + use<> {
        // One more for what stands for a variable without a value.
        let picks = variables.0.values().map(Vec::len).max().unwrap_or(1) + 1;
        let ways = (0..8_u8).map(|way| (way & 1 != 0, way & 2 != 0, way & 4 != 0));
        (0..picks).chain([PICK_NONE]).flat_map(move |pick| {
            ways.clone().map(move |(escapes, joined, loose)| Self { pick, escapes, joined, loose })
        })
    }

    fn search(self, text: &str, variables: &Variables) -> Option<String> {
        let mut text = text.to_owned();
        for _ in 0..DEPTH_MAX {
            if text.contains('$') {
                text = variables.put_in(&text, self.pick);
            }
        }
        self.commands(&text, variables).iter().find_map(|words| search(words, !self.loose))
    }

    /// The words of each command.
    fn commands(self, text: &str, variables: &Variables) -> Vec<Vec<String>> {
        let (mut all, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
        // What goes on in the next line: a list, a call or a sum.
        let mut is_open = false;
        // Whether the next word opens a command.
        let mut is_opening = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let escaped =
                (c == '\\' && self.escapes).then(|| chars.next_if(|next| matches!(next, 'n' | 'r' | 't'))).flatten();
            let (ends_word, ends_command) = match (c, escaped) {
                (_, Some('t')) => (true, false),
                (_, Some(_)) => (true, true),
                ('\n' | '\r', _) => (true, !is_open),
                (';' | '&' | '|', _) => (true, true),
                ('(' | ')' | '{' | '}' | '[' | ']' | '<' | '>' | '!', _) => (true, false),
                (',' | '=', _) if self.loose => (true, false),
                _ => (c.is_whitespace() || c == '`', false),
            };
            if !c.is_whitespace() {
                is_open = matches!(c, ',' | '(' | '[' | '{' | '+');
            }
            if !ends_word {
                if is_opening && c == UNKNOWN {
                    word.push(OPENING);
                }
                is_opening &= matches!(c, '\\' | '\'' | '"' | '@');
                // `+$TOOLCHAIN` stays what it is.
                let is_sum = || chars.clone().find(|c| !matches!(c, '\\' | '\'' | '"')) != Some(UNKNOWN);
                let is_dropped =
                    matches!(c, '\\' | '\'' | '"') || (c == '+' && self.joined && (!word.is_empty() || is_sum()));
                word.extend((!is_dropped).then_some(c));
                continue;
            }
            if !word.is_empty() {
                words.push(self.known(std::mem::take(&mut word), variables));
            }
            if c == '`' {
                words.push(UNKNOWN_WORD.to_owned());
            }
            is_opening = matches!(c, '(' | '{' | '`' | '!') || (is_opening && c.is_whitespace());
            if ends_command {
                all.push(std::mem::take(&mut words));
            }
        }
        words.extend((!word.is_empty()).then(|| self.known(word, variables)));
        all.push(words);
        all
    }

    fn known(self, word: String, variables: &Variables) -> String {
        let value = if self.joined { variables.value(&word, None, self.pick) } else { None };
        value.map_or(word, str::to_owned)
    }
}

/// What the words of one command are known to do. The program may stand anywhere: behind `sudo`, `xargs` or `if`. Whether an option is on
/// is only seen where its value is a part of it.
fn search(words: &[String], with_options: bool) -> Option<String> {
    words.iter().enumerate().find_map(|(index, word)| {
        let end = words.len().min(index + 1 + WORDS_MAX);
        let rest = || words[index + 1..end].iter().map(String::as_str).collect::<Vec<&str>>();
        if word.contains(UNKNOWN) {
            let action = words.get(index + 1).filter(|next| ACTIONS.contains(&next.as_str()))?;
            return starts(words, index).then(|| format!("… {action}"));
        }
        let program = word.rsplit('/').next()?.trim_start_matches('@');
        let program = program.strip_suffix(".exe").or_else(|| program.strip_suffix(".cmd")).unwrap_or(program);
        if let Some((_, goal)) = GOALS.iter().find(|(name, _)| *name == program) {
            let is_goal = |word: &&str| word.rsplit(':').next().is_some_and(|last| last.starts_with(goal));
            return rest().into_iter().find(is_goal).map(|goal| format!("{program} {goal}"));
        }
        let builds = with_options && BUILDERS.contains(&program);
        let known = KNOWN.iter().find(|(name, _)| *name == program).map(|(_, actions)| *actions);
        if known.is_none() && !builds {
            return None;
        }
        let rest = rest();
        let actions = known.unwrap_or_default();
        let found = actions.iter().find(|action| does(&rest, action)).map(|action| format!("{program} {action}"));
        let option = || builds.then(|| pushing(&rest)).flatten().map(|option| format!("{program} {option}"));
        // What only options tell to do it is told by no word.
        let takes_words = actions.iter().any(|action| !action.is_empty() && !action.starts_with('-'));
        let unknown = || rest.first().filter(|next| takes_words && is_unknown(next)).map(|_| format!("{program} …"));
        found.or_else(option).or_else(unknown)
    })
}

/// Whether nothing of a word is known.
fn is_unknown(word: &str) -> bool {
    word.contains(UNKNOWN) && word.chars().all(|c| matches!(c, UNKNOWN | OPENING))
}

/// Whether a word is where the program of a command stands: first, or behind what starts another one, its options and assignments.
fn starts(words: &[String], index: usize) -> bool {
    if words[index].starts_with(OPENING) {
        return true;
    }
    let from = index.saturating_sub(WORDS_MAX);
    let mut has_value = false;
    // The options before a word that may be their value.
    let mut options: Vec<&str> = Vec::new();
    for at in (from..index).rev() {
        let word = words[at].as_str();
        let program = word.rsplit('/').next().unwrap_or(word);
        if LEADS.contains(&program) || SHELLS.contains(&program) {
            return match LEADS.contains(&program) {
                true => !options.iter().any(|option| is_flag(program, option)),
                false => !has_value,
            };
        }
        let is_between = word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) || word.contains('=');
        if !is_between && !is_unknown(word) {
            // The word behind an option may be its value.
            let before = at.checked_sub(1).map(|before| words[before].as_str());
            let Some(option) = before.filter(|before| before.starts_with('-')) else { return false };
            has_value = true;
            options.push(option);
        }
    }
    from == 0
}

/// Whether an option of a program that starts another one is known to take no value.
fn is_flag(program: &str, option: &str) -> bool {
    let known = FLAGS.iter().find(|(name, ..)| *name == program);
    known.is_some_and(|(_, letters, long)| match option.strip_prefix("--") {
        Some(_) => long.contains(&option),
        None => option.len() > 1 && option[1..].chars().all(|c| letters.contains(c)),
    })
}

/// Whether the words after a program tell it to do this, whatever options stand between them.
fn does(mine: &[&str], action: &str) -> bool {
    let (options, wanted): (Vec<&str>, Vec<&str>) = action.split_whitespace().partition(|word| word.starts_with('-'));
    // `+toolchain` chooses which cargo it is.
    let plain: Vec<&str> = mine.iter().copied().filter(|word| !word.starts_with(['-', '+'])).collect();
    // Where options come first, the word behind each may be its value.
    let (mut before_max, mut after_option) = (0, false);
    for word in mine.iter().filter(|word| !word.starts_with('+')) {
        match (word.starts_with('-'), after_option) {
            (true, _) => after_option = true,
            (false, true) => (before_max, after_option) = (before_max + 1, false),
            (false, false) => break,
        }
    }
    let said = (0..=before_max).any(|before| plain.get(before..).is_some_and(|rest| rest.starts_with(&wanted)));
    said && options.iter().all(|option| mine.iter().any(|word| word.starts_with(option)))
}

/// The option by which a builder puts what it made into a registry. That it takes a cache from there is none.
fn pushing<'a>(words: &[&'a str]) -> Option<&'a str> {
    let is_off = |value: &str| matches!(value.to_ascii_lowercase().as_str(), "false" | "f" | "0");
    let before = std::iter::once("").chain(words.iter().copied());
    let mut pairs = before.zip(words.iter().copied());
    let found = pairs.find(|(before, word)| {
        let word = word.trim_matches(['"', '\'']);
        if let Some(value) = word.strip_prefix("--push") {
            return value.strip_prefix('=').map_or(value.is_empty(), |value| !is_off(value));
        }
        let takes = [before, &word].iter().any(|option| option.starts_with("--cache-from"));
        let mut parts = word.split([',', ' ']).map(|part| part.trim_matches(['"', '\'']));
        !takes
            && parts.any(|part| match part.rsplit_once('=') {
                Some((key, value)) if key.ends_with("type") => value == "registry",
                Some((key, value)) => key.ends_with("push") && !is_off(value),
                None => false,
            })
    });
    found.map(|(_, word)| word)
}

#[cfg(test)]
#[path = "publishing_tests.rs"]
mod tests;
