//! The licence check: every Python package that ships in an image against the list of approved packages.
//!
//! What is judged is read out of the built image: `METADATA` and licence files of every `*.dist-info` (and `PKG-INFO` of an
//! `*.egg-info`) that does not belong to a Debian package. Debian packages are not judged here: their licences are in
//! `/usr/share/doc/*/copyright` and come with the base image, which is approved as a whole.

mod codes;
mod diff;
mod found;
mod gate;
mod judge;
mod locked;
mod propose;

pub use codes::LicenseCode;
pub use diff::{LicenseDiff, diff};
pub use gate::{JudgedPackage, LicenseCheck, LicenseReport};
pub use locked::{LockedLicenses, LockedLicensesReport};
pub use propose::propose;

#[cfg(test)]
mod tests;
