//! The audit of locked Python packages by two sources: what pip-audit says, how it is put together with what Trivy says, the step.

mod code;
mod flaws;
mod pip_audit;
mod step;
#[cfg(test)]
mod tests;

pub use code::AuditCode;
pub use step::{AuditReport, DependencyAudit};
