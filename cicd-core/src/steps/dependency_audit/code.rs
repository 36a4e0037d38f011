use crate::model::finding_codes;

finding_codes! {
    /// What an audit can find beside flaws, which are named by their CVE.
    pub enum AuditCode {
        OneSource = "AUD-001" {
            summary: "the package index was not available for a second opinion on the locked packages",
            help: "run where the package index answers, or accept it with `.accept_one_source(Justification)`",
            example: "a laptop without network, or a mirror of the package index that has no JSON service",
        },
    }
}
