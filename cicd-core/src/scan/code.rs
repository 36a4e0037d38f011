use crate::model::finding_codes;

finding_codes! {
    /// What can be wrong with which files a scanner looks at.
    pub enum ScannerCode {
        LeftOut = "SCN-001" {
            summary: "files are left out of a scan",
            help: "scan them, or shorten what is left out",
            example: ".leaving_out(\"app/tests\", justification)",
        },
        Outside = "SCN-002" {
            summary: "a file of a scanner's kind lies outside of the folder that it looks at",
            help: "widen the step's folder, or leave the file out with a justification",
            example: "tools/release without an extension, with `#!/usr/bin/env python3`, beside Sast::bandit(\"app\")",
        },
    }
}
