//! The licence check: every Python package that ships in an image against the list of approved packages.
//!
//! What is judged is read out of the built image: `METADATA` and licence files of every `*.dist-info` (and `PKG-INFO` of an
//! `*.egg-info`) that does not belong to a Debian package. Debian packages are not judged here: their licences are in
//! `/usr/share/doc/*/copyright` and come with the base image, which is approved as a whole. That they, and packages of any other kind,
//! are not judged is `LIC-015`, which blocks clearance until somebody answers for it.
//!
//! Every file of a package is compared with the hash in its `RECORD`, and everything that Python could import or would run at its
//! start has to be in one: what is not is `LIC-011` to `LIC-014`.

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
mod strays_tests;
#[cfg(test)]
mod tests;
