use crate::model::finding_codes;

finding_codes! {
    /// What a bill of materials can show.
    pub enum SbomCode {
        NoLicense = "SBOM-001" {
            summary: "a Python package in the bill of materials has no licence",
            help: "find the licence in its sources; replace the package, or have it accepted with `.accept_unlicensed(…)`",
            example: "a wheel whose METADATA has neither License nor License-Expression nor a classifier",
        },
    }
}
