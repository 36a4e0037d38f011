use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::record::Record;
use super::{Distribution, Failure, OpenPlan};

/// The share of the time in which the generator's busiest thread was at work or waited for a processor; above it, the generator
/// is the bottleneck. The rest is what scheduling and waking cost it at least.
const BUSY_SHARE_MAX: f64 = 0.9;
/// The share of the planned requests that may have waited for a connection before the generator's own load matters.
const QUEUED_SHARE_MAX: f64 = 0.01;
/// The share of the planned requests that must have been sent unless every connection was in use.
const SENT_SHARE_MIN: f64 = 0.99;

/// What a load has measured, warm-up excluded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The planned arrivals a second; none for a closed load.
    pub planned_rate_per_second: Option<f64>,
    /// Complete answers a second, from the first planned request to the last answer or the planned end, whichever is later.
    pub rate_per_second: f64,
    /// That time, in seconds.
    pub seconds: f64,
    /// Requests that were planned; for a closed load, those that were sent.
    pub planned: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// Complete answers, of any status.
    pub completed: u64,
    /// Requests without the expected answer, by reason. Planned requests that were never sent are among them.
    pub failures: BTreeMap<Failure, u64>,
    /// Complete answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Bytes of answers' bodies.
    pub body_bytes: u64,
    /// From the planned moment to the end of the answer: what a user waits. Every planned request is in it. For a closed load,
    /// the same as `service`.
    pub latency: Distribution,
    /// From the moment of sending to the end of the answer.
    pub service: Distribution,
    /// How late the generator sent although a connection was free.
    pub lateness: Distribution,
    /// How late the pacing thread woke.
    pub pacing: Distribution,
    /// Requests that were due but waited because all of `connections_max` were in use: the server is too slow for the rate.
    pub queued: u64,
    /// How many connections were in use at once, at most.
    pub connections_peak: usize,
    /// How many were allowed.
    pub connections_max: usize,
    /// How many were opened in all.
    pub connections_opened: u64,
    /// The share of the time, 0 to 1, in which the generator's busiest thread worked or waited for a processor.
    pub busy_share: f64,
}

/// What is known besides the records.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) planned_rate_per_second: Option<f64>,
    pub(super) planned: u64,
    pub(super) warm_up: Duration,
    pub(super) during: Duration,
    pub(super) connections_peak: usize,
    pub(super) connections_max: usize,
    pub(super) busy_share: f64,
}

impl Measurement {
    pub(super) fn of(frame: Frame, record: &Record, pacing: Distribution) -> Self {
        let unsent = record.failures.get(&Failure::Unsent).copied().unwrap_or(0);
        let end = record.last_done.max(frame.warm_up + frame.during);
        let seconds = end.saturating_sub(frame.warm_up).as_secs_f64();
        let service = record.service.finish();
        Self {
            planned_rate_per_second: frame.planned_rate_per_second,
            rate_per_second: record.completed as f64 / seconds,
            seconds,
            planned: frame.planned,
            sent: service.count,
            completed: record.completed,
            failures: record.failures.clone(),
            statuses: record.statuses.clone(),
            body_bytes: record.body_bytes,
            latency: record.latency.finish(),
            lateness: record.lateness.finish(),
            pacing,
            queued: record.queued + unsent,
            connections_peak: frame.connections_peak,
            connections_max: frame.connections_max,
            connections_opened: record.connections_opened,
            busy_share: frame.busy_share,
            service,
        }
    }

    /// How many requests have no expected answer.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Requests without the expected answer, in percent of those planned; none where nothing was planned.
    #[must_use]
    pub fn error_rate_percent(&self) -> Option<f64> {
        (self.planned > 0).then(|| self.failed() as f64 * 100.0 / self.planned as f64)
    }

    /// How late the generator was, in milliseconds at the 99th percentile: the worse of pacing and sending.
    #[must_use]
    pub fn lateness_p99_ms(&self) -> Option<f64> {
        let sending = self.lateness.percentile_ms(99.0);
        let pacing = self.pacing.percentile_ms(99.0);
        sending.into_iter().chain(pacing).reduce(f64::max)
    }

    /// Everything that makes the generator, and not the server, the reason for what was measured.
    ///
    /// A slow server alone makes nothing invalid: its requests pile up on more and more connections, and once `connections_max` are in
    /// use the others wait in a queue, where their latency goes on counting from the planned moment.
    pub(super) fn problems(&self, plan: &OpenPlan) -> Vec<String> {
        let mut problems = Vec::new();
        let bound_ms = plan.lateness_max.as_secs_f64() * 1e3;
        if self.latency.count == 0 {
            problems.push("nothing was measured".to_owned());
        }
        if self.latency.count != self.planned {
            problems.push(format!("{} requests were planned, but {} measured", self.planned, self.latency.count));
        }
        if let Some(late) = self.lateness_p99_ms().filter(|late| *late > bound_ms) {
            problems.push(format!(
                "the generator was late: {late:.1} ms at p99, at most {bound_ms} ms may be; leave it more processor time"
            ));
        }
        if let Some(count) = self.failures.get(&Failure::OutOfResources) {
            problems
                .push(format!("{count} requests found no file descriptor or port on this machine; raise its limits"));
        }
        let saturated = self.busy_share > BUSY_SHARE_MAX;
        if saturated && self.queued as f64 > self.planned as f64 * QUEUED_SHARE_MAX {
            problems.push(format!(
                "the generator was busy {:.0} % of the time and requests waited for it; lower the rate or use a larger machine",
                self.busy_share * 100.0
            ));
        }
        let held = self.sent as f64 >= self.planned as f64 * SENT_SHARE_MIN;
        if !held && self.connections_peak < self.connections_max {
            problems.push(format!(
                "the generator could not hold the rate: {} of {} requests were sent although connections were free",
                self.sent, self.planned
            ));
        }
        problems
    }
}
