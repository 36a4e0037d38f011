/// One slip of the pen for so many letters: with more of them a suggestion is a guess, and a wrong one is worse than none.
const LETTERS_A_SLIP: usize = 3;

/// The candidate that was probably meant by `written`, if one is close enough.
#[must_use]
pub fn closest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&written, &candidate.to_lowercase()), candidate))
        .filter(|(slips, candidate)| slips * LETTERS_A_SLIP <= written.chars().count().max(candidate.chars().count()))
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let keys = ["version", "program", "sha256"];
        assert_eq!(closest("versoin", keys), Some("version"));
        assert_eq!(closest("SHA-256", keys), Some("sha256"));
        assert_eq!(closest("colour", keys), None);
        assert_eq!(closest("", keys), None);
    }

    #[test]
    fn only_near_names_are_suggested() {
        let steps = ["push", "image", "unit-tests", "trivy", "python-lint"];
        for far in ["nosuch", "lint", "im", "x", "pull", "unit"] {
            assert_eq!(closest(far, steps), None, "{far}");
        }
        for (near, meant) in [("puhs", "push"), ("imgae", "image"), ("unittests", "unit-tests"), ("Trivi", "trivy")] {
            assert_eq!(closest(near, steps), Some(meant), "{near}");
        }
    }
}
