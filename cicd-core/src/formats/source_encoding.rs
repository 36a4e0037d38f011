//! The encoding that a comment of a Python source, or of a list of requirements, says it is written in.

/// Every encoding that this line names behind `coding:` or `coding=`: readers take the first, and do not agree on what is one.
pub(super) fn named_in(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("coding").filter_map(|(at, word)| {
        let named = line.get(at + word.len()..)?.strip_prefix([':', '='])?.trim_start();
        let is_of_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        let name = &named[..named.find(|c| !is_of_name(c)).unwrap_or(named.len())];
        (!name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_of_a_line_is_seen() {
        for (line, names) in [
            ("# -*- coding: utf-8 -*-", &["utf-8"][..]),
            ("# coding=utf-7 coding: utf-8", &["utf-7", "utf-8"]),
            ("# vim: set fileencoding=cp037:", &["cp037"]),
            ("# coding:coding:\trot13", &["coding", "rot13"]),
            ("# coding: ", &[]),
            ("# encoding of coding", &[]),
        ] {
            assert_eq!(named_in(line).collect::<Vec<_>>(), names, "{line}");
        }
    }
}
