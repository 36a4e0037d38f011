//! Trivy's ignore files, `.trivyignore` and `.trivyignore.yaml`, read by us and not by Trivy.
//!
//! Trivy lets an entry be as bare as an identifier and applies it for ever. Here every entry carries a reason, an owner and an
//! expiry, or it allows nothing. An entry that Trivy would read in another way than a person does is a finding, so that the same
//! file means the same when somebody calls Trivy by hand.
//!
//! ```text
//! # reason: only reached through proxies, and this service never configures one
//! # owner: @example/security
//! # expires: 2027-01-15
//! # fix-blocked-by: the next release of our plugin, which pins the old version
//! # purl: pkg:pypi/requests
//! CVE-2023-32681
//! ```
//!
//! `# purl:` narrows the entry down to packages, `# path:` an entry for a secret or a misconfiguration to files. Where a version without
//! the flaw exists, `# fix-blocked-by:` has to say why it is not taken yet.
//! An entry for a flaw that only pip-audit knows has the line `# found-by: pip-audit` as well (in YAML `found_by:`).
//! `# environments: local` limits an entry to environments (in YAML `environments: [local]`): it clears nothing for any other.

mod code;
mod entry;
mod file;
mod identifier;
mod plain;
mod review;
#[cfg(test)]
mod tests;
mod yaml;

pub use code::IgnoreCode;
pub use file::{IgnoreFile, IgnoreFileError, read};
pub use plain::read_plain;
pub use review::review_file;
pub use yaml::read_yaml;
