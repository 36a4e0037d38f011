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
    /// The frontend that `# syntax=` names, and its line.
    pub syntax: Option<(String, u32)>,
    pub instructions: Vec<Instruction>,
}

/// Splits a Dockerfile into its instructions.
pub(super) fn split(text: &str) -> Result<Lines, DockerfileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let Directives { syntax, escape } = directives(&lines);
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
        for end in here_documents(&instruction) {
            next = end.skip(&lines, next).ok_or(DockerfileError::HereDocument { line, end: end.word })?;
        }
        instructions.push(instruction);
    }
    Ok(Lines { syntax, instructions })
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

struct Directives {
    syntax: Option<(String, u32)>,
    escape: char,
}

/// Directives stand at the top only: the first line that is none ends them.
fn directives(lines: &[&str]) -> Directives {
    let mut read = Directives { syntax: None, escape: '\\' };
    for (index, line) in lines.iter().enumerate() {
        let directive = line.trim().strip_prefix('#').and_then(|line| line.split_once('='));
        let Some((name, value)) = directive.map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim()))
        else {
            break;
        };
        match name.as_str() {
            "syntax" => read.syntax = Some((value.to_owned(), line_number(index))),
            "escape" if value == "`" => read.escape = '`',
            "escape" | "check" => {}
            _ => break,
        }
    }
    read
}

fn instruction(logical: &str, line: u32) -> Instruction {
    let (keyword, mut rest) = split_word(logical);
    let mut flags = Vec::new();
    while rest.starts_with("--") {
        let (flag, after) = split_word(rest);
        let (name, value) = flag.trim_start_matches('-').split_once('=').unwrap_or((flag.trim_start_matches('-'), ""));
        flags.push((name.to_ascii_lowercase(), unquoted(value).to_owned()));
        rest = after;
    }
    Instruction { keyword: keyword.to_ascii_uppercase(), flags, rest: rest.to_owned(), line }
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
fn here_documents(instruction: &Instruction) -> Vec<HereDocument> {
    let announces = |keyword: &str| matches!(keyword, "RUN" | "COPY" | "ADD");
    let rest = match instruction.keyword.as_str() {
        keyword if announces(keyword) => instruction.rest.as_str(),
        "ONBUILD" => match split_word(&instruction.rest) {
            (keyword, rest) if announces(&keyword.to_ascii_uppercase()) => rest,
            _ => return Vec::new(),
        },
        _ => return Vec::new(),
    };
    // The JSON form of RUN is not for a shell.
    if rest.starts_with('[') {
        return Vec::new();
    }
    rest.split([' ', '\t'])
        .filter_map(|word| {
            let word = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
            let (strips_tabs, word) = word.strip_prefix('-').map_or((false, word), |word| (true, word));
            let word = unquoted(word);
            let plain = !word.is_empty() && !word.contains(['<', '>', '(', ')', '"', '\'', '$']);
            plain.then(|| HereDocument { word: word.to_owned(), strips_tabs })
        })
        .collect()
}
