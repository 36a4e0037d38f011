use std::fmt::{self, Write as _};
use std::io::Write;
use std::time::{Duration, Instant};

use unicode_width::UnicodeWidthChar as _;

use super::attempts::attempt_failed;
use super::text::{duration, ended, plain, waits};
use crate::model::{Event, EventKind, Status, StepName};
use crate::pipeline::Observer;

/// Eyes see no more, and a terminal behind a slow line needs not be sent more.
const REDRAWN_AFTER: Duration = Duration::from_millis(100);
/// Names of steps are seldom longer.
const NAME_COLUMNS: usize = 24;
/// One row more than the steps need would scroll the screen away.
const STEPS_SHOWN_MAX: usize = 16;

/// Clears from the cursor to the end of the screen.
const CLEAR_BELOW: &str = "\x1b[J";

/// A live view on a terminal: the steps that run, for how long, and how many are done. It leaves nothing behind but a line
/// for each step that is not green.
pub struct Live {
    out: Box<dyn Write>,
    columns: Box<dyn Fn() -> usize>,
    started: Instant,
    running: Vec<Running>,
    done: usize,
    total: usize,
    /// How many rows of the view are on the screen, above the cursor.
    drawn: usize,
    drawn_at: Option<Instant>,
}

struct Running {
    step: StepName,
    since: Instant,
    does: String,
}

impl Live {
    /// Draws on a terminal of so many columns, which is asked each time: people change the size of their windows.
    pub fn new(out: impl Write + 'static, columns: impl Fn() -> usize + 'static) -> Self {
        Self {
            out: Box::new(out),
            columns: Box::new(columns),
            started: Instant::now(),
            running: Vec::new(),
            done: 0,
            total: 0,
            drawn: 0,
            drawn_at: None,
        }
    }

    /// Writes a line that stays, above the view.
    fn print(&mut self, line: &str) {
        let line = format!("{}\n", plain(line));
        self.draw(&line);
    }

    fn does(&mut self, step: &StepName, what: &str) -> bool {
        let running = self.running.iter_mut().find(|running| running.step == *step);
        running.map(|running| what.clone_into(&mut running.does)).is_some()
    }

    /// The view anew, below what stays. It is written in one piece, so that it does not flicker.
    fn draw(&mut self, stays: &str) {
        let rows = if self.total > self.done { self.rows() } else { Vec::new() };
        let mut text = self.erased();
        text.push_str(stays);
        for row in &rows {
            text.push_str(row);
            text.push('\n');
        }
        self.drawn = rows.len();
        self.drawn_at = Some(Instant::now());
        // Drawing fails only when the terminal is gone; the run goes on.
        let _ = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
    }

    /// What takes the view off the screen.
    fn erased(&self) -> String {
        match self.drawn {
            0 => String::new(),
            rows => format!("\x1b[{rows}A\r{CLEAR_BELOW}"),
        }
    }

    fn rows(&self) -> Vec<String> {
        let columns = (self.columns)();
        let row = |running: &Running| {
            let (name, since) = (running.step.as_str(), shown(running.since.elapsed()));
            cut(&format!("{name:NAME_COLUMNS$} {since:>8}  {}", plain(&running.does)), columns)
        };
        let mut rows: Vec<String> = self.running.iter().take(STEPS_SHOWN_MAX).map(row).collect();
        let mut last = format!("{} of {} steps done", self.done, self.total);
        if let Some(more @ 1..) = self.running.len().checked_sub(STEPS_SHOWN_MAX) {
            let _ = write!(last, ", {more} more running");
        }
        let _ = write!(last, "  {}", shown(self.started.elapsed()));
        rows.push(cut(&last, columns));
        rows
    }
}

/// Whole seconds: tenths would be all that moves.
fn shown(elapsed: Duration) -> String {
    match elapsed.as_secs() {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds => duration(seconds.saturating_mul(1000)),
    }
}

/// As much of a line as fits into a row: one that wraps would be two, and the view could not be taken off again.
fn cut(line: &str, columns: usize) -> String {
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| match left.checked_sub(c.width().unwrap_or(0)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    line.chars().take_while(fits).collect()
}

impl Observer for Live {
    fn waiting(&mut self, holder: &str) {
        self.print(&waits(holder));
    }

    fn event(&mut self, event: &Event) {
        match &event.kind {
            EventKind::RunStarted { steps, .. } => self.total = steps.len(),
            EventKind::StepStarted { step } => {
                self.running.push(Running { step: step.clone(), since: Instant::now(), does: String::new() });
            }
            EventKind::ProcessStarted { step, command } => {
                self.does(step, command);
            }
            EventKind::Progress { step, message } => {
                // The run itself says what it does before its steps and after them.
                if !self.does(step, message) {
                    self.print(&format!("{step}: {message}"));
                }
            }
            EventKind::Output { step, line } => self.print(&format!("{step} | {line}")),
            EventKind::AttemptFailed { .. } => {
                if let Some(line) = attempt_failed(&event.kind) {
                    self.print(&line);
                }
            }
            EventKind::StepFinished { step, status, duration_ms, reason, .. } => {
                self.running.retain(|running| running.step != *step);
                self.done += 1;
                if !matches!(status, Status::Passed | Status::Skipped) {
                    self.print(&ended(step, *status, *duration_ms, reason.as_deref()));
                }
            }
            EventKind::RunFinished { .. } => {
                self.done = self.total;
                self.draw("");
            }
        }
    }

    fn tick(&mut self) {
        if self.drawn_at.is_none_or(|at| at.elapsed() >= REDRAWN_AFTER) {
            self.draw("");
        }
    }
}

impl Drop for Live {
    /// A run that ends without its last event leaves no view behind either.
    fn drop(&mut self) {
        self.total = 0;
        if self.drawn > 0 {
            self.draw("");
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("done", &self.done).field("total", &self.total).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::io;
    use std::rc::Rc;

    use super::*;

    #[derive(Clone, Default)]
    struct Screen(Rc<RefCell<Vec<u8>>>);

    impl Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Screen {
        /// What a terminal shows of all that was written.
        fn shown(&self) -> Vec<String> {
            let written = String::from_utf8(self.0.borrow().clone()).expect("text");
            let mut rows = vec![String::new()];
            let mut rest = written.as_str();
            while let Some(c) = rest.chars().next() {
                if let Some(sequence) = rest.strip_prefix("\x1b[") {
                    let end = sequence.find(|c: char| c.is_ascii_alphabetic()).expect("its end");
                    match &sequence[end..=end] {
                        "A" => rows.truncate(rows.len() - sequence[..end].parse::<usize>().expect("a number")),
                        "J" => *rows.last_mut().expect("a row") = String::new(),
                        other => panic!("a sequence of {other}"),
                    }
                    rest = &sequence[end + 1..];
                    continue;
                }
                match c {
                    '\n' => rows.push(String::new()),
                    '\r' => {}
                    c => rows.last_mut().expect("a row").push(c),
                }
                rest = &rest[c.len_utf8()..];
            }
            rows.pop();
            rows
        }
    }

    fn step(name: &str) -> StepName {
        StepName::new(name).expect("a name")
    }

    fn tell(live: &mut Live, kind: EventKind) {
        live.event(&Event { at: jiff::Timestamp::UNIX_EPOCH, kind });
    }

    #[test]
    fn running_steps_are_rows_and_only_what_is_not_green_stays() {
        let screen = Screen::default();
        let mut live = Live::new(screen.clone(), || 60);
        let steps = vec![step("image"), step("trivy")];
        tell(&mut live, EventKind::RunStarted { run: "1".into(), pipeline: "p".into(), steps });
        tell(&mut live, EventKind::StepStarted { step: step("image") });
        tell(&mut live, EventKind::StepStarted { step: step("trivy") });
        let command = format!("docker build \u{1b}[2J{}", "建".repeat(90));
        tell(&mut live, EventKind::ProcessStarted { step: step("image"), command });
        live.tick();
        let rows = screen.shown();
        assert_eq!(rows.len(), 3, "{rows:?}");
        assert!(rows[0].starts_with("image  ") && rows[0].contains("docker"), "{rows:?}");
        assert!(!rows[0].contains('\u{1b}'), "{rows:?}");
        assert!(rows.iter().all(|row| row.chars().map(|c| c.width().unwrap_or(0)).sum::<usize>() < 60), "{rows:?}");
        assert!(rows[2].starts_with("0 of 2 steps done"), "{rows:?}");
        let finished = |name, status| EventKind::StepFinished {
            step: step(name),
            status,
            duration_ms: 1200,
            reason: None,
            findings: Vec::new(),
            facts: crate::model::Facts::new(),
            attempts: Vec::new(),
        };
        tell(&mut live, finished("image", Status::Passed));
        tell(&mut live, finished("trivy", Status::Failed));
        drop(live);
        assert_eq!(screen.shown(), ["failed    trivy (1.2 s)"]);
    }
}
