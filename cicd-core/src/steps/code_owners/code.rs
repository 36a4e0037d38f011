use crate::model::finding_codes;

finding_codes! {
    /// What can be wrong with who owns the files of a repository.
    pub enum OwnersCode {
        Unowned = "CO-001" {
            summary: "files have no owner, so nobody is asked when they change",
            help: "begin the file with a rule for everything: `* @organisation/team`",
            example: "/docs/ as the last line",
        },
        SensitiveElsewhere = "CO-002" {
            summary: "a sensitive file may be approved by somebody else than the security team",
            help: "let the last rule that matches it name the security team alone",
            example: "*.toml @example/developers below /ci/ @example/security",
        },
        Shadowed = "CO-003" {
            summary: "a rule decides about no file, as later rules match all of its files",
            help: "move it below the rules that shadow it, or delete it",
            example: "/ci/ @example/security above * @example/developers",
        },
        Dead = "CO-004" {
            summary: "a pattern matches no file",
            help: "correct its spelling, or delete it: what it was to protect is not protected by it",
            example: "/dokcs/ @example/writers",
        },
        Syntax = "CO-005" {
            summary: "GitHub reads a line differently than a person does, or skips it",
            help: "write plain lines of a pattern and owners, as UTF-8 with line feeds and without a byte order mark",
            example: "!docs/ @example/writers",
        },
        NotAnOwner = "CO-006" {
            summary: "an owner is not one, or not one of those that are known",
            help: "write @user, @organisation/team or an e-mail address, and add new owners to the step's list",
            example: "* example/developers",
        },
        SecondFile = "CO-007" {
            summary: "there is another CODEOWNERS file, and GitHub reads only one",
            help: "keep .github/CODEOWNERS and delete the other",
            example: "CODEOWNERS beside .github/CODEOWNERS",
        },
        TooLarge = "CO-008" {
            summary: "the file has 3 MB or more, so GitHub ignores all of it",
            help: "use patterns for folders instead of one line for each file",
            example: "a generated line for each of 100,000 files",
        },
        CatchAllNotFirst = "CO-009" {
            summary: "a rule for everything stands below others and overrides them all",
            help: "move it to the top of the file",
            example: "* @example/developers as the last line",
        },
        Ghost = "CO-010" {
            summary: "@ghost, which stands for deleted accounts, owns files",
            help: "name somebody who can be asked",
            example: "/legacy/ @ghost",
        },
        ForeignIgnoreOwner = "CO-011" {
            summary: "the owner of an exception does not own the file it is written down in",
            help: "name an owner who approves changes of that file, or have CODEOWNERS say so",
            example: "# owner: @example/developers in a .trivyignore that @example/security owns",
        },
    }
}
