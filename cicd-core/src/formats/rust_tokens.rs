//! The pieces of a Rust program: what its words are, and what is only between them.

/// What a piece of a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceKind {
    /// Blanks and line ends.
    Blank,
    /// A comment, or a first line for the system.
    Comment,
    /// A text, from the first quote (or `r`) to its end.
    Text,
    /// A character, or the quote of a lifetime.
    Character,
    /// A name, a keyword, a number up to its dot.
    Word,
    /// One other character, or `::`.
    Mark,
}

impl PieceKind {
    /// Whether the compiler sees it.
    #[must_use]
    pub fn is_code(self) -> bool {
        !matches!(self, Self::Blank | Self::Comment)
    }
}

/// A piece of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// What it is.
    pub kind: PieceKind,
    /// Its letters.
    pub text: &'a str,
}

/// The pieces of a program, in order; put together they are its whole text.
pub fn pieces(source: &str) -> impl Iterator<Item = Piece<'_>> {
    let (mut at, start) = (0, shebang(source));
    std::iter::from_fn(move || {
        let rest = &source[at..];
        let (kind, length) = if at < start { (PieceKind::Comment, start) } else { first_of(rest)? };
        at += length;
        Some(Piece { kind, text: &rest[..length] })
    })
}

/// What begins a text, and its length.
fn first_of(text: &str) -> Option<(PieceKind, usize)> {
    let bytes = text.as_bytes();
    let first = *bytes.first()?;
    let second = bytes.get(1).copied().unwrap_or(b' ');
    Some(match first {
        b'/' if second == b'/' => (PieceKind::Comment, memchr::memchr(b'\n', bytes).unwrap_or(bytes.len())),
        b'/' if second == b'*' => (PieceKind::Comment, block_comment(text)),
        b'"' => (PieceKind::Text, quoted(text, b'"')),
        b'\'' => (PieceKind::Character, character(text)),
        b':' if second == b':' => (PieceKind::Mark, 2),
        b' ' | b'\t'..=b'\r' => (PieceKind::Blank, length_of(bytes, |byte| matches!(byte, b' ' | b'\t'..=b'\r'))),
        b'r' | b'b' | b'c' if matches!(second, b'r' | b'"' | b'#') => match raw_text(text) {
            Some(length) => (PieceKind::Text, length),
            None if text.strip_prefix("r#").is_some_and(|rest| rest.starts_with(is_word)) => {
                (PieceKind::Word, 2 + word(&text[2..]))
            }
            None => (PieceKind::Word, word(text)),
        },
        _ => match text.chars().next()? {
            c if is_word(c) => (PieceKind::Word, word(text)),
            c if c.is_whitespace() => (PieceKind::Blank, c.len_utf8()),
            c => (PieceKind::Mark, c.len_utf8()),
        },
    })
}

fn length_of(bytes: &[u8], is_such: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| !is_such(byte)).unwrap_or(bytes.len())
}

/// The length of the word that begins a text.
fn word(text: &str) -> usize {
    let length = length_of(text.as_bytes(), |byte| byte == b'_' || byte.is_ascii_alphanumeric());
    if text.as_bytes().get(length).is_none_or(u8::is_ascii) {
        return length;
    }
    text.find(|c| !is_word(c)).unwrap_or(text.len())
}

/// The words and marks of a program, each with its line from 0; `::` is one, and a text or character is told by its quote.
/// Comments and blanks are passed over.
#[must_use]
pub fn tokens(source: &str) -> Vec<(usize, &str)> {
    let (mut all, mut line) = (Vec::new(), 0);
    for Piece { kind, text } in pieces(source) {
        match kind {
            PieceKind::Blank | PieceKind::Comment => {}
            PieceKind::Text => all.push((line, "\"")),
            PieceKind::Character => all.push((line, "'")),
            PieceKind::Word => all.push((line, text.strip_prefix("r#").unwrap_or(text))),
            PieceKind::Mark => all.push((line, text)),
        }
        line += memchr::memchr_iter(b'\n', text.as_bytes()).count();
    }
    all
}

/// The length of a first line that starts an interpreter. It is no code, unless what follows `#!` makes an attribute of it: see the
/// [reference](https://doc.rust-lang.org/reference/input-format.html#shebang-removal).
fn shebang(source: &str) -> usize {
    let start = source.len() - source.trim_start_matches('\u{FEFF}').len();
    let Some(rest) = source[start..].strip_prefix("#!") else { return start };
    if after_comments(rest).starts_with('[') {
        return start;
    }
    start + source[start..].find('\n').unwrap_or(source.len() - start)
}

/// What is left of a text without the blanks and comments that it begins with.
fn after_comments(text: &str) -> &str {
    let rest = text.trim_start();
    if rest.starts_with("//") {
        return rest.find('\n').map_or("", |end| after_comments(&rest[end..]));
    }
    if rest.starts_with("/*") {
        return after_comments(&rest[block_comment(rest)..]);
    }
    rest
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The length of a comment that may hold others.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    let bytes = text.as_bytes();
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => {
                depth += 1;
                at += 2;
            }
            Some(b"*/") => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    text.len()
}

/// The length of `r"…"`, `r#"…"#` and their kin, if one begins here.
fn raw_text(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        let rest = text.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.trim_start_matches('#').starts_with('"'))
    })?;
    let rest = &text[prefix.len()..];
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let end = format!("\"{}", &rest[..hashes]);
    let inside = hashes + 1;
    let length = rest[inside..].find(&end).map_or(rest.len() - inside, |at| at + end.len());
    Some(prefix.len() + inside + length)
}

/// The length of a text up to its closing quote.
fn quoted(text: &str, quote: u8) -> usize {
    let bytes = text.as_bytes();
    let mut at = 1;
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr::memchr2(quote, b'\\', rest)) {
        at += next;
        if bytes[at] == quote {
            return at + 1;
        }
        // A backslash takes a whole character with it, and none of its further bytes is a quote.
        at += 2;
    }
    bytes.len()
}

/// The length of a character, or of the quote of a lifetime.
fn character(text: &str) -> usize {
    let mut inside = text.chars().skip(1);
    match (inside.next(), inside.next()) {
        (Some('\\'), _) => quoted(text, b'\''),
        (Some(c), Some('\'')) => c.len_utf8() + 2,
        _ => 1,
    }
}
