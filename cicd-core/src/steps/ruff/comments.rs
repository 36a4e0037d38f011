use std::collections::{BTreeMap, HashMap};

use crate::model::{Finding, Severity};
use crate::scan::{Pragma, Reach, first_from};

use super::RuffCode;

fn unseen() -> Reach {
    let message = "ruff passes over this code when it sorts or formats";
    Reach::Unseen(Box::new(Finding::new(RuffCode::PassedOver, message).severity(Severity::Low)))
}

const ENDLESS: Reach = Reach::Refused("no `# ruff: enable` follows with the same rules");
const WITHIN: Reach = Reach::Refused("one of its rules is disabled already, further up");

/// The comments that the linter obeys: `noqa`, those that begin with `ruff:`, and those of isort.
pub(super) fn lint_pragmas(lines: &[&str]) -> Vec<Pragma> {
    let code = first_from(lines, |line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let next_code = |index: usize| number(code.get(index + 1).copied().flatten().unwrap_or(index));
    let mut pragmas = each_comment(lines, |index, comment, alone| {
        if let Some(rest) = after(comment, "noqa") {
            return Some(Pragma { index, rules: noqa_rules(rest), reach: Reach::Statement(number(index)) });
        }
        if let Some(rest) = after(comment, "flake8:").and_then(|rest| after(rest, "noqa")) {
            return Some(Pragma { index, rules: noqa_rules(rest), reach: Reach::File });
        }
        if is_of_isort(comment) {
            return Some(Pragma { index, rules: Vec::new(), reach: unseen() });
        }
        let rest = after(comment, "ruff:")?;
        if let Some(rest) = after(rest, "noqa") {
            return Some(Pragma { index, rules: noqa_rules(rest), reach: Reach::File });
        }
        let (verb, list) = rest.split_once('[')?;
        let rules = listed(list);
        let reach = match verb.trim() {
            "ignore" if alone => Reach::Statement(next_code(index)),
            "ignore" => Reach::Statement(number(index)),
            "file-ignore" => Reach::File,
            // Where it ends is told below.
            "disable" => ENDLESS,
            _ => return None,
        };
        Some(Pragma { index, rules, reach })
    });
    end(lines, &mut pragmas);
    pragmas
}

/// Gives each `disable` its end: the next `enable` of the same rules. No rule is disabled twice at a time, so that what is found is
/// reached by one of them.
fn end(lines: &[&str], pragmas: &mut [Pragma]) {
    let mut enables: BTreeMap<Vec<String>, Vec<usize>> = BTreeMap::new();
    for (index, line) in lines.iter().enumerate() {
        let comment = line.trim_start().strip_prefix('#').and_then(|comment| after(comment, "ruff:"));
        if let Some(list) = comment.and_then(|rest| after(rest, "enable[")) {
            enables.entry(listed(list)).or_default().push(index);
        }
    }
    let mut disabled_until: HashMap<String, usize> = HashMap::new();
    for pragma in pragmas.iter_mut().filter(|pragma| pragma.reach == ENDLESS) {
        if pragma.rules.iter().any(|rule| disabled_until.get(rule).is_some_and(|&until| pragma.index <= until)) {
            pragma.reach = WITHIN;
            continue;
        }
        let ends = enables.get(&pragma.rules).map_or(&[][..], Vec::as_slice);
        let until = ends.get(ends.partition_point(|&end| end <= pragma.index)).copied();
        if let Some(last) = until {
            pragma.reach = Reach::Lines(number(pragma.index)..=number(last));
        }
        let until = until.unwrap_or(usize::MAX);
        disabled_until.extend(pragma.rules.iter().map(|rule| (rule.clone(), until)));
    }
}

/// The rules in `F401, E501]` and whatever follows.
fn listed(list: &str) -> Vec<String> {
    let rules = list.split(']').next().unwrap_or(list).split(',').map(str::trim).filter(|rule| !rule.is_empty());
    rules.map(str::to_owned).collect()
}

/// The comments that the formatter obeys; the indices of their lines, from 0.
pub(super) fn format_pragmas(lines: &[&str]) -> Vec<Pragma> {
    each_comment(lines, |index, comment, _| {
        let fmt = after(comment, "fmt:").is_some_and(|rest| ["off", "skip"].contains(&first_word(rest)));
        let yapf = after(comment, "yapf:").is_some_and(|rest| first_word(rest) == "disable");
        (fmt || yapf).then_some(Pragma { index, rules: Vec::new(), reach: unseen() })
    })
}

/// Whether it keeps imports from being sorted; ruff takes the words wherever they stand in a comment.
fn is_of_isort(comment: &str) -> bool {
    let comment = comment.to_ascii_lowercase();
    let mut verbs = comment.match_indices("isort:").map(|(at, word)| comment[at + word.len()..].trim_start());
    verbs.any(|verb| verb.starts_with("skip") || verb.starts_with("off"))
}

fn each_comment(lines: &[&str], read: impl Fn(usize, &str, bool) -> Option<Pragma>) -> Vec<Pragma> {
    let pragmas = lines.iter().enumerate().flat_map(|(index, line)| {
        let alone = line.trim_start().starts_with('#');
        // One line may hold several: `# noqa: F401  # isort: skip`.
        line.split('#').skip(1).filter_map(|comment| read(index, comment, alone)).collect::<Vec<_>>()
    });
    pragmas.collect()
}

/// What follows `word` at the start of a comment, in capitals or not.
fn after<'a>(comment: &'a str, word: &str) -> Option<&'a str> {
    let comment = comment.trim_start();
    let start = comment.get(..word.len())?;
    start.eq_ignore_ascii_case(word).then(|| &comment[word.len()..])
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or("")
}

/// The rules in `: F401, E501 because …`; none for a bare one.
fn noqa_rules(rest: &str) -> Vec<String> {
    let Some(list) = rest.trim_start().strip_prefix(':') else { return Vec::new() };
    let words = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    words.take_while(|word| is_rule(word)).map(str::to_ascii_uppercase).collect()
}

/// Letters, then digits: `F401`.
fn is_rule(word: &str) -> bool {
    let digits = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    digits.len() < word.len() && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn number(index: usize) -> u32 {
    u32::try_from(index + 1).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::by_key::counting::is_linear;

    fn one(text: &str) -> Option<(Vec<String>, Reach)> {
        let lines: Vec<_> = text.lines().collect();
        let mut all = lint_pragmas(&lines);
        assert!(all.len() < 2, "{all:?}");
        all.pop().map(|pragma| (pragma.rules, pragma.reach))
    }

    #[test]
    fn every_form_is_understood() {
        for (text, rules, reach) in [
            ("import os  # noqa: F401", &["F401"][..], Reach::Statement(1)),
            ("import os  #NOQA:f401,E501 - because", &["F401", "E501"], Reach::Statement(1)),
            ("import os  # noqa : F401 E501", &["F401", "E501"], Reach::Statement(1)),
            ("import os  # noqa", &[], Reach::Statement(1)),
            ("import os  # noqa because", &[], Reach::Statement(1)),
            ("# ruff: noqa: F401", &["F401"], Reach::File),
            ("# ruff: noqa", &[], Reach::File),
            ("# flake8: noqa: F401", &["F401"], Reach::File),
            ("# ruff: file-ignore[F401, E501]", &["F401", "E501"], Reach::File),
            ("import os  # ruff: ignore[F401]", &["F401"], Reach::Statement(1)),
            ("# ruff: ignore[F401]\n\n# x\nimport os", &["F401"], Reach::Statement(4)),
            ("# ruff: disable[F401]\nimport os\n# ruff: enable[F401]", &["F401"], Reach::Lines(1..=3)),
            ("# ruff: disable[F401]\nimport os\n# ruff: enable[E501]", &["F401"], ENDLESS),
            ("import os  # isort: skip", &[], unseen()),
            ("# isort: skip_file", &[], unseen()),
            ("# ruff: isort: off", &[], unseen()),
            ("import os  # why isort:skip", &[], unseen()),
            ("import os  # isort:skip, as it must be first", &[], unseen()),
        ] {
            assert_eq!(one(text), Some((rules.iter().map(|&rule| rule.to_owned()).collect(), reach)), "{text}");
        }
        for text in ["# isort: on", "# isort: split", "x = 1  # type: ignore", "# ruff: enable[F401]", "nothing"] {
            assert_eq!(one(text), None, "{text}");
        }
        let twice = [
            "# ruff: disable[F401]",
            "# ruff: disable[E501, F401]",
            "# ruff: enable[E501, F401]",
            "# ruff: enable[F401]",
        ];
        let reaches: Vec<_> = lint_pragmas(&twice).into_iter().map(|pragma| pragma.reach).collect();
        assert_eq!(reaches, [Reach::Lines(1..=4), WITHIN]);
        let lines = ["import os  # noqa: F401  # isort: skip"];
        assert_eq!(lint_pragmas(&lines).len(), 2);
    }

    #[test]
    fn comments_are_read_in_one_pass() {
        for text in ["# ruff: disable[F401]", "# ruff: ignore[F401]", "x = 1  # noqa: F401"] {
            is_linear(text, 2, |length| {
                let lines = vec![text; length];
                assert_eq!(lint_pragmas(&lines).len(), length);
            });
        }
    }

    #[test]
    fn what_the_formatter_passes_over_is_seen() {
        let text = ["x  = 1  # fmt: skip", "# fmt: off", "# fmt: on", "# yapf: disable", "# FMT: OFF", "fmt: off"];
        let lines: Vec<_> = format_pragmas(&text).iter().map(|pragma| pragma.index).collect();
        assert_eq!(lines, [0, 1, 3]);
    }
}
