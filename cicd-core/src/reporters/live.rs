use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::attempts::attempt_failed;
use super::text::{ended, plain, waits};
use crate::model::{Event, EventKind, Status, StepName};
use crate::pipeline::Observer;

/// A live view on a terminal: the steps that run, for how long, and how many are done. It leaves nothing behind but a line
/// for each step that is not green.
#[derive(Debug)]
pub struct Live {
    bars: MultiProgress,
    total: ProgressBar,
    running: BTreeMap<StepName, ProgressBar>,
}

impl Live {
    /// Draws on standard error.
    #[must_use]
    pub fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let total = bars.add(ProgressBar::new(0).with_style(style("{pos} of {len} steps done  {elapsed}")));
        Self { bars, total, running: BTreeMap::new() }
    }

    fn print(&self, line: &str) {
        // Drawing fails only when the terminal is gone; the run goes on.
        let _ = self.bars.println(plain(line));
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

impl Observer for Live {
    fn waiting(&mut self, holder: &str) {
        self.print(&waits(holder));
    }

    fn event(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted { steps, .. } => self.total.set_length(steps.len() as u64),
            EventKind::StepStarted { step } => {
                let bar = ProgressBar::no_length().with_style(style("{spinner} {prefix:24} {elapsed:>5}  {wide_msg}"));
                let bar = self.bars.insert_before(&self.total, bar.with_prefix(step.to_string()));
                self.running.insert(step.clone(), bar);
            }
            EventKind::ProcessStarted { step, command } => {
                if let Some(bar) = self.running.get(step) {
                    bar.set_message(plain(command).into_owned());
                }
            }
            EventKind::Progress { step, message } => match self.running.get(step) {
                Some(bar) => bar.set_message(plain(message).into_owned()),
                // The run itself says what it does before its steps and after them.
                None => self.print(&format!("{step}: {message}")),
            },
            EventKind::Output { step, line } => self.print(&format!("{step} | {line}")),
            EventKind::AttemptFailed { .. } => {
                if let Some(line) = attempt_failed(&event.kind) {
                    self.print(&line);
                }
            }
            EventKind::StepFinished { step, status, duration_ms, reason, .. } => {
                if let Some(bar) = self.running.remove(step) {
                    bar.finish_and_clear();
                    self.bars.remove(&bar);
                }
                self.total.inc(1);
                if !matches!(status, Status::Passed | Status::Skipped) {
                    self.print(&ended(step, *status, *duration_ms, reason.as_deref()));
                }
            }
            EventKind::RunFinished { .. } => {
                self.total.finish_and_clear();
                let _ = self.bars.clear();
            }
        }
    }

    fn tick(&mut self) {
        for bar in self.running.values() {
            bar.tick();
        }
        self.total.tick();
    }
}
