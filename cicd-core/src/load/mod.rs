//! Floor 2: an HTTP load generator that measures what users wait.
//!
//! [`open_loop`] sends requests at a fixed rate, whatever the server does, and counts the latency of each from the moment it was
//! *planned*. A generator that waits for an answer before it sends the next request, or starts its clock only when it sends,
//! leaves out exactly the requests that a stalled server would have kept waiting, and then reports percentiles of a good day.
//! Three distributions tell the shares apart: what users wait (`latency`), what the server took (`service`) and how late the
//! generator itself was (`lateness`, `pacing`). Where the last is too large there is no measurement, see [`LoadError::Invalid`].
//!
//! Memory does not grow with the number of requests: a queue is a number, and times are kept in histograms.
//!
//! ```no_run
//! use std::time::Duration;
//! use cicd_core::load::{OpenPlan, Target, open_loop};
//!
//! let target = Target::get("127.0.0.1:8080".parse()?, "/healthcheck")?;
//! let measured = open_loop(&target, &OpenPlan::new(200.0, Duration::from_secs(15)), &|| false)?;
//! assert!(measured.latency.percentile_ms(99.0) < Some(100.0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod closed;
mod connection;
mod distribution;
mod error;
mod measurement;
mod open;
mod plan;
mod pool;
mod record;
mod schedule;
mod usage;

pub use closed::closed_loop;
pub use distribution::{Bucket, Distribution, Percentile};
pub use error::LoadError;
pub use measurement::Measurement;
pub use open::open_loop;
pub use plan::{
    CONNECTIONS_DEFAULT, ClosedPlan, InvalidPlan, LATENESS_MAX_DEFAULT, OpenPlan, TIMEOUT_DEFAULT, Target,
    WARM_UP_DEFAULT,
};
pub use record::Failure;
