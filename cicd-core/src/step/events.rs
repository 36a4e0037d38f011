use std::fmt;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::Clock;
use crate::model::{Event, EventKind};

/// More lines of output than this wait for the watcher, or a flood would fill the memory while a slow terminal shows it.
const OUTPUT_EVENTS_MAX: usize = 4096;

/// A watcher that takes nothing for so long is gone; its memory is then no longer the concern.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(1);

/// Keeps what happens, each event before anything that follows from it: what a run had come to is known however it ends.
pub trait EventRecord: fmt::Debug + Send + Sync {
    /// Keeps one event. What goes wrong is told when the run ends.
    fn keep(&self, event: &Event);
}

/// Events on their way to whoever watches a run. Senders hardly ever wait; the watcher takes them in batches, so that a run of many
/// short steps is not slowed by being watched.
#[derive(Debug, Default)]
pub struct EventQueue {
    events: Mutex<Vec<Event>>,
    urgent: Condvar,
    taken: Condvar,
    record: OnceLock<Arc<dyn EventRecord>>,
}

impl EventQueue {
    /// From now on, each event is kept here before its sender goes on. The first record stays.
    pub fn keep_in(&self, record: Arc<dyn EventRecord>) {
        self.record.get_or_init(|| record);
    }

    /// Takes what came, waiting for `patience` unless the run finishes or the queue is full earlier.
    #[must_use]
    pub fn take(&self, patience: Duration) -> Vec<Event> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let finished = |event: &Event| matches!(event.kind, EventKind::RunFinished { .. });
        let (mut events, _) = self
            .urgent
            .wait_timeout_while(events, patience, |events| {
                events.len() < OUTPUT_EVENTS_MAX && !events.last().is_some_and(finished)
            })
            .unwrap_or_else(PoisonError::into_inner);
        self.taken.notify_all();
        std::mem::take(&mut events)
    }
}

/// Where events go. Cheap to clone; sending never blocks, but for lines of output that come faster than they are shown.
#[derive(Debug, Clone)]
pub struct EventSender {
    queue: Option<Arc<EventQueue>>,
    clock: Clock,
}

impl EventSender {
    /// Sends to a queue.
    #[must_use]
    pub fn new(queue: Arc<EventQueue>, clock: Clock) -> Self {
        Self { queue: Some(queue), clock }
    }

    /// Sends nowhere: for steps that are run alone.
    #[must_use]
    pub fn nowhere() -> Self {
        Self { queue: None, clock: Clock::System }
    }

    /// Sends an event, dated now.
    pub fn send(&self, kind: EventKind) {
        let Some(queue) = &self.queue else { return };
        let last = matches!(kind, EventKind::RunFinished { .. });
        let output = matches!(kind, EventKind::Output { .. });
        let event = Event { at: self.clock.now(), kind };
        if let Some(record) = queue.record.get() {
            record.keep(&event);
        }
        let mut events = queue.events.lock().unwrap_or_else(PoisonError::into_inner);
        if output && events.len() >= OUTPUT_EVENTS_MAX {
            let full = |events: &mut Vec<Event>| events.len() >= OUTPUT_EVENTS_MAX;
            // The watcher need not sit out its patience when there is so much to show.
            queue.urgent.notify_all();
            events =
                queue.taken.wait_timeout_while(events, OUTPUT_PATIENCE, full).unwrap_or_else(PoisonError::into_inner).0;
        }
        events.push(event);
        drop(events);
        if last {
            queue.urgent.notify_all();
        }
    }
}
