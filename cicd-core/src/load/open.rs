use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::connection::Slot;
use super::distribution::Times;
use super::measurement::Frame;
use super::pool::{Place, Pool, SharedRecord, Size, check_descriptors, locked, moment};
use super::record::Timing;
use super::schedule::Schedule;
use super::{LoadError, Measurement, OpenPlan, Target};

/// How long the generator may sleep before it asks again whether it is to stop.
const STOP_POLL: Duration = Duration::from_millis(20);

/// Sends requests at a fixed rate and measures what a user waits: from the moment a request was planned to the end of its answer.
///
/// A server that stops answering does not stop the requests: they go out on further connections, up to
/// [`OpenPlan::connections_max`], and beyond that wait in a queue in which their time goes on counting. A request that has not been
/// answered [`OpenPlan::timeout`] after its planned moment is given up and counts with that time; none disappears. The run is over by
/// then at the latest.
///
/// The moments come from the calling thread, which sleeps from one to the next: the timers of an async runtime wake 1 ms late or more.
/// `stop` is asked every 20 ms.
///
/// # Errors
/// [`LoadError::Invalid`] when the generator itself was late, saturated or could not hold the rate; also a plan that
/// cannot be run, a generator that cannot be started, or a stop.
pub fn open_loop(target: &Target, plan: &OpenPlan, stop: &dyn Fn() -> bool) -> Result<Measurement, LoadError> {
    plan.check()?;
    check_descriptors(plan.connections_max)?;
    let measurement = thread::scope(|scope| {
        let pool = Pool::start(scope, Size::Half)?;
        Pacer::new(target, plan).run(pool, stop)
    })?;
    let why = measurement.problems(plan);
    if why.is_empty() { Ok(measurement) } else { Err(LoadError::Invalid { why, measurement: Box::new(measurement) }) }
}

/// What the pacing thread and the connections share.
struct Shared {
    start: Instant,
    schedule: Schedule,
    plan: OpenPlan,
    expected: u16,
    /// One permit for each request that is due and not yet taken, so the queue is a number.
    due: Semaphore,
    next: AtomicU64,
    slots: AtomicUsize,
    /// Slots that were started and have not asked for work yet.
    starting: AtomicUsize,
}

struct Pacer<'a> {
    target: &'a Target,
    shared: Arc<Shared>,
    pacing: Times,
}

impl<'a> Pacer<'a> {
    fn new(target: &'a Target, plan: &OpenPlan) -> Self {
        let shared = Arc::new(Shared {
            start: Instant::now(),
            schedule: Schedule::steady(plan.rate_per_second, plan.warm_up + plan.during),
            plan: plan.clone(),
            expected: target.status.as_u16(),
            due: Semaphore::new(0),
            next: AtomicU64::new(0),
            slots: AtomicUsize::new(0),
            starting: AtomicUsize::new(0),
        });
        Self { target, shared, pacing: Times::new() }
    }

    fn run(mut self, mut pool: Pool<'_>, stop: &dyn Fn() -> bool) -> Result<Measurement, LoadError> {
        let stopper = pool.stopper();
        let finished = self.pace(&pool, stop) && drain(&mut pool, stop);
        drop(stopper);
        let elapsed = self.shared.start.elapsed();
        let (record, busiest) = pool.join()?;
        if !finished {
            return Err(LoadError::Stopped);
        }
        let plan = &self.shared.plan;
        let frame = Frame {
            planned_rate_per_second: Some(plan.rate_per_second),
            planned: plan.measured_requests(),
            warm_up: plan.warm_up,
            during: plan.during,
            connections_peak: self.shared.slots.load(Ordering::Relaxed),
            connections_max: plan.connections_max,
            busy_share: busiest.as_secs_f64() / elapsed.as_secs_f64(),
        };
        Ok(Measurement::of(frame, &record, self.pacing.finish()))
    }

    /// Makes every request due at its moment. False when it was told to stop.
    fn pace(&mut self, pool: &Pool<'_>, stop: &dyn Fn() -> bool) -> bool {
        let shared = Arc::clone(&self.shared);
        let schedule = shared.schedule;
        let mut released = 0;
        let mut stop_asked = Duration::ZERO;
        while released < schedule.total() {
            let now = shared.start.elapsed();
            let due = schedule.due(now);
            shared.due.add_permits(usize::try_from(due - released).unwrap_or(usize::MAX));
            self.grow(pool);
            for planned in (released..due).map(|index| schedule.planned(index)) {
                if planned >= shared.plan.warm_up {
                    self.pacing.record(now - planned);
                }
            }
            released = due;
            if now >= stop_asked + STOP_POLL {
                stop_asked = now;
                if stop() {
                    return false;
                }
            }
            if released < schedule.total() {
                let wait = schedule.planned(released).saturating_sub(shared.start.elapsed());
                thread::sleep(wait.min(STOP_POLL));
            }
        }
        // One more for each slot: requests are taken in order, so who gets one of these finds nothing left and ends.
        shared.due.add_permits(shared.slots.load(Ordering::Relaxed));
        true
    }

    /// Starts as many slots as requests are due that nobody has taken, within the limit.
    fn grow(&self, pool: &Pool<'_>) {
        let shared = &self.shared;
        let slots = shared.slots.load(Ordering::Relaxed);
        let wanted = shared.due.available_permits().saturating_sub(shared.starting.load(Ordering::Relaxed));
        for index in slots..shared.plan.connections_max.min(slots.saturating_add(wanted)) {
            shared.starting.fetch_add(1, Ordering::Relaxed);
            shared.slots.fetch_add(1, Ordering::Relaxed);
            let Place { handle, record, alive } = pool.place(index);
            let (shared, target) = (Arc::clone(shared), self.target.clone());
            handle.spawn(async move {
                serve(&shared, Slot::new(&target), &record).await;
                drop(alive);
            });
        }
    }
}

/// Takes requests in the order they became due until there are none.
async fn serve(shared: &Shared, mut slot: Slot, record: &SharedRecord) {
    shared.starting.fetch_sub(1, Ordering::Relaxed);
    let mut free = Duration::ZERO;
    loop {
        match slot.idle(shared.due.acquire()).await {
            Ok(permit) => permit.forget(),
            Err(_) => break,
        }
        let index = shared.next.fetch_add(1, Ordering::Relaxed);
        if index >= shared.schedule.total() {
            break;
        }
        let planned = shared.schedule.planned(index);
        let measured = planned >= shared.plan.warm_up;
        let deadline = planned + shared.plan.timeout;
        let sent = shared.start.elapsed();
        if sent >= deadline {
            if measured {
                locked(record).unsent(planned, sent);
            }
            continue;
        }
        let result = slot.exchange(moment(shared.start, deadline), sent - free).await;
        let done = shared.start.elapsed();
        if measured {
            // Only when no further connection may be opened is it the server that a request waited for.
            let full = shared.slots.load(Ordering::Relaxed) >= shared.plan.connections_max;
            let free = if full { free } else { Duration::ZERO };
            locked(record).sent(Timing { planned, free, sent, done }, result, shared.expected);
        }
        free = done;
    }
    locked(record).connections_opened += slot.opened;
}

/// Waits for the last answers; each is given up at its deadline. False when it was told to stop.
fn drain(pool: &mut Pool<'_>, stop: &dyn Fn() -> bool) -> bool {
    pool.no_more_tasks();
    while !pool.is_finished() {
        if stop() {
            return false;
        }
        thread::sleep(STOP_POLL);
    }
    true
}
