use crate::model::finding_codes;

finding_codes! {
    /// What can be wrong with an entry of an ignore file. (`IGN-004`, expired, and `IGN-006`, stale, are the policy's.)
    pub enum IgnoreCode {
        NoReason = "IGN-001" {
            summary: "an ignore entry has no reason that can be reviewed",
            help: "add a line directly above the entry: `# reason: why this flaw does no harm here` (in YAML: `statement:`)",
            example: "CVE-2023-32681 without a `# reason:` line above it",
        },
        NoOwner = "IGN-002" {
            summary: "an ignore entry has no owner",
            help: "add a line directly above the entry: `# owner: @organisation/team` (in YAML: `owner:`)",
            example: "CVE-2023-32681 without a `# owner:` line above it",
        },
        NoExpiry = "IGN-003" {
            summary: "an ignore entry has no expiry that can be read",
            help: "add a line directly above the entry: `# expires: YYYY-MM-DD` (in YAML: `expired_at:`)",
            example: "CVE-2023-32681 exp:2023-13-01",
        },
        ExpiryTooFar = "IGN-005" {
            summary: "an ignore entry lasts longer than its severity allows",
            help: "set an earlier expiry: 30 days for critical, 90 for high, 180 for others; review it again then",
            example: "an entry for a critical flaw that expires in a year",
        },
        Duplicate = "IGN-007" {
            summary: "an ignore entry repeats an earlier one",
            help: "keep one of the two entries",
            example: "CVE-2023-32681 on two lines",
        },
        Malformed = "IGN-008" {
            summary: "an ignore entry names something that cannot exist",
            help: "write one identifier a line, such as CVE-2023-32681, GHSA-j8r2-6x86-q33q or PYSEC-2023-74",
            example: "CVE-23-32681",
        },
        ReadDifferently = "IGN-009" {
            summary: "Trivy would read this line of an ignore file differently than a person does",
            help: "write the identifier in capitals at the start of a line of its own, with nothing but `exp:YYYY-MM-DD` after it",
            example: "CVE-2023-32681 EXP:2027-01-01",
        },
        UnknownOwner = "IGN-010" {
            summary: "the owner of an ignore entry is nobody that CODEOWNERS names",
            help: "name somebody who is asked about changes of this repository, or add the owner to CODEOWNERS",
            example: "# owner: @example/secruity where CODEOWNERS has @example/security",
        },
        UnknownKey = "IGN-011" {
            summary: "a key of an ignore entry is not known, does not fit it or stands there twice",
            help: "the keys are reason, owner, expires, ticket, fix-blocked-by, purl, path and found-by; in YAML id, statement, owner, expired_at, ticket, fix-blocked-by, purls, paths and found_by",
            example: "# expire: 2027-01-01",
        },
        FixExists = "IGN-012" {
            summary: "an ignore entry is for a flaw that a newer version does not have",
            help: "upgrade the package; where that cannot be done yet, say why: `# fix-blocked-by: …`",
            example: "CVE-2023-32681, fixed in requests 2.31.0, without a `# fix-blocked-by:` line above it",
        },
        ListedTwice = "IGN-013" {
            summary: "two ignore entries name the same flaw by different names",
            help: "keep the entry with the CVE identifier",
            example: "CVE-2023-32681 and GHSA-j8r2-6x86-q33q",
        },
        ExpiresSoon = "IGN-014" {
            summary: "an ignore entry expires within 14 days",
            help: "upgrade the package, or have the entry reviewed again, before the day comes",
            example: "an entry that expires tomorrow",
        },
        TooBroad = "IGN-015" {
            summary: "an ignore entry without a scope hides findings in more than one place",
            help: "name what it is about, one line for each: `# purl: pkg:pypi/requests` for a package, `# path: /app/settings.env` for a file",
            example: "one entry for a CVE that two packages of the image have, without `# purl:`",
        },
    }
}
