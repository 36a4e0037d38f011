use super::{InvalidPlan, Measurement};

/// Why a load gave no measurement that can be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The load cannot be run as it is written.
    #[error(transparent)]
    Plan(#[from] InvalidPlan),
    /// The generator, not the server, shaped what was measured: neither a pass nor a failure.
    #[error("invalid measurement: {}", why.join("; "))]
    Invalid {
        /// Every bound that was broken.
        why: Vec<String>,
        /// What was measured all the same, for the record.
        measurement: Box<Measurement>,
    },
    /// The system gives this process too few file descriptors.
    #[error(
        "{connections} connections need {needed} file descriptors, but this process may have {limit}: raise the limit (`ulimit -n {needed}`) or use fewer connections"
    )]
    Descriptors {
        /// The connections that were asked for.
        connections: usize,
        /// The descriptors they need.
        needed: u64,
        /// The limit.
        limit: u64,
    },
    /// The generator could not be started.
    #[error("starting the load generator: {0}")]
    Start(#[source] std::io::Error),
    /// A thread of the generator ended by a panic.
    #[error("the load generator panicked: report this as a bug")]
    Panicked,
    /// It was asked to stop.
    #[error("the load was stopped before its end")]
    Stopped,
}
