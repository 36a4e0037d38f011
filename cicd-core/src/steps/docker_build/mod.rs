//! `DockerBuild`: an image built without any cache, with proof, and judged by what is in it.
//!
//! ```
//! use cicd_core::policy::Justification;
//! use cicd_core::steps::DockerBuild;
//!
//! let dependencies = DockerBuild::context("flask-app")
//!     .dockerfile("flask-app/deps.Dockerfile")
//!     .image_name("flask-app-deps")
//!     .base_arg("BASE_IMAGE")
//!     .ca_bundle_secret("ca")
//!     .intermediate();
//! let application = DockerBuild::context("flask-app").base_arg("DEPS_IMAGE").revision_arg("REVISION").allow_shipped_file(
//!     "/opt/app/tests/**",
//!     Justification::new("the smoke test runs inside the container", "@example/platform", "2027-03-01")?,
//! );
//! # let _ = (dependencies, application);
//! # Ok::<(), cicd_core::policy::InvalidJustification>(())
//! ```
//!
//! # What is proven
//! The build runs with `--no-cache`; there is no method that leaves it out. `Ok` means that the builder's own log goes on to the
//! export of the image, that no instruction and no download in it was answered from a cache, that every image it looked up, and
//! every program that it had read the Dockerfile, is one that the Dockerfile names, and that the bases had the same id before and after. A base that is already in the engine
//! shows as `CACHED` in the log: it is content named by a digest or an id, so this says nothing about freshness.
//!
//! Builds that run at the same time share the results of equal instructions, even without a cache. The build is then made again.
//!
//! A download by `ADD https://…` is answered from the builder's cache even with `--no-cache` when the server says that the file
//! is unchanged. Such a build is refused; a `RUN` with a download and a checksum is not.
//!
//! # Intermediate images
//! [`DockerBuild::intermediate`] gives a step whose output is a [`BaseImage`](crate::docker::BaseImage), not an `Image<Fresh>`: it
//! may run as root and needs no health check, and no scan, clearance, push or deploy takes it:
//!
//! ```compile_fail,E0308
//! use cicd_core::pipeline::Pipeline;
//! use cicd_core::steps::DockerBuild;
//!
//! let mut ci = Pipeline::new("flask-app");
//! let image = ci.add("image", DockerBuild::context("flask-app"), ());
//! let dependencies = ci.add("dependencies", DockerBuild::context("flask-app").intermediate(), ());
//! ci.clear(&dependencies, &image);
//! ```

mod accounts;
mod bases;
mod codes;
mod configuration;
mod freshness;
mod health;
#[cfg(test)]
mod image_tests;
mod intermediate;
mod own_code;
#[cfg(test)]
mod own_code_tests;
mod privileges;
mod runtime;
mod shipped;
mod step;
mod system;
mod variables;

pub use codes::ImageCode;
pub use intermediate::IntermediateBuild;
pub use step::DockerBuild;
