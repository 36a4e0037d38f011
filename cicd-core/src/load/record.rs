use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::distribution::Times;

/// Why a request has no expected answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Failure {
    /// No connection: refused or unreachable.
    Connect,
    /// No complete answer in time.
    Timeout,
    /// Given up in the queue: every connection was in use until its time was over.
    Unsent,
    /// The connection was reset or closed before the answer began.
    Closed,
    /// The answer is not HTTP.
    Malformed,
    /// The body ended early, was longer than it said, or did not end.
    Body,
    /// A complete answer with another status than the expected one.
    Status,
    /// This machine had no file descriptor or no port left: the generator's fault, not the server's.
    OutOfResources,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection",
            Self::Timeout => "no answer in time",
            Self::Unsent => "given up while every connection was in use",
            Self::Closed => "connection closed before the answer",
            Self::Malformed => "answer is not HTTP",
            Self::Body => "body incomplete",
            Self::Status => "unexpected status",
            Self::OutOfResources => "no file descriptor or port left for the generator",
        })
    }
}

/// A complete answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body_bytes: u64,
}

/// One request of the open model, as moments from the start of the run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timing {
    pub(super) planned: Duration,
    /// When the connection that sent it had nothing else to do.
    pub(super) free: Duration,
    pub(super) sent: Duration,
    pub(super) done: Duration,
}

/// What one thread has seen. Its size does not grow with the number of requests.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) latency: Times,
    pub(super) service: Times,
    pub(super) lateness: Times,
    pub(super) completed: u64,
    pub(super) failures: BTreeMap<Failure, u64>,
    pub(super) statuses: BTreeMap<u16, u64>,
    pub(super) body_bytes: u64,
    /// How many requests waited although they were due, because every connection was in use.
    pub(super) queued: u64,
    pub(super) connections_opened: u64,
    pub(super) last_done: Duration,
}

impl Record {
    pub(super) fn new() -> Self {
        Self {
            latency: Times::new(),
            service: Times::new(),
            lateness: Times::new(),
            completed: 0,
            failures: BTreeMap::new(),
            statuses: BTreeMap::new(),
            body_bytes: 0,
            queued: 0,
            connections_opened: 0,
            last_done: Duration::ZERO,
        }
    }

    /// Adds a request that was sent, whatever came of it.
    pub(super) fn sent(&mut self, timing: Timing, result: Result<Answer, Failure>, expected: u16) {
        let Timing { planned, free, sent, done } = timing;
        self.latency.record(done.saturating_sub(planned));
        self.service.record(done.saturating_sub(sent));
        // What passed while every connection was in use is the server's time, not the generator's.
        self.lateness.record(sent.saturating_sub(planned.max(free)));
        self.queued += u64::from(free > planned);
        self.last_done = self.last_done.max(done);
        match result {
            Ok(answer) => {
                self.completed += 1;
                *self.statuses.entry(answer.status).or_default() += 1;
                self.body_bytes = self.body_bytes.saturating_add(answer.body_bytes);
                if answer.status != expected {
                    self.fail(Failure::Status);
                }
            }
            Err(failure) => self.fail(failure),
        }
    }

    /// Adds a request whose time was over before a connection was free for it.
    pub(super) fn unsent(&mut self, planned: Duration, now: Duration) {
        self.latency.record(now.saturating_sub(planned));
        self.last_done = self.last_done.max(now);
        self.fail(Failure::Unsent);
    }

    fn fail(&mut self, failure: Failure) {
        *self.failures.entry(failure).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency);
        self.service.add(&other.service);
        self.lateness.add(&other.lateness);
        self.completed += other.completed;
        for (failure, count) in &other.failures {
            *self.failures.entry(*failure).or_default() += count;
        }
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.body_bytes = self.body_bytes.saturating_add(other.body_bytes);
        self.queued += other.queued;
        self.connections_opened += other.connections_opened;
        self.last_done = self.last_done.max(other.last_done);
    }
}
