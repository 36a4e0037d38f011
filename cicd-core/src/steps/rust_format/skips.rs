/// The lines, from 0, with an attribute that keeps rustfmt from code: `rustfmt::skip`, with whatever stands around it.
///
/// Comments, texts and blanks are passed over, so that neither spelling `# [ rustfmt :: skip ]` over several lines nor hiding it in
/// `cfg_attr` helps, and a text that speaks of it is none.
pub(super) fn lines(source: &str) -> Vec<usize> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    for (at, (line, word)) in tokens.iter().enumerate() {
        let follows = |offset: usize, wanted: &str| tokens.get(at + offset).is_some_and(|(_, word)| *word == wanted);
        if *word == "rustfmt_skip" || (*word == "rustfmt" && follows(1, "::") && follows(2, "skip")) {
            found.push(*line);
        }
    }
    found.dedup();
    found
}

/// The words and double colons of a program, each with its line from 0; anything else is told by a dot.
fn tokens(source: &str) -> Vec<(usize, &str)> {
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
            all.push((line, "."));
        } else if rest.starts_with('"') {
            at += quoted(rest, '"');
            all.push((line, "."));
        } else if rest.starts_with('\'') {
            at += character(rest);
            all.push((line, "."));
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
                all.push((line, "."));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_seen_however_it_is_written() {
        for (source, expected) in [
            ("#[rustfmt::skip]\nfn a() {}", vec![0]),
            ("#![rustfmt::skip]", vec![0]),
            ("#![cfg_attr(rustfmt, rustfmt_skip)]", vec![0]),
            ("fn a() {}\n#[cfg_attr(any(unix, windows), rustfmt::skip)]\nfn b() {}", vec![1]),
            ("#[cfg_attr(\n    all(),\n    rustfmt /* x */ ::\n skip)]", vec![2]),
            ("# [ rustfmt :: skip :: macros ( html ) ]", vec![0]),
            ("#[r#rustfmt::skip]", vec![0]),
            ("let c = '\"'; #[rustfmt::skip] let d = '\"';", vec![0]),
            ("let c = '\\''; let l: &'static str = r#\"\"#;\n#[rustfmt::skip]", vec![1]),
            ("/* /* */ */ #[rustfmt::skip]", vec![0]),
            ("#!\"\n#[rustfmt::skip]\nfn  x( ){}\n// \"", vec![1]),
            ("#!/usr/bin/env \"r#\"\n#[rustfmt::skip]", vec![1]),
            ("\u{FEFF}#!/* x '\n#[rustfmt::skip]", vec![1]),
            ("#!/* x */\n// y\n[rustfmt::skip]", vec![2]),
            ("\"a\nb\"\n#[rustfmt::skip]", vec![2]),
        ] {
            assert_eq!(lines(source), expected, "{source}");
        }
        for source in [
            "// #[rustfmt::skip]",
            "/* #[rustfmt::skip] */",
            "\"#[rustfmt::skip]\"",
            "r#\"a \" #[rustfmt::skip]\"#",
            "#[rustfmt::other]",
            "let rustfmt = skip;",
            "b\"\\\" rustfmt::skip\"",
        ] {
            assert_eq!(lines(source), [0; 0], "{source}");
        }
    }
}
