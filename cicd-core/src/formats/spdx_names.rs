use spdx::{Expression, LicenseItem, ParseMode};

use super::LicenseTriple;

/// Licence classifiers of the package index and the beginnings of the SPDX identifiers they can mean. A classifier that is not
/// listed, such as `License :: OSI Approved`, says too little to contradict anything.
const CLASSIFIERS: &[(&str, &[&str])] = &[
    ("MIT License", &["MIT"]),
    ("MIT No Attribution License (MIT-0)", &["MIT-0"]),
    ("BSD License", &["BSD-", "0BSD"]),
    ("Apache Software License", &["Apache-"]),
    ("ISC License (ISCL)", &["ISC"]),
    ("The Unlicense (Unlicense)", &["Unlicense"]),
    ("CC0 1.0 Universal (CC0 1.0) Public Domain Dedication", &["CC0-1.0"]),
    ("Mozilla Public License 1.1 (MPL 1.1)", &["MPL-1.1"]),
    ("Mozilla Public License 2.0 (MPL 2.0)", &["MPL-2.0"]),
    ("Python Software Foundation License", &["PSF-2.0", "Python-2.0"]),
    ("Zope Public License", &["ZPL-"]),
    ("zlib/libpng License", &["Zlib", "Libpng"]),
    ("Eclipse Public License 1.0 (EPL-1.0)", &["EPL-1.0"]),
    ("Eclipse Public License 2.0 (EPL-2.0)", &["EPL-2.0"]),
    ("Boost Software License 1.0 (BSL-1.0)", &["BSL-1.0"]),
    ("GNU General Public License (GPL)", &["GPL-"]),
    ("GNU General Public License v2 (GPLv2)", &["GPL-2.0-only"]),
    ("GNU General Public License v2 or later (GPLv2+)", &["GPL-2.0-or-later"]),
    ("GNU General Public License v3 (GPLv3)", &["GPL-3.0-only"]),
    ("GNU General Public License v3 or later (GPLv3+)", &["GPL-3.0-or-later"]),
    ("GNU Lesser General Public License v2 (LGPLv2)", &["LGPL-2.0-only", "LGPL-2.1-only"]),
    ("GNU Lesser General Public License v2 or later (LGPLv2+)", &["LGPL-2.0-or-later", "LGPL-2.1-or-later"]),
    ("GNU Lesser General Public License v3 (LGPLv3)", &["LGPL-3.0-only"]),
    ("GNU Lesser General Public License v3 or later (LGPLv3+)", &["LGPL-3.0-or-later"]),
    ("GNU Library or Lesser General Public License (LGPL)", &["LGPL-"]),
    ("GNU Affero General Public License v3", &["AGPL-3.0-only"]),
    ("GNU Affero General Public License v3 or later (AGPLv3+)", &["AGPL-3.0-or-later"]),
];

/// What is wrong with an SPDX expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpdxProblem {
    /// It is not an expression of known identifiers.
    #[error("{expression:?} is not an SPDX licence expression: {problem}")]
    Invalid {
        /// The text.
        expression: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It uses an identifier that SPDX has withdrawn.
    #[error("{expression:?} uses {id}, which SPDX has deprecated")]
    Deprecated {
        /// The text.
        expression: String,
        /// The identifier.
        id: String,
    },
}

/// Checks that an expression is one by the [SPDX specification](https://spdx.github.io/spdx-spec/), of identifiers that are in
/// force.
///
/// # Errors
/// [`SpdxProblem`] says what is wrong.
pub fn check_spdx(expression: &str) -> Result<(), SpdxProblem> {
    if expression.trim().is_empty() {
        return Err(SpdxProblem::Invalid { expression: expression.to_owned(), problem: "it is empty".to_owned() });
    }
    let mode = ParseMode { allow_deprecated: true, ..ParseMode::STRICT };
    let parsed = Expression::parse_mode(expression, mode).map_err(|error| SpdxProblem::Invalid {
        expression: expression.to_owned(),
        problem: error.reason.to_string(),
    })?;
    let deprecated = parsed.requirements().find_map(|requirement| match &requirement.req.license {
        LicenseItem::Spdx { id, .. } => id.is_deprecated().then(|| id.name.to_owned()),
        LicenseItem::Other { .. } => None,
    });
    match deprecated {
        Some(id) => Err(SpdxProblem::Deprecated { expression: expression.to_owned(), id }),
        None => Ok(()),
    }
}

/// An expression in the spelling of the specification; nothing where it is none. A name that only resembles an identifier is not
/// guessed at.
#[must_use]
pub fn normalized_spdx(expression: &str) -> Option<String> {
    let mode = ParseMode { allow_imprecise_license_names: false, allow_deprecated: true, ..ParseMode::LAX };
    Expression::parse_mode(expression, mode).ok()?;
    let spelled = Expression::canonicalize(expression).ok()?;
    Some(spelled.unwrap_or_else(|| expression.to_owned()))
}

/// Whether two expressions have the same licences joined in the same way. Spaces and brackets without effect do not count.
#[must_use]
pub fn same_spdx(one: &str, other: &str) -> bool {
    match (Expression::parse(one), Expression::parse(other)) {
        (Ok(one), Ok(other)) => one.iter().eq(other.iter()),
        _ => one == other,
    }
}

/// The first licence classifier that no licence of `expression` fits.
#[must_use]
pub fn contradicting_classifier<'a>(triple: &'a LicenseTriple, expression: &str) -> Option<&'a str> {
    let parsed = Expression::parse(expression).ok()?;
    let ids: Vec<_> = parsed.requirements().map(|requirement| requirement.req.license.to_string()).collect();
    triple.classifier_names().find(|name| {
        meaning(name).is_some_and(|beginnings| !ids.iter().any(|id| beginnings.iter().any(|begin| fits(id, begin))))
    })
}

fn meaning(classifier: &str) -> Option<&'static [&'static str]> {
    CLASSIFIERS.iter().find(|(name, _)| *name == classifier).map(|(_, beginnings)| *beginnings)
}

fn fits(id: &str, beginning: &str) -> bool {
    if beginning.ends_with('-') { id.starts_with(beginning) } else { id == beginning }
}

/// The expression that the metadata leaves no doubt about, for a reviewer to confirm; empty where it leaves some.
#[must_use]
pub fn propose_spdx(triple: &LicenseTriple) -> String {
    if !triple.expression.is_empty() {
        return if check_spdx(&triple.expression).is_ok() { triple.expression.clone() } else { String::new() };
    }
    let meanings: Vec<_> = triple.classifier_names().map(meaning).collect();
    if let [Some([id])] = meanings.as_slice()
        && check_spdx(id).is_ok()
    {
        return (*id).to_owned();
    }
    // A field such as `MIT` or `Unlicense` is only taken where no classifier says otherwise.
    let agreed = meanings.is_empty() && check_spdx(&triple.metadata).is_ok();
    if agreed { triple.metadata.clone() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn triple(metadata: &str, classifiers: &[&str], expression: &str) -> LicenseTriple {
        LicenseTriple {
            metadata: metadata.to_owned(),
            classifiers: classifiers.iter().map(|name| format!("License :: OSI Approved :: {name}")).collect(),
            expression: expression.to_owned(),
        }
    }

    #[test]
    fn expressions_are_checked_strictly() {
        for good in [
            "MIT",
            "MIT AND (BSD-3-Clause OR Apache-2.0 WITH LLVM-exception)",
            "GPL-3.0-only",
            "LicenseRef-own",
            "MIT or ISC",
        ] {
            assert_eq!(check_spdx(good), Ok(()), "{good}");
        }
        for bad in ["", " ", "mit", "MIT Or ISC", "MIT OR", "MIT/ISC", "Public Domain", "MIT AND (BSD-3-Clause", "BSD"]
        {
            assert!(matches!(check_spdx(bad), Err(SpdxProblem::Invalid { .. })), "{bad:?} was accepted");
        }
        assert!(matches!(check_spdx("GPL-3.0"), Err(SpdxProblem::Deprecated { .. })));
        assert!(matches!(
            check_spdx("MIT OR LGPL-2.1+"),
            Err(SpdxProblem::Deprecated { .. } | SpdxProblem::Invalid { .. })
        ));
    }

    #[test]
    fn spellings_are_normalised_and_nothing_is_guessed() {
        for (text, normal) in [
            ("MIT", Some("MIT")),
            ("MIT or ISC", Some("MIT OR ISC")),
            ("GPL-2.0-only WITH Classpath-exception-2.0", Some("GPL-2.0-only WITH Classpath-exception-2.0")),
            ("LicenseRef-own AND MIT", Some("LicenseRef-own AND MIT")),
            ("BSD", None),
            ("GPL-2.0-only WITH bison-exception+", None),
            ("", None),
            ("public-domain", None),
        ] {
            assert_eq!(normalized_spdx(text).as_deref(), normal, "{text:?}");
        }
    }

    #[test]
    fn expressions_are_compared_by_meaning() {
        assert!(same_spdx("MIT OR (Apache-2.0)", "(MIT OR Apache-2.0)"));
        assert!(!same_spdx("MIT OR Apache-2.0", "MIT AND Apache-2.0"));
        assert!(!same_spdx("MIT", "ISC"));
    }

    #[test]
    fn a_classifier_can_contradict_an_expression() {
        let mit = triple("", &["MIT License"], "");
        assert_eq!(contradicting_classifier(&mit, "GPL-3.0-only"), Some("MIT License"));
        assert_eq!(contradicting_classifier(&mit, "MIT OR Apache-2.0"), None);
        let vague = triple("", &["Public Domain"], "");
        assert_eq!(contradicting_classifier(&vague, "Unlicense"), None);
        let bsd = triple("", &["BSD License"], "");
        assert_eq!(contradicting_classifier(&bsd, "BSD-3-Clause"), None);
    }

    #[test]
    fn only_what_leaves_no_doubt_is_proposed() {
        assert_eq!(propose_spdx(&triple("", &[], "BSD-3-Clause")), "BSD-3-Clause");
        assert_eq!(propose_spdx(&triple("Unlicense", &["The Unlicense (Unlicense)"], "")), "Unlicense");
        assert_eq!(propose_spdx(&triple("MIT", &[], "")), "MIT");
        assert_eq!(propose_spdx(&triple("Unlicense", &["Public Domain"], "")), "");
        assert_eq!(propose_spdx(&triple("BSD", &["BSD License"], "")), "");
        assert_eq!(propose_spdx(&triple("", &["MIT License", "BSD License"], "")), "");
    }
}
