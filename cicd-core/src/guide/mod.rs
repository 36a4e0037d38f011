//! The guide: from a first pipeline to steps of one's own, exceptions, secrets and CI systems.
//!
//! | page | what it answers |
//! |---|---|
//! | [`first_pipeline`] | how do I get from nothing to `cargo xtask ci`? |
//! | [`command_line`] | what can `cargo xtask` do, what do its exit codes mean, what does a run leave on disk? |
//! | [`own_gate`] | how do I add a check that the library does not have? |
//! | [`own_effect`] | how do I publish or deploy, and what has to be green before? |
//! | [`exceptions`] | how do I accept a finding for a while? |
//! | [`secrets`] | how does a step get a token, and who may see it? |
//! | [`ci_systems`] | what stands in the YAML? |
//! | [`codes`] | what does `LIC-002` mean? |
//! | [`glossary`] | which word means what? |

#[doc = include_str!("first_pipeline.md")]
pub mod first_pipeline {}

#[doc = include_str!("command_line.md")]
pub mod command_line {}

#[doc = include_str!("own_gate.md")]
pub mod own_gate {}

#[doc = include_str!("own_effect.md")]
pub mod own_effect {}

#[doc = include_str!("exceptions.md")]
pub mod exceptions {}

#[doc = include_str!("secrets.md")]
pub mod secrets {}

#[doc = include_str!("ci_systems.md")]
pub mod ci_systems {}

#[doc = include_str!("codes.md")]
pub mod codes {}

#[doc = include_str!("glossary.md")]
pub mod glossary {}
