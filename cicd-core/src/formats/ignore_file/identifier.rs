use std::sync::LazyLock;

use regex::Regex;

/// The families of Trivy's rules for configuration files: four digits follow, and an older name has `AVD-` in front.
const MISCONFIGURATIONS: [&str; 12] =
    ["DS", "KSV", "KCV", "AWS", "AZU", "GCP", "DIG", "GIT", "NIF", "OCI", "OPNSTK", "CLDSTK"];

/// The families of identifiers that Trivy reports, and what each looks like.
const FAMILIES: &[&str] = &[
    r"CVE-\d{4}-\d{4,19}",
    r"GHSA(-[23456789cfghjmpqrvwx]{4}){3}",
    r"PYSEC-\d{4}-\d+",
    r"(GO|RUSTSEC|OSV|MAL|GMS)-\d{4}-\d+",
    r"(DSA|DLA|DTSA)-\d+(-\d+)?",
    r"TEMP-\d+-[0-9A-F]+",
    r"(USN|ALAS2?|ELSA|RHSA|RHBA|RHEA|ALSA|RLSA|SUSE-SU|openSUSE-SU)-[0-9A-Za-z:.-]*\d",
    r"SNYK-[A-Z]+-[A-Z0-9]+-\d+",
    // Rules for secrets: lower-case words, such as `aws-access-key-id`.
    r"[a-z0-9]+(-[a-z0-9]+)+",
];

#[expect(clippy::expect_used, reason = "the pattern is made of literals, and every test of this file compiles it")]
static IDENTIFIER: LazyLock<Regex> = LazyLock::new(|| {
    let families = MISCONFIGURATIONS.join("|");
    // The oldest names, such as `DS002`, are aliases to Trivy to this day.
    let misconfigurations = format!(r"(?:AVD-)?(?:{families})-\d{{4}}|(?:{families})\d{{3}}");
    Regex::new(&format!("^(?:{}|{misconfigurations})$", FAMILIES.join("|"))).expect("a valid pattern")
});

/// Prefixes that are written in capitals; with any other case Trivy matches nothing.
const PREFIXES: &[&str] = &["CVE", "GHSA", "PYSEC", "DSA", "DLA", "USN", "RHSA", "RUSTSEC", "GO", "DS", "KSV", "AVD"];

/// What an identifier is a name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A flaw in a package.
    Flaw,
    /// A rule for configuration files, such as `DS-0002`.
    Misconfiguration,
    /// A rule for secrets, such as `aws-access-key-id`.
    Secret,
}

impl Kind {
    pub(super) fn of(id: &str) -> Self {
        let family = id.strip_prefix("AVD-").unwrap_or(id).split('-').next().unwrap_or(id);
        let family = family.trim_end_matches(|c: char| c.is_ascii_digit());
        if MISCONFIGURATIONS.contains(&family) {
            Self::Misconfiguration
        } else if id.contains(|c: char| c.is_ascii_uppercase()) {
            Self::Flaw
        } else {
            Self::Secret
        }
    }
}

/// What is to be said of a word that stands where an identifier should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is one.
    Good,
    /// It would be one if it were spelled so.
    Case(String),
    /// It is none; perhaps this was meant.
    Bad(Option<String>),
}

pub(super) fn judge(word: &str) -> Verdict {
    let spelled = capitalised(word);
    match (IDENTIFIER.is_match(word), spelled) {
        (_, Some(spelled)) if spelled != word && IDENTIFIER.is_match(&spelled) => Verdict::Case(spelled),
        (true, None) => Verdict::Good,
        (true, Some(spelled)) if spelled == word => Verdict::Good,
        (_, spelled) => Verdict::Bad(repaired(spelled.as_deref().unwrap_or(word))),
    }
}

/// The word with its family's prefix in capitals, if it has one of them in any case.
fn capitalised(word: &str) -> Option<String> {
    let (prefix, rest) = word.split_once('-')?;
    let known = PREFIXES.iter().find(|known| known.eq_ignore_ascii_case(prefix))?;
    let rest = if *known == "GHSA" { rest.to_ascii_lowercase() } else { rest.to_owned() };
    Some(format!("{known}-{rest}"))
}

/// The identifier that was probably meant: other separators, a missing hyphen, a mistyped family.
fn repaired(word: &str) -> Option<String> {
    let plain: String = word.chars().map(|c| if matches!(c, '_' | '/' | ':' | '‑' | '–') { '-' } else { c }).collect();
    let trimmed = plain.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    let prefix_end = trimmed.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(trimmed.len());
    let (prefix, rest) = trimmed.split_at(prefix_end);
    let family = PREFIXES
        .iter()
        .min_by_key(|known| strsim::damerau_levenshtein(known, &prefix.to_ascii_uppercase()))
        .filter(|known| strsim::damerau_levenshtein(known, &prefix.to_ascii_uppercase()) <= 1)?;
    let candidate = capitalised(&format!("{family}-{}", rest.trim_start_matches('-')))?;
    IDENTIFIER.is_match(&candidate).then_some(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_told_from_words() {
        for good in [
            "CVE-2023-32681",
            "CVE-2018-1000656",
            "GHSA-j8r2-6x86-q33q",
            "PYSEC-2023-74",
            "DSA-5432-1",
            "DLA-3456-1",
            "RHSA-2023:1234",
            "TEMP-0841856-B18BAF",
            "aws-access-key-id",
        ] {
            assert_eq!(judge(good), Verdict::Good, "{good}");
        }
        for (bad, meant) in [
            ("cve-2023-32681", Verdict::Case("CVE-2023-32681".to_owned())),
            ("GHSA-J8R2-6X86-Q33Q", Verdict::Case("GHSA-j8r2-6x86-q33q".to_owned())),
            ("CVE_2023_32681", Verdict::Bad(Some("CVE-2023-32681".to_owned()))),
            ("CEV-2023-32681", Verdict::Bad(Some("CVE-2023-32681".to_owned()))),
            ("CVE2023-32681", Verdict::Bad(Some("CVE-2023-32681".to_owned()))),
            ("CVE-23-32681", Verdict::Bad(None)),
            ("CVE-2023-326", Verdict::Bad(None)),
            ("<<<<<<<", Verdict::Bad(None)),
            ("*", Verdict::Bad(None)),
            ("", Verdict::Bad(None)),
        ] {
            assert_eq!(judge(bad), meant, "{bad}");
        }
    }

    #[test]
    fn the_oldest_names_of_rules_are_names_to_trivy_too() {
        for good in ["DS002", "KSV001", "AVD-DS-0002", "KSV-0001"] {
            assert_eq!((judge(good), Kind::of(good)), (Verdict::Good, Kind::Misconfiguration), "{good}");
        }
        for bad in ["DS-002", "ds-0002", "DS02", "KSV0001"] {
            assert_ne!(judge(bad), Verdict::Good, "{bad}");
        }
        assert_eq!(Kind::of("ALAS2-2023-1"), Kind::Flaw);
    }
}
