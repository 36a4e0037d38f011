use crate::process::{Captured, Exit};
use crate::scan::Sources;
use crate::step::StepError;

/// By these a program ends whose stack does not suffice, SIGABRT, SIGBUS and SIGSEGV; any other is sent by somebody.
const OF_STACK: [i32; 3] = [6, 7, 11];

/// Ruff reads an expression level by level on its stack, and is ended by a signal where that does not suffice, without a word about
/// the file.
///
/// # Errors
/// When that has happened: the message has the place that is most likely.
pub(super) fn survived(sources: &Sources, captured: &[Captured]) -> Result<(), StepError> {
    let is_of_stack = |exit: &Exit| matches!(exit, Exit::Signal(signal) if OF_STACK.contains(signal));
    let Some(exit) = captured.iter().map(|one| one.exit).find(is_of_stack) else {
        return Ok(());
    };
    let places = sources.iter().map(|source| (longest(&source.text), &source.path));
    let place = places.max_by_key(|((words, _), _)| *words);
    let place =
        place.map_or(String::new(), |((words, line), path)| format!("; {path}:{line} has one of {words} words"));
    let what = format!("ruff was ended by {exit}, as it is by an expression with too many levels{place}");
    Err(StepError::not_looked(what, "write the expression in parts; see the step's log if it is not that one"))
}

/// The longest expression, roughly: its words and signs, and the line in which it begins.
fn longest(text: &str) -> (usize, usize) {
    let (mut best, mut words, mut start, mut line, mut open) = ((0, 1), 0, 1, 1, 0_usize);
    let mut in_word = false;
    for byte in text.bytes() {
        let is_word = byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
        words += usize::from(!(byte.is_ascii_whitespace() || (is_word && in_word)));
        in_word = is_word;
        match byte {
            b'(' | b'[' | b'{' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        if words > best.0 {
            best = (words, start);
        }
        line += usize::from(byte == b'\n');
        if matches!(byte, b',' | b';') || (byte == b'\n' && open == 0) {
            (words, start) = (0, line);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_with_the_deepest_expression_is_named() {
        let table = format!("TABLE = [\n{}]\n", "    (1, 'a text', 2),\n".repeat(5000));
        for deep in [
            format!("x = {}1{}\n", "(".repeat(3000), ")".repeat(3000)),
            format!("x = {}1{}\n", "(\n".repeat(3000), ")\n".repeat(3000)),
            format!("x = {}1\n", "not ".repeat(3000)),
            format!("x = a{}\n", ".b".repeat(3000)),
            format!("x = {}1\n", "lambda: ".repeat(3000)),
        ] {
            let text = format!("\n{deep}");
            let files = [("app/a.py", &table[..]), ("app/deep.py", &text), ("app/z.py", "x = 1\n")];
            let sources = Sources::recorded("ruff", semver::Version::new(0, 15, 0), &files);
            let ended = [Captured::recorded(Exit::Code(0), "", ""), Captured::recorded(Exit::Signal(6), "", "")];
            let error = survived(&sources, &ended).expect_err("it was ended").to_string();
            assert!(error.contains("SIGABRT") && error.contains("app/deep.py:2"), "{error}");
            assert!(survived(&sources, &ended[..1]).is_ok());
            let killed = [Captured::recorded(Exit::Signal(9), "", ""), Captured::recorded(Exit::Signal(15), "", "")];
            assert!(survived(&sources, &killed).is_ok(), "it was not its stack");
        }
    }
}
