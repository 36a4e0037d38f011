use crate::formats::rust_tokens::tokens;

/// The lines, from 0, with an attribute that keeps rustfmt from code: `rustfmt::skip`, with whatever stands around it.
///
/// Comments, texts and blanks are passed over, so that neither spelling `# [ rustfmt :: skip ]` over several lines nor hiding it in
/// `cfg_attr` helps, and a text that speaks of it is none.
pub(super) fn lines(source: &str) -> Vec<usize> {
    // Each word that counts stands in the text as it is; most files have none and need not be taken apart.
    if !source.contains("rustfmt") {
        return Vec::new();
    }
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
