//! The bill of materials of an image: what has to be in it, each of the two documents, the step itself.

mod code;
mod cyclonedx;
mod document;
mod packages;
mod spdx;
mod step;
#[cfg(test)]
mod tests;

pub use code::SbomCode;
pub use step::{BillOfMaterials, Sbom};
