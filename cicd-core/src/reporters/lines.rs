use std::collections::BTreeMap;
use std::io::Write;

use super::attempts::attempt_failed;
use super::text::{ended, plain, waits};
use crate::model::{Event, EventKind, StepName};
use crate::pipeline::Observer;

/// Plain lines, one for each step that starts and ends, without any control character: for logs and pipes.
#[derive(Debug)]
pub struct Lines<W: Write> {
    out: W,
    running: BTreeMap<StepName, jiff::Timestamp>,
}

impl<W: Write> Lines<W> {
    /// Writes to `out`. A reader that goes away (`| head`) changes nothing about the run.
    pub fn new(out: W) -> Self {
        Self { out, running: BTreeMap::new() }
    }

    fn line(&mut self, line: &str) {
        // Nobody is left to tell about a closed output; the verdict is in the exit code and the run folder.
        let _ = writeln!(self.out, "{}", plain(line));
        let _ = self.out.flush();
    }
}

impl<W: Write> Observer for Lines<W> {
    fn waiting(&mut self, holder: &str) {
        self.line(&waits(holder));
    }

    fn event(&mut self, event: &Event) {
        match &event.kind {
            EventKind::StepStarted { step } => {
                self.running.insert(step.clone(), event.at);
                self.line(&format!("start     {step}"));
            }
            EventKind::Progress { step, message } => self.line(&format!("          {step}: {message}")),
            EventKind::Output { step, line } => self.line(&format!("{step} | {line}")),
            EventKind::AttemptFailed { .. } => {
                if let Some(line) = attempt_failed(&event.kind) {
                    self.line(&line);
                }
            }
            EventKind::StepFinished { step, status, duration_ms, reason, .. }
                if self.running.remove(step).is_some() =>
            {
                self.line(&ended(step, *status, *duration_ms, reason.as_deref()));
            }
            _ => {}
        }
    }
}
