use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use tokio::runtime::{Builder, Handle};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::LoadError;
use super::record::Record;
use super::usage::occupied;

/// More threads than this were never needed: one sends over 100,000 requests a second.
const THREADS_MAX: usize = 4;
/// What this process needs besides connections: logs, pipes and the threads' own event descriptors.
const DESCRIPTORS_RESERVED: u64 = 64;

/// What the tasks of one thread write to. Only that thread locks it while the load runs.
pub(super) type SharedRecord = Arc<Mutex<Record>>;

/// How many threads connections live on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Size {
    /// One for every other processor: the server under a planned load needs the rest, and so does the clock of the plan.
    Half,
    /// One for each processor: nothing is planned, and what the server does not use is there to be used.
    Whole,
}

/// The threads that connections live on.
pub(super) struct Pool<'scope> {
    workers: Vec<Worker<'scope>>,
}

struct Worker<'scope> {
    handle: Handle,
    record: SharedRecord,
    /// Every task holds a clone; when the last is gone, or a message comes, the thread ends.
    alive: Option<mpsc::Sender<()>>,
    stopper: mpsc::WeakSender<()>,
    thread: ScopedJoinHandle<'scope, Duration>,
}

/// A place to start a task on.
pub(super) struct Place<'a> {
    pub(super) handle: &'a Handle,
    pub(super) record: SharedRecord,
    pub(super) alive: Option<mpsc::Sender<()>>,
}

/// Ends every thread when it is dropped, whatever their tasks are doing: also when the calling thread panics.
pub(super) struct Stopper(Vec<mpsc::WeakSender<()>>);

impl Drop for Stopper {
    fn drop(&mut self) {
        for sender in self.0.iter().filter_map(mpsc::WeakSender::upgrade) {
            // Full means that the message is already there, closed that the thread has ended.
            let _ = sender.try_send(());
        }
    }
}

impl<'scope> Pool<'scope> {
    /// Starts the threads.
    pub(super) fn start<'env>(scope: &'scope Scope<'scope, 'env>, size: Size) -> Result<Self, LoadError> {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = match size {
            Size::Half => processors / 2,
            Size::Whole => processors,
        };
        let workers = (0..threads.clamp(1, THREADS_MAX))
            .map(|_| Worker::start(scope))
            .collect::<io::Result<_>>()
            .map_err(LoadError::Start)?;
        Ok(Self { workers })
    }

    pub(super) fn place(&self, index: usize) -> Place<'_> {
        let worker = &self.workers[index % self.workers.len()];
        Place { handle: &worker.handle, record: Arc::clone(&worker.record), alive: worker.alive.clone() }
    }

    /// Whether every thread has ended because nothing was left to do.
    pub(super) fn is_finished(&self) -> bool {
        self.workers.iter().all(|worker| worker.thread.is_finished())
    }

    /// From now on threads end with their last task.
    pub(super) fn no_more_tasks(&mut self) {
        self.workers.iter_mut().for_each(|worker| worker.alive = None);
    }

    pub(super) fn stopper(&self) -> Stopper {
        Stopper(self.workers.iter().map(|worker| worker.stopper.clone()).collect())
    }

    /// Waits for the threads and puts what they saw together; with it, how long the busiest was occupied.
    pub(super) fn join(self) -> Result<(Record, Duration), LoadError> {
        let mut all = Record::new();
        let mut busiest = Duration::ZERO;
        for worker in self.workers {
            drop(worker.alive);
            busiest = busiest.max(worker.thread.join().map_err(|_| LoadError::Panicked)?);
            all.add(&locked(&worker.record));
        }
        Ok((all, busiest))
    }
}

impl<'scope> Worker<'scope> {
    fn start<'env>(scope: &'scope Scope<'scope, 'env>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (alive, mut until) = mpsc::channel::<()>(1);
        let thread = std::thread::Builder::new().name("load".to_owned()).spawn_scoped(scope, move || {
            runtime.block_on(until.recv());
            occupied()
        })?;
        let stopper = alive.downgrade();
        Ok(Self { handle, record: Arc::new(Mutex::new(Record::new())), alive: Some(alive), stopper, thread })
    }
}

pub(super) fn locked(record: &SharedRecord) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process may have so many connections at once.
pub(super) fn check_descriptors(connections: usize) -> Result<(), LoadError> {
    let needed = connections as u64 + DESCRIPTORS_RESERVED;
    match getrlimit(Resource::Nofile).current {
        Some(limit) if limit < needed => Err(LoadError::Descriptors { connections, needed, limit }),
        _ => Ok(()),
    }
}

/// The runtime's clock for a moment counted from `start`.
pub(super) fn moment(start: std::time::Instant, offset: Duration) -> Instant {
    Instant::from_std(start + offset)
}
