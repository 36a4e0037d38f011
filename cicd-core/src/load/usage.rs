use std::time::Duration;

/// How long the calling thread has worked or waited for a processor so far.
///
/// A thread that waits for a processor is held up by its machine as much as one that works all the time, and the server is to
/// blame for neither. The waiting is known on Linux only; elsewhere the working alone counts.
pub(super) fn occupied() -> Duration {
    let worked = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(worked).unwrap_or(Duration::ZERO) + waited().unwrap_or(Duration::ZERO)
}

/// The second number of `schedstat`, in nanoseconds; see <https://docs.kernel.org/scheduler/sched-stats.html>.
fn waited() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}
