use std::collections::BTreeMap;

use super::{Pipeline, StepReport};
use crate::model::{Status, StepName};
use crate::step::Claims;

/// What happens to the rest of a run when a step is not green.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeepGoing {
    /// Everything that can still be judged is judged.
    #[default]
    Yes,
    /// What runs is cancelled and nothing more is started.
    FailFast,
}

/// A step of unknown duration counts as this long.
const DURATION_MS_DEFAULT: u64 = 1000;

/// Which steps are done, which run and which comes next.
pub(super) struct Schedule {
    needs: Vec<Vec<usize>>,
    claims: Vec<Claims>,
    /// The longest remaining path from each step, in milliseconds: those with the most behind them go first.
    rank: Vec<u64>,
    state: Vec<State>,
}

/// The report of a step that was not started: its place, its status and why.
pub(super) type NotRun<'a> = &'a dyn Fn(usize, Status, String) -> StepReport;

#[derive(Debug, Clone, PartialEq)]
enum State {
    Waiting,
    Running,
    Done(Box<StepReport>),
}

impl Schedule {
    pub(super) fn new(pipeline: &Pipeline, durations_ms: &BTreeMap<StepName, u64>) -> Self {
        let needs: Vec<Vec<usize>> = pipeline.nodes.iter().map(|node| node.needs.iter().copied().collect()).collect();
        let mut rank: Vec<u64> = pipeline
            .nodes
            .iter()
            .map(|node| durations_ms.get(&node.name).copied().unwrap_or(DURATION_MS_DEFAULT).max(1))
            .collect();
        // Needs always point to earlier places, so one pass from the end sees every dependent first.
        let own = rank.clone();
        for index in (0..rank.len()).rev() {
            for &need in &needs[index] {
                rank[need] = rank[need].max(own[need] + rank[index]);
            }
        }
        Self {
            claims: pipeline.nodes.iter().map(|node| node.job.claims().clone()).collect(),
            state: vec![State::Waiting; needs.len()],
            needs,
            rank,
        }
    }

    /// The next step that can start now, marked as running.
    pub(super) fn next(&mut self) -> Option<usize> {
        let running: Vec<&Claims> = self.indices(&State::Running).map(|index| &self.claims[index]).collect();
        let ready: Vec<usize> = self
            .indices(&State::Waiting)
            .filter(|&index| {
                self.needs[index].iter().all(|&need| self.report(need).is_some_and(|report| report.status.is_green()))
            })
            .collect();
        let agrees = |index: usize| running.iter().all(|claims| claims.agree_with(&self.claims[index]));
        let reader_waits = ready.iter().any(|&index| self.claims[index].only_reads());
        let gives_way = |index: usize| reader_waits && self.claims[index].runs_code();
        let next = ready
            .iter()
            .copied()
            .filter(|&index| agrees(index) && !gives_way(index))
            .max_by_key(|&index| (self.rank[index], std::cmp::Reverse(index)))?;
        self.state[next] = State::Running;
        Some(next)
    }

    /// Ends a step and everything that can no longer start because of it; gives the reports of the latter.
    pub(super) fn finish(&mut self, index: usize, report: StepReport, not_run: NotRun<'_>) -> Vec<StepReport> {
        self.state[index] = State::Done(Box::new(report));
        let mut ended = Vec::new();
        for later in index + 1..self.state.len() {
            if self.state[later] != State::Waiting {
                continue;
            }
            let lacking =
                self.needs[later].iter().filter_map(|&need| self.report(need)).find(|report| !report.status.is_green());
            if let Some(lacking) = lacking {
                let status = match lacking.status {
                    Status::Skipped => Status::Skipped,
                    Status::Cancelled => Status::Cancelled,
                    _ => Status::Blocked,
                };
                let report = not_run(later, status, format!("needs {}, which is {}", lacking.name, lacking.status));
                self.state[later] = State::Done(Box::new(report.clone()));
                ended.push(report);
            }
        }
        ended
    }

    /// Ends every step that was not started.
    pub(super) fn abandon(&mut self, reason: &str, not_run: NotRun<'_>) -> Vec<StepReport> {
        let waiting: Vec<usize> = self.indices(&State::Waiting).collect();
        waiting
            .into_iter()
            .map(|index| {
                let report = not_run(index, Status::Cancelled, reason.to_owned());
                self.state[index] = State::Done(Box::new(report.clone()));
                report
            })
            .collect()
    }

    pub(super) fn report(&self, index: usize) -> Option<&StepReport> {
        match &self.state[index] {
            State::Done(report) => Some(report),
            State::Waiting | State::Running => None,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.state.iter().all(|state| matches!(state, State::Done(_)))
    }

    pub(super) fn into_reports(self) -> Vec<StepReport> {
        self.state
            .into_iter()
            .filter_map(|state| match state {
                State::Done(report) => Some(*report),
                State::Waiting | State::Running => None,
            })
            .collect()
    }

    fn indices(&self, wanted: &State) -> impl Iterator<Item = usize> {
        let wanted = std::mem::discriminant(wanted);
        self.state
            .iter()
            .enumerate()
            .filter(move |(_, state)| std::mem::discriminant(*state) == wanted)
            .map(|(index, _)| index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Facts;
    use crate::step::{Outcome, step_fn};

    fn ended(name: &StepName, status: Status) -> StepReport {
        StepReport {
            name: name.clone(),
            status,
            duration_ms: 1,
            reason: None,
            findings: Vec::new(),
            facts: Facts::new(),
            attachments: Vec::new(),
            exceptions: Vec::new(),
            loaded_from: None,
            output_sha256: None,
            relied_on: None,
            attempts: Vec::new(),
        }
    }

    fn not_run(names: &[StepName]) -> impl Fn(usize, Status, String) -> StepReport {
        |index, status, reason| StepReport::not_run(&names[index], status, reason)
    }

    fn diamond() -> (Pipeline, Vec<StepName>) {
        let mut ci = Pipeline::new("diamond");
        let short = ci.add("short", step_fn(|_, ()| Ok(Outcome::of(1_u32))), ());
        let long = ci.add("long", step_fn(|_, ()| Ok(Outcome::of(1_u32))), ());
        ci.add("end", step_fn(|_, _: (u32, u32)| Ok(Outcome::of(()))), (&short, &long));
        let names = ci.nodes.iter().map(|node| node.name.clone()).collect();
        (ci, names)
    }

    #[test]
    fn the_longest_remaining_path_goes_first() {
        let (ci, names) = diamond();
        let durations = BTreeMap::from([(names[0].clone(), 5), (names[1].clone(), 500), (names[2].clone(), 5)]);
        let mut schedule = Schedule::new(&ci, &durations);
        assert_eq!(schedule.next(), Some(1));
        assert_eq!(schedule.next(), Some(0));
        assert_eq!(schedule.next(), None);
        assert!(schedule.finish(0, ended(&names[0], Status::Passed), &not_run(&names)).is_empty());
        assert_eq!(schedule.next(), None);
        schedule.finish(1, ended(&names[1], Status::Exempted), &not_run(&names));
        assert_eq!(schedule.next(), Some(2));
    }

    #[test]
    fn dependents_of_a_failure_are_blocked() {
        let (ci, names) = diamond();
        let mut schedule = Schedule::new(&ci, &BTreeMap::new());
        let first = schedule.next().expect("one is ready");
        let blocked = schedule.finish(first, ended(&names[first], Status::Failed), &not_run(&names));
        assert_eq!(blocked.len(), 1);
        assert_eq!((blocked[0].name.as_str(), blocked[0].status), ("end", Status::Blocked));
        assert!(!schedule.is_over());
    }
}
