use super::text::plain;

/// Text from a tool, its lines kept and everything else that steers made visible.
pub(super) fn lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n")
}

/// Text for HTML and XML, between tags and in quoted attributes alike.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// The beginning of a text of more than so many characters.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    let mut chars = text.chars();
    let mut shown: String = chars.by_ref().take(chars_max).collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}
