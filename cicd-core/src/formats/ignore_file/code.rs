use crate::model::finding_codes;

finding_codes! {
    /// What can be wrong with an entry of an ignore file. (What is wrong with a complete one, such as `IGN-004`, expired, is the policy's to say.)
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
        UnknownKey = "IGN-011" {
            summary: "a key of an ignore entry is not known, does not fit it or stands there twice",
            help: "the keys are reason, owner, expires, ticket, fix-blocked-by, purl, path, found-by and environments; in YAML id, statement, owner, expired_at, ticket, fix-blocked-by, purls, paths, found_by and environments",
            example: "# expire: 2027-01-01",
        },
        FixExists = "IGN-012" {
            summary: "an ignore entry is for a flaw that a newer version does not have",
            help: "upgrade the package; where that cannot be done yet, say why: `# fix-blocked-by: …`",
            example: "CVE-2023-32681, fixed in requests 2.31.0, without a `# fix-blocked-by:` line above it",
        },
        TooBroad = "IGN-015" {
            summary: "an ignore entry without a scope hides findings in more than one place",
            help: "name what it is about, one line for each: `# purl: pkg:pypi/requests` for a package, `# path: /app/settings.env` for a file",
            example: "one entry for a CVE that two packages of the image have, without `# purl:`",
        },
    }
}
