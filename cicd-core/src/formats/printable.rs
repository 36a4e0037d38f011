//! Texts from outside, made fit to be shown.

use std::fmt;

/// Longer texts from outside are cut: a message is one line in a table, not an article.
const TEXT_CHARS_MAX: usize = 160;

/// A text from outside as it may stand in a message: one line of at most 160 characters, without control characters and without
/// the invisible ones that change the order in which text is shown. A hostile title can neither move the cursor nor start a line
/// that a CI system takes for a command.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::new();
    let mut blank = false;
    for (count, c) in text.trim().chars().enumerate() {
        if count >= TEXT_CHARS_MAX {
            shown.push('…');
            break;
        }
        if c.is_whitespace() {
            blank = true;
            continue;
        }
        if std::mem::take(&mut blank) {
            shown.push(' ');
        }
        shown.push(if steers(c) { '\u{FFFD}' } else { c });
    }
    shown
}

/// Whether `c` takes no space on its own, or changes the order of what stands around it.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{061C}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// Whether `c` could steer who shows it: a terminal, a page, a CI system or an XML parser. Those are control characters, C1 too,
/// what is invisible, the separators that some take for line ends, and what no text may hold.
#[must_use]
pub fn steers(c: char) -> bool {
    c.is_control()
        || is_invisible(c)
        || matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{034F}' | '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' | '\u{FDD0}'
                ..='\u{FDEF}'
        )
        || u32::from(c) & 0xFFFE == 0xFFFE
}

/// How many there are of something: `1 file`, `2 files`.
#[must_use]
pub fn counted(count: impl fmt::Display, noun: &str) -> String {
    let count = count.to_string();
    let ending = if count == "1" { "" } else { "s" };
    format!("{count} {noun}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(
            [counted(0, "file"), counted(1_u64, "file"), counted(21, "file")],
            ["0 files", "1 file", "21 files"]
        );
    }

    #[test]
    fn a_hostile_title_is_one_harmless_line() {
        assert_eq!(printable("a\n::error::b\r\n\x1b[2Jc\u{202e}d\0"), "a ::error::b \u{FFFD}[2Jc\u{FFFD}d\u{FFFD}");
        assert_eq!(printable("  plain – text  "), "plain – text");
        assert_eq!(printable(&"x".repeat(1000)).chars().count(), TEXT_CHARS_MAX + 1);
    }
}
