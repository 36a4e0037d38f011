//! Text that spreadsheets leave alone.

use std::borrow::Cow;

/// What makes a spreadsheet take text for a formula, in the forms of East Asian keyboards too.
const FORMULA: [char; 10] = ['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠'];

/// A cell of a CSV file that no spreadsheet takes for a formula: one that begins like it gets an apostrophe in front.
#[must_use]
pub fn inert(cell: &str) -> Cow<'_, str> {
    if is_formula(cell) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// The cell that [`inert`] was given.
#[must_use]
pub fn original(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| is_formula(rest)).unwrap_or(cell)
}

/// An apostrophe in front of a formula counts as one, so that what was written can be read back.
fn is_formula(cell: &str) -> bool {
    cell.trim_start_matches([' ', '\n', '\'', '"']).starts_with(FORMULA)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_cell_begins_a_formula() {
        for formula in
            ["=HYPERLINK(\"http://x\")", "+1", "-1+cmd|' /C calc'!A0", "@SUM(1)", "\t=1", "\r=1", " =1", "＝1", "'=1"]
        {
            assert!(inert(formula).starts_with('\'') && inert(formula).len() == formula.len() + 1, "{formula:?}");
            assert_eq!(original(&inert(formula)), formula);
        }
        for text in ["", "MIT", "it's", "'quoted'", "a=b", "1-2", "pkg:pypi/a@1"] {
            assert_eq!((&*inert(text), original(text)), (text, text));
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(cell in "['=+@ \\-\ta]{0,6}|\\PC*") {
            let written = inert(&cell);
            prop_assert_eq!(original(&written), cell.as_str());
        }
    }
}
