//! The words of a Rust program, as far as attributes and the names of items need them.

/// The words and marks of a program, each with its line from 0; `::` is one, and a text or character is told by its quote.
/// Comments and blanks are passed over.
#[must_use]
pub fn tokens(source: &str) -> Vec<(usize, &str)> {
    let bytes = source.as_bytes();
    let (mut all, mut at, mut line) = (Vec::new(), shebang(source), 0);
    while at < bytes.len() {
        let start = at;
        let rest = &source[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += block_comment(rest);
        } else if let Some(length) = raw_text(rest) {
            at += length;
            all.push((line, "\""));
        } else if rest.starts_with('"') {
            at += quoted(rest, '"');
            all.push((line, "\""));
        } else if rest.starts_with('\'') {
            at += character(rest);
            all.push((line, "'"));
        } else if let Some(rest) = rest.strip_prefix("r#").filter(|rest| rest.starts_with(is_word)) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            all.push((line, &rest[..length]));
            at += length + 2;
        } else if rest.starts_with(is_word) {
            let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            all.push((line, &rest[..length]));
            at += length;
        } else if rest.starts_with("::") {
            all.push((line, "::"));
            at += 2;
        } else {
            let c = rest.chars().next().map_or(1, char::len_utf8);
            if !rest.starts_with(char::is_whitespace) {
                all.push((line, &rest[..c]));
            }
            at += c;
        }
        line += source[start..at].matches('\n').count();
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
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if !escaped && c == quote {
            return at + c.len_utf8();
        }
        escaped = !escaped && c == '\\';
    }
    text.len()
}

/// The length of a character, or of the quote of a lifetime.
fn character(text: &str) -> usize {
    let mut inside = text.chars().skip(1);
    match (inside.next(), inside.next()) {
        (Some('\\'), _) => quoted(text, '\''),
        (Some(c), Some('\'')) => c.len_utf8() + 2,
        _ => 1,
    }
}
