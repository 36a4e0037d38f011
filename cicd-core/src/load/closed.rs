use std::thread;
use std::time::{Duration, Instant};

use super::connection::Slot;
use super::distribution::Times;
use super::measurement::Frame;
use super::pool::{Place, Pool, SharedRecord, Size, check_descriptors, locked, moment};
use super::record::Timing;
use super::{ClosedPlan, LoadError, Measurement, Target};

/// How long the calling thread may sleep before it asks again whether it is to stop.
const STOP_POLL: Duration = Duration::from_millis(20);

/// Asks on every connection as fast as answers come, to find the highest rate. Requests that were sent within the measured time
/// are counted; the last of them are waited for up to the plan's timeout.
///
/// # Errors
/// A plan that cannot be run, a generator that cannot be started, no request at all, or a stop.
pub fn closed_loop(target: &Target, plan: &ClosedPlan, stop: &dyn Fn() -> bool) -> Result<Measurement, LoadError> {
    plan.check()?;
    check_descriptors(plan.connections)?;
    thread::scope(|scope| {
        let pool = Pool::start(scope, Size::Whole)?;
        run(pool, target, plan, stop)
    })
}

fn run(
    mut pool: Pool<'_>,
    target: &Target,
    plan: &ClosedPlan,
    stop: &dyn Fn() -> bool,
) -> Result<Measurement, LoadError> {
    let start = Instant::now();
    let stopper = pool.stopper();
    for index in 0..plan.connections {
        let Place { handle, record, alive } = pool.place(index);
        let (target, plan) = (target.clone(), plan.clone());
        handle.spawn(async move {
            ask(start, &target, &plan, &record).await;
            drop(alive);
        });
    }
    pool.no_more_tasks();
    let mut stopped = false;
    while !pool.is_finished() && !stopped {
        thread::sleep(STOP_POLL);
        stopped = stop();
    }
    drop(stopper);
    let elapsed = start.elapsed();
    let (record, busiest) = pool.join()?;
    if stopped {
        return Err(LoadError::Stopped);
    }
    let frame = Frame {
        planned_rate_per_second: None,
        planned: record.completed + record.failures.values().sum::<u64>(),
        warm_up: plan.warm_up,
        during: plan.during,
        connections_peak: plan.connections,
        connections_max: plan.connections,
        busy_share: busiest.as_secs_f64() / elapsed.as_secs_f64(),
    };
    let mut measurement = Measurement::of(frame, &record, Times::new().finish());
    measurement.planned = measurement.sent;
    if measurement.sent == 0 {
        let why = vec!["nothing was measured".to_owned()];
        return Err(LoadError::Invalid { why, measurement: Box::new(measurement) });
    }
    Ok(measurement)
}

async fn ask(start: Instant, target: &Target, plan: &ClosedPlan, record: &SharedRecord) {
    let end = plan.warm_up + plan.during;
    let mut slot = Slot::new(target);
    loop {
        let sent = start.elapsed();
        if sent >= end {
            break;
        }
        let result = slot.exchange(moment(start, sent + plan.timeout), Duration::ZERO).await;
        let done = start.elapsed();
        if sent >= plan.warm_up {
            let timing = Timing { planned: sent, free: sent, sent, done };
            locked(record).sent(timing, result, target.status.as_u16());
        }
        if result.is_err() {
            // A server that refuses at once would otherwise keep this thread busy without end.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    locked(record).connections_opened += slot.opened;
}
