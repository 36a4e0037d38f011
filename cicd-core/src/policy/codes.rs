use super::Origin;
use crate::model::{FindingCode as _, finding_codes};

finding_codes! {
    /// What can be wrong with an exception itself.
    pub enum ExceptionCode {
        Expired = "EXC-001" {
            summary: "an exception has expired",
            help: "fix the finding it allowed, or have the exception reviewed again with a new expiry",
            example: ".allow_root(Justification::new(…, \"2020-01-01\")?)",
        },
        Unused = "EXC-002" {
            summary: "an exception allows nothing that was found",
            help: "delete it; a relaxation nobody needs is a hole nobody watches",
            example: ".allow_root(…) on an image that runs as a numeric non-root user",
        },
        TooFar = "EXC-004" {
            summary: "an exception lasts longer than its severity allows",
            help: "set an earlier expiry: 30 days for critical, 90 for high, 180 for others unless the policy says otherwise; review it again then",
            example: ".allow_root(Justification::new(…, \"2099-01-01\")?)",
        },
        UnknownOwner = "EXC-005" {
            summary: "the owner of an exception is nobody that the policy knows",
            help: "name somebody who is asked about changes of this repository, or add the owner to the policy",
            example: "# owner: @example/secruity where the policy knows @example/security",
        },
        SaysNothing = "EXC-006" {
            summary: "an exception has no reason that can be reviewed, or no owner",
            help: "say why the finding does no harm here, in words that a reviewer can judge, and who answers for that",
            example: "# reason: DL3008 DL3008 DL3008 above `# hadolint ignore=DL3008`",
        },
        Duplicate = "EXC-007" {
            summary: "two exceptions allow the same finding",
            help: "keep the one whose owner answers for it",
            example: "`# ruff: noqa: F401` in a file and `# noqa: F401` on one of its lines",
        },
        ExpiresSoon = "EXC-008" {
            summary: "an exception expires within 14 days",
            help: "fix the finding it allows, or have the exception reviewed again, before the day comes",
            example: "an exception that expires tomorrow",
        },
        UnknownEnvironment = "EXC-009" {
            summary: "an exception is limited to an environment that the policy does not know",
            help: "name an environment that the pipeline clears for, or add it to the policy",
            example: "environments = [\"prodction\"] where the policy knows production",
        },
        IgnoreExpired = "IGN-004" {
            summary: "an ignore entry has expired",
            help: "upgrade the package, or have the entry reviewed again with a new expiry",
            example: "CVE-2023-32681 exp:2020-01-01",
        },
        IgnoreTooFar = "IGN-005" {
            summary: "an ignore entry lasts longer than its severity allows",
            help: "set an earlier expiry: 30 days for critical, 90 for high, 180 for others; review it again then",
            example: "an entry for a critical vulnerability that expires in a year",
        },
        IgnoreStale = "IGN-006" {
            summary: "an ignore entry matches nothing that was found",
            help: "delete the entry; it would hide the vulnerability should it come back",
            example: "an entry for a CVE that no installed package has",
        },
        IgnoreUnknownOwner = "IGN-010" {
            summary: "the owner of an ignore entry is nobody that the policy knows",
            help: "name somebody who is asked about changes of this repository, or add the owner to the policy",
            example: "# owner: @example/secruity where the policy knows @example/security",
        },
        IgnoreListedTwice = "IGN-013" {
            summary: "two ignore entries allow the same vulnerability",
            help: "keep the entry with the CVE identifier",
            example: "CVE-2023-32681 and GHSA-j8r2-6x86-q33q",
        },
        IgnoreExpiresSoon = "IGN-014" {
            summary: "an ignore entry expires within 14 days",
            help: "upgrade the package, or have the entry reviewed again, before the day comes",
            example: "an entry that expires tomorrow",
        },
    }
}

/// What can be wrong with an exception, whatever its origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Expired,
    Unused,
    TooFar,
    UnknownOwner,
    SaysNothing,
    Duplicate,
    ExpiresSoon,
    UnknownEnvironment,
}

impl Fault {
    /// The code and what to do, which the origin decides: no package can be upgraded to be rid of a comment.
    pub(super) fn of(self, origin: Origin) -> (ExceptionCode, &'static str) {
        let code = match (self, origin) {
            (Self::Expired, Origin::IgnoreFile) => ExceptionCode::IgnoreExpired,
            (Self::Unused, Origin::IgnoreFile) => ExceptionCode::IgnoreStale,
            (Self::TooFar, Origin::IgnoreFile) => ExceptionCode::IgnoreTooFar,
            (Self::UnknownOwner, Origin::IgnoreFile) => ExceptionCode::IgnoreUnknownOwner,
            (Self::Duplicate, Origin::IgnoreFile) => ExceptionCode::IgnoreListedTwice,
            (Self::ExpiresSoon, Origin::IgnoreFile) => ExceptionCode::IgnoreExpiresSoon,
            (Self::Expired, _) => ExceptionCode::Expired,
            (Self::Unused, _) => ExceptionCode::Unused,
            (Self::TooFar, _) => ExceptionCode::TooFar,
            (Self::UnknownOwner, _) => ExceptionCode::UnknownOwner,
            (Self::SaysNothing, _) => ExceptionCode::SaysNothing,
            (Self::Duplicate, _) => ExceptionCode::Duplicate,
            (Self::ExpiresSoon, _) => ExceptionCode::ExpiresSoon,
            (Self::UnknownEnvironment, _) => ExceptionCode::UnknownEnvironment,
        };
        let help = match (self, origin) {
            (Self::Expired | Self::ExpiresSoon, Origin::Comment) => {
                "correct the code so that the comment can go, or have it reviewed again and write a new `# expires:`"
            }
            (Self::Unused, Origin::Comment) => "delete the comment: the tool has nothing to say there",
            (Self::Duplicate, Origin::Comment) => "delete one of the two comments",
            (Self::Expired | Self::ExpiresSoon, Origin::Pipeline) => {
                "take the relaxation out of the pipeline, or have it reviewed again and write a new date there"
            }
            (Self::Expired | Self::ExpiresSoon, Origin::ExceptionsFile) => {
                "correct what it allows, or have the entry reviewed again and write a new `expires`"
            }
            _ => code.info().help,
        };
        (code, help)
    }
}
