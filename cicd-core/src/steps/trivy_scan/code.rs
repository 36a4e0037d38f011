use crate::model::finding_codes;

finding_codes! {
    /// What a scan can find beside flaws, which are named by their CVE, and secrets, which are named by Trivy's rule.
    pub enum ScanCode {
        NotJudged = "TRV-001" {
            summary: "the vulnerability database knows nothing about some of the image's packages",
            help: "run where Trivy's own database can be downloaded, or accept it for a kind of packages with `.accept_unjudged(…)`",
            example: "an offline database of PyPI's advisories and an image with Debian packages",
        },
    }
}
