use super::DockerfileError;

/// One instruction, its continuation lines joined and its here-documents taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Instruction {
    /// In upper case.
    pub keyword: String,
    /// `--name=value`, in order.
    pub flags: Vec<(String, String)>,
    /// What follows the flags.
    pub rest: String,
    /// Where it begins, from 1.
    pub line: u32,
}

/// The parser directives and the instructions of a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lines {
    /// The frontends that `# syntax=` names, and their lines. Builders differ on which lines are directives, so there may be more
    /// than one: each that some builder would run.
    pub frontends: Vec<(String, u32)>,
    pub instructions: Vec<Instruction>,
}

/// Every instruction that there is. A line with another word is none for any builder, but it may be for a reader that has lost its
/// place, so it is an error.
pub(in crate::formats) const KEYWORDS: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// Splits a Dockerfile into its instructions.
pub(super) fn split(text: &str) -> Result<Lines, DockerfileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let frontends = frontends(&lines);
    let escape = escape(&lines)?;
    let mut instructions = Vec::new();
    let mut next = 0;
    while let Some(&first) = lines.get(next) {
        let start = next;
        next += 1;
        if is_comment_or_empty(first) {
            continue;
        }
        let mut logical = String::new();
        let mut current = first;
        loop {
            let Some(part) = continued(current, escape) else {
                logical.push_str(current);
                break;
            };
            // Older builders take every escape at the end for a continuation, newer ones not an escaped one.
            if part.ends_with(escape) {
                let problem = format!("builders differ on whether {escape}{escape} at its end continues it");
                return Err(DockerfileError::Instruction { line: line_number(next - 1), problem });
            }
            logical.push_str(part);
            // Comments and empty lines inside a continuation are passed over, as the builder does.
            while lines.get(next).is_some_and(|line| is_comment_or_empty(line)) {
                next += 1;
            }
            match lines.get(next) {
                Some(&line) => current = line,
                None => break,
            }
            next += 1;
        }
        let line = line_number(start);
        let instruction = instruction(logical.trim(), line);
        for end in here_documents(&instruction)? {
            next = end.skip(&lines, next).ok_or(DockerfileError::HereDocument { line, end: end.word })?;
        }
        instructions.push(instruction);
    }
    Ok(Lines { frontends, instructions })
}

fn line_number(index: usize) -> u32 {
    u32::try_from(index).map_or(u32::MAX, |index| index.saturating_add(1))
}

fn is_comment_or_empty(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#')
}

/// The line without its continuation sign, if it ends with one.
fn continued(line: &str, escape: char) -> Option<&str> {
    line.trim_end_matches([' ', '\t']).strip_suffix(escape)
}

/// `name` and `value` of a comment that looks like a directive. `sign` begins it.
fn directive<'a>(line: &'a str, sign: &str) -> Option<(String, &'a str)> {
    let (name, value) = line.trim().strip_prefix(sign)?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let is_name =
        name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric());
    (is_name && !value.is_empty()).then(|| (name.to_ascii_lowercase(), value))
}

/// Every frontend that some builder would take from the first lines: Docker 20.10 goes on over directives that it does not know;
/// newer ones pass over a first line with `#!`, and take `//` for `#` too.
fn frontends(lines: &[&str]) -> Vec<(String, u32)> {
    let start = usize::from(lines.first().is_some_and(|line| line.starts_with("#!")));
    let named = |sign: &'static str| {
        let directives =
            lines.iter().enumerate().skip(start).map_while(move |(index, line)| Some((index, directive(line, sign)?)));
        directives
            .filter(|(_, (name, _))| name == "syntax")
            .map(|(index, (_, value))| (value.to_owned(), line_number(index)))
    };
    named("#").chain(named("//")).collect()
}

/// The escape sign, by directives that stand at the top only: the first line that is none ends them.
fn escape(lines: &[&str]) -> Result<char, DockerfileError> {
    // What older builders do not know ends the directives for them.
    let mut is_told_apart = false;
    for (index, line) in lines.iter().enumerate() {
        let Some((name, value)) = directive(line, "#") else { break };
        match name.as_str() {
            "escape" if is_told_apart => {
                let problem = "builders differ on whether this is a directive: put it into the first line".to_owned();
                return Err(DockerfileError::Instruction { line: line_number(index), problem });
            }
            "escape" => return Ok(if value == "`" { '`' } else { '\\' }),
            "syntax" => {}
            "check" => is_told_apart = true,
            _ => break,
        }
    }
    Ok('\\')
}

fn instruction(logical: &str, line: u32) -> Instruction {
    let (keyword, mut rest) = split_word(logical);
    let mut flags = Vec::new();
    while let Some((name, value, after)) = flag(rest) {
        flags.push((name, value));
        rest = after;
    }
    Instruction { keyword: keyword.to_ascii_uppercase(), flags, rest: rest.to_owned(), line }
}

/// The flag that a text begins with, as name and value, and what follows it. `--` alone ends the flags, and is none.
pub(super) fn flag(text: &str) -> Option<(String, String, &str)> {
    if !text.starts_with("--") {
        return None;
    }
    let Word { text: word, rest, .. } = word(text);
    let (name, value) = word.trim_start_matches('-').split_once('=').unwrap_or((word.trim_start_matches('-'), ""));
    (word != "--").then(|| (name.to_ascii_lowercase(), value.to_owned(), rest.trim_start()))
}

/// A word with its quotes and escapes taken off.
struct Word<'a> {
    text: String,
    /// As it is written.
    written: &'a str,
    rest: &'a str,
    /// Whether a quote in it was left open.
    is_open: bool,
}

/// The first word of a text, as builders read flags and shells read words: blanks in quotes and behind escapes are a part of it.
fn word(text: &str) -> Word<'_> {
    let (mut word, mut quote, mut escaped) = (String::new(), None, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if std::mem::take(&mut escaped) => word.push(c),
            '\\' if quote != Some('\'') => escaped = true,
            _ if quote == Some(c) => quote = None,
            '"' | '\'' if quote.is_none() => quote = Some(c),
            _ if c.is_whitespace() && quote.is_none() => {
                let (written, rest) = text.split_at(at);
                return Word { text: word, written, rest, is_open: false };
            }
            _ => word.push(c),
        }
    }
    Word { text: word, written: text, rest: "", is_open: quote.is_some() || escaped }
}

/// The first word and what follows it.
pub(super) fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let (word, rest) = text.split_at(text.find([' ', '\t']).unwrap_or(text.len()));
    (word, rest.trim_start())
}

/// A word without the quotes around it.
pub(super) fn unquoted(word: &str) -> &str {
    ['"', '\''].iter().find_map(|&quote| word.strip_prefix(quote)?.strip_suffix(quote)).unwrap_or(word)
}

struct HereDocument {
    word: String,
    strips_tabs: bool,
}

impl HereDocument {
    /// The index after its last line.
    fn skip(&self, lines: &[&str], from: usize) -> Option<usize> {
        let end = lines.get(from..)?.iter().position(|line| {
            let line = if self.strips_tabs { line.trim_start_matches('\t') } else { line };
            line == self.word
        })?;
        Some(from + end + 1)
    }
}

/// The here-documents that an instruction announces: `<<WORD`, `<<-WORD`, `<<"WORD"`, also with a file descriptor before it.
///
/// A builder that knows none reads their lines as instructions, and ends with an error at their last line if that is a plain word:
/// any other word is refused here.
fn here_documents(instruction: &Instruction) -> Result<Vec<HereDocument>, DockerfileError> {
    let announces = |keyword: &str| matches!(keyword, "RUN" | "COPY" | "ADD");
    let rest = match instruction.keyword.as_str() {
        keyword if announces(keyword) => instruction.rest.as_str(),
        "ONBUILD" => match split_word(&instruction.rest) {
            (keyword, rest) if announces(&keyword.to_ascii_uppercase()) => rest,
            _ => return Ok(Vec::new()),
        },
        _ => return Ok(Vec::new()),
    };
    // The JSON form of RUN is not for a shell.
    if rest.starts_with('[') {
        return Ok(Vec::new());
    }
    let unclear = |word: &str| DockerfileError::Instruction {
        line: instruction.line,
        problem: format!(
            "builders differ on whether {word:?} begins a here-document; end it with a plain word, such as EOF"
        ),
    };
    let mut found = Vec::new();
    let mut rest = rest.trim_start();
    while !rest.is_empty() {
        let Word { text, written, rest: after, is_open } = word(rest);
        if is_open && rest.contains("<<") {
            return Err(unclear(written));
        }
        rest = after.trim_start();
        let start = written.trim_start_matches(|c: char| c.is_ascii_digit());
        if start.starts_with("<<") && !start[2..].contains('<') {
            let text = text.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches("<<");
            let (strips_tabs, word) = text.strip_prefix('-').map_or((false, text), |word| (true, word));
            if word.is_empty() {
                continue;
            }
            let is_plain = word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !is_plain || KEYWORDS.contains(&word.to_ascii_uppercase().as_str()) {
                return Err(unclear(written));
            }
            found.push(HereDocument { word: word.to_owned(), strips_tabs });
        }
    }
    Ok(found)
}
