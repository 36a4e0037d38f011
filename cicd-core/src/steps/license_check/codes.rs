use crate::model::finding_codes;

finding_codes! {
    /// What a licence check can find.
    pub enum LicenseCode {
        NotApproved = "LIC-001" {
            summary: "a package in the image, or in its lock file, is not approved",
            help: "review `cargo xtask licenses propose`, then add the row with approved_by, approved_on and reason",
            example: "flask in the image, no row for flask",
        },
        VersionNotApproved = "LIC-002" {
            summary: "a package in the image, or in its lock file, is approved, but not in this version",
            help: "review the difference, then replace the row; `cargo xtask licenses propose` prints it",
            example: "filelock 3.8.2 in the image, filelock 3.8.1 approved",
        },
        Unknown = "LIC-003" {
            summary: "a package says nothing of its licence",
            help: "find the licence in its sources, and approve it with what was found in `spdx`, or replace the package",
            example: "License: UNKNOWN, no classifier, no expression",
        },
        Changed = "LIC-004" {
            summary: "a package's licence is not what it was when this very version was approved",
            help: "the same version must not change: compare the files with those of the package index before approving again",
            example: "another SHA-256 of LICENSE under the same version",
        },
        Stale = "LIC-005" {
            summary: "an approved package is not in the image, or not in its lock file",
            help: "delete the row",
            example: "a row for a package that was removed from the lock file",
        },
        Duplicate = "LIC-006" {
            summary: "a package is approved twice in the same version",
            help: "delete one of the rows",
            example: "Flask_Login,0.6.3 and flask-login,0.6.3",
        },
        Spdx = "LIC-007" {
            summary: "an SPDX expression is invalid or deprecated",
            help: "use identifiers of spdx.org/licenses, such as GPL-3.0-only instead of GPL-3.0",
            example: "spdx = \"BSD\"",
        },
        Contradiction = "LIC-008" {
            summary: "two statements about a package's licence contradict each other",
            help: "find out which one is true, and correct the row or replace the package",
            example: "License-Expression: GPL-3.0-only with the classifier MIT License",
        },
        NotAsLocked = "LIC-009" {
            summary: "the image's packages are not those of the lock file",
            help: "build the image from the lock file and nothing else, and lock for its Python and platform alone: no condition excuses a package",
            example: "a package that a build script installed by itself",
        },
        Unreadable = "LIC-010" {
            summary: "a package in the image cannot be judged",
            help: "install a proper wheel of one version of it",
            example: "two dist-infos of one name in one folder, or METADATA that is not UTF-8",
        },
        Altered = "LIC-011" {
            summary: "files of an installed package are not those that were installed",
            help: "install the package again, and change nothing of it afterwards; `.accept(…)` takes a justification",
            example: "a RUN that appends a line to site-packages/flask/app.py",
        },
        Foreign = "LIC-012" {
            summary: "Python can import code that belongs to no package, so nobody has approved it",
            help: "install it as a wheel, or keep it out of the folders that Python imports packages from; `.accept(…)` takes a justification",
            example: "a wheel on PYTHONPATH, or sitecustomize.py",
        },
        Bytecode = "LIC-013" {
            summary: "compiled Python code does not belong to the source beside it",
            help: "delete it, and let Python compile the source again",
            example: "a __pycache__ from another version of the module",
        },
        Bundle = "LIC-014" {
            summary: "a package carries copies of other packages, whose licences nobody judges",
            help: "use a package without them, or have it accepted with `.accept(…)` after a look at each",
            example: "pip/_vendor",
        },
        OtherKind = "LIC-015" {
            summary: "the image holds packages of a kind whose licences nothing judges",
            help: "leave them out, or have them accepted with `.accept_unjudged(…)` by somebody who judges them elsewhere",
            example: "132 npm packages in the image of a Node application",
        },
    }
}
