use std::collections::BTreeSet;
use std::fmt;
use std::panic::Location as Caller;
use std::sync::atomic::{AtomicU64, Ordering};

use super::attempts::Granted;
use super::clear::ClearJob;
use super::effects;
use super::gates::Gates;
use super::job::{Asked, Job, StepJob};
use super::retention::Retention;
use crate::docker::{Fresh, Image};
use crate::model::{Environments, Location, PRODUCTION, StepName};
use crate::policy::{Exception, Policy};
use crate::process::Invocation;
use crate::step::{
    Artifact, Author, Cleared, CommandStep, Converted, Effect, Handle, Inputs, Kind, NodeId, Seal, Step,
};

/// Where nothing is cleared, and everything is tried.
const LAPTOP: &str = "local";

static NEXT_PIPELINE: AtomicU64 = AtomicU64::new(1);

/// Steps and what they need from each other: a value that can be shown, selected from and run.
pub struct Pipeline {
    pub(super) id: u64,
    name: String,
    pub(super) nodes: Vec<Node>,
    pub(super) policy: Policy,
    pub(super) retention: Retention,
    has_policy: bool,
    /// What it clears for.
    environments: BTreeSet<String>,
    problems: Vec<GraphProblem>,
}

pub(super) struct Node {
    pub(super) name: StepName,
    /// The steps whose outputs it takes, then those it only comes after.
    pub(super) needs: BTreeSet<usize>,
    /// The steps whose outputs it takes, in the order of its inputs.
    pub(super) inputs: Vec<usize>,
    pub(super) job: Asked,
    pub(super) granted: Option<Granted>,
    /// What it changes in the world, asked once: a step cannot answer otherwise later.
    pub(super) effect: Effect,
    /// Where it has its effect, asked once too.
    pub(super) environment: String,
    /// The environments that the clearances among its inputs are for; none where there is no clearance.
    pub(super) cleared_for: BTreeSet<String>,
    /// The environments that its output is a clearance for; none where it is no clearance.
    clears_for: BTreeSet<String>,
    /// Why it may have its effect without one.
    pub(super) uncleared: Option<Exception>,
    /// Why what it runs is no effect, though it reads like one.
    pub(super) harmless: Option<Exception>,
    /// The call that added it.
    pub(super) place: Location,
}

impl Node {
    /// Every exception of the pipeline's source for this step: those among its settings, and what the pipeline itself grants it.
    pub(super) fn relaxations(&self) -> Vec<Exception> {
        let granted = self.granted.as_ref().map(|granted| granted.exception.clone());
        granted
            .into_iter()
            .chain(self.uncleared.clone())
            .chain(self.harmless.clone())
            .chain(self.job.relaxations().iter().cloned())
            .collect()
    }
}

/// What is known of a step beside what it runs.
struct Nature {
    converted: Vec<Converted>,
    output: Kind,
    author: Author,
    effect: Effect,
    environment: String,
    /// What a clearance is granted for; another step hands on those that it was given.
    clears_for: Option<String>,
}

impl Pipeline {
    /// A pipeline without steps.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            id: NEXT_PIPELINE.fetch_add(1, Ordering::Relaxed),
            name: name.into(),
            nodes: Vec::new(),
            policy: Policy::default(),
            retention: Retention::default(),
            has_policy: false,
            environments: BTreeSet::new(),
            problems: Vec::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets what every exception of every step is held to, once. Without it, the limits of [`Policy::default`] hold.
    #[track_caller]
    pub fn policy(&mut self, policy: Policy) {
        if self.has_policy {
            self.problem(Caller::caller(), "the pipeline has a policy already; set it once".to_owned());
        }
        (self.policy, self.has_policy) = (policy, true);
    }

    /// Sets how much of earlier runs stays on disk and in the Docker engine. Without it, what [`Retention::default`] says.
    pub fn retention(&mut self, retention: Retention) {
        self.retention = retention;
    }

    /// What exceptions are held to: the policy, which knows the environments that the pipeline clears for where it names none.
    pub(super) fn held_to(&self) -> Policy {
        if self.environments.is_empty() {
            return self.policy.clone();
        }
        self.policy.or_environments(self.environments.iter().map(String::as_str).chain([PRODUCTION, LAPTOP]))
    }

    /// Adds a step with what it needs, and gives the handle of its output.
    ///
    /// A name that is taken or cannot be one, and a handle of another pipeline, are refused when the pipeline is
    /// [checked](Self::check), with the line of this call.
    #[track_caller]
    pub fn add<S, I>(&mut self, name: &str, step: S, inputs: I) -> Handle<S::Output>
    where
        S: Step,
        I: Inputs<S::Input>,
    {
        let seal = Seal::new();
        let inputs = inputs.wire(&seal);
        let nature = Nature {
            converted: inputs.conversions().to_vec(),
            output: S::Output::kind(&seal),
            author: step.author(&seal),
            effect: step.effect(),
            environment: step.environment().to_owned(),
            clears_for: None,
        };
        self.insert(name, inputs.nodes().to_vec(), nature, StepJob { step, inputs })
    }

    /// Adds a command whose exit code is the verdict: one line of glue.
    #[track_caller]
    pub fn command(&mut self, name: &str, command: impl Into<Invocation>) -> Handle<()> {
        self.add(name, CommandStep::new(command), ())
    }

    /// Lets a step wait for another one whose output it does not take.
    ///
    /// The earlier step must have been added earlier, so that no cycle can be written.
    #[track_caller]
    pub fn after<T, U>(&mut self, later: &Handle<T>, earlier: &Handle<U>) {
        let (later, earlier) = (later.node(), earlier.node());
        let caller = Caller::caller();
        if later.pipeline != self.id || earlier.pipeline != self.id {
            self.problem(caller, "a handle of another pipeline orders steps of this one".to_owned());
        } else if earlier.index >= later.index {
            let (later, earlier) = (&self.nodes[later.index].name, &self.nodes[earlier.index].name);
            self.problem(
                caller,
                format!("{later} cannot come after {earlier}, which was added later; add {earlier} first"),
            );
        } else {
            self.nodes[later.index].needs.insert(earlier.index);
        }
    }

    /// Grants a [`Cleared`] image once every gate has looked at that image, or at the commit it was built from, and let it
    /// pass in this same run. Pushing and deploying take nothing else. It is for effects in `production`.
    #[track_caller]
    pub fn clear(&mut self, image: &Handle<Image<Fresh>>, gates: impl Gates) -> Handle<Cleared<Image<Fresh>>> {
        self.clear_for(PRODUCTION, image, gates)
    }

    /// As [`clear`](Self::clear), for another environment than `production`: what is accepted only elsewhere blocks it, and an effect
    /// takes it only where that environment is [its own](Step::environment).
    #[track_caller]
    pub fn clear_for(
        &mut self,
        environment: &str,
        image: &Handle<Image<Fresh>>,
        gates: impl Gates,
    ) -> Handle<Cleared<Image<Fresh>>> {
        if let Err(error) = Environments::only([environment]) {
            self.problem(Caller::caller(), error.to_string());
        }
        self.environments.insert(environment.to_owned());
        let gates = gates.wire(&Seal::new());
        let mut needs = gates.nodes().to_vec();
        needs.push(image.node());
        let count = self.nodes.iter().filter(|node| node.name.as_str().starts_with("clearance")).count();
        let name = if count == 0 { "clearance".to_owned() } else { format!("clearance-{}", count + 1) };
        let nature = Nature {
            converted: Vec::new(),
            output: Kind::Clearance,
            author: Author::Library,
            effect: Effect::None,
            environment: environment.to_owned(),
            clears_for: Some(environment.to_owned()),
        };
        self.insert(&name, needs, nature, ClearJob { image: *image, gates, environment: environment.to_owned() })
    }

    #[track_caller]
    fn insert<T: Artifact>(
        &mut self,
        name: &str,
        needs: Vec<NodeId>,
        nature: Nature,
        job: impl Job + 'static,
    ) -> Handle<T> {
        let caller = Caller::caller();
        let index = self.nodes.len();
        if let Some(foreign) = needs.iter().find(|node| node.pipeline != self.id) {
            let message = format!(
                "step {name:?} takes the output of step {} of another pipeline; a handle works only in the pipeline that gave it",
                foreign.index
            );
            self.problem(caller, message);
        }
        let Nature { converted, output, author, effect, environment, clears_for } = nature;
        if author == Author::Library {
            for Converted { from, into } in converted {
                let message = format!(
                    "step {name:?} takes {into}, and the program itself makes that of a {from}; hand on the handle of the step that gives it"
                );
                self.problem(caller, message);
            }
        }
        if output.needs_library() && author == Author::Anyone {
            let message = format!(
                "step {name:?} gives a {}, which comes out of the library's own step alone; hand on the handle of that step, and give a `Judgement` where this one judges by itself",
                output.label()
            );
            self.problem(caller, message);
        }
        let inputs: Vec<usize> = needs.iter().filter(|node| node.pipeline == self.id).map(|node| node.index).collect();
        let needs: BTreeSet<usize> = inputs.iter().copied().collect();
        let given = needs.iter().filter_map(|&need| self.nodes.get(need));
        let cleared_for: BTreeSet<String> = given.flat_map(|node| node.clears_for.clone()).collect();
        let clears_for = match (output, clears_for) {
            (_, Some(granted)) => BTreeSet::from([granted]),
            (Kind::Clearance, None) => cleared_for.clone(),
            _ => BTreeSet::new(),
        };
        let fallback = StepName::new(format!("step-{index}"));
        match StepName::new(name) {
            Err(error) => self.problem(caller, error.to_string()),
            Ok(name) if self.nodes.iter().any(|node| node.name == name) => self.problem(
                caller,
                format!("there is a step {name:?} already; give this one another name", name = name.as_str()),
            ),
            Ok(_) => {}
        }
        // A node is kept even when its name is refused, so that later handles point at the right place; such a pipeline never runs.
        if let Ok(name) = StepName::new(name).or(fallback) {
            let place = Location::line(caller.file(), caller.line());
            self.nodes.push(Node {
                name,
                needs,
                inputs,
                job: Asked::new(job),
                granted: None,
                effect,
                environment,
                cleared_for,
                clears_for,
                uncleared: None,
                harmless: None,
                place,
            });
        }
        Handle::new(NodeId { pipeline: self.id, index })
    }

    /// Where a step was added: the place of what it found that is in no file.
    #[must_use]
    pub fn place_of(&self, step: &StepName) -> Option<&Location> {
        self.nodes.iter().find(|node| node.name == *step).map(|node| &node.place)
    }

    pub(super) fn problem(&mut self, caller: &Caller<'_>, message: String) {
        self.problems.push(GraphProblem { place: format!("{}:{}", caller.file(), caller.line()), message });
    }

    pub(super) fn node_id(&self, index: usize) -> NodeId {
        NodeId { pipeline: self.id, index }
    }

    /// Checks the wiring.
    ///
    /// # Errors
    /// Every mistake that was made while the pipeline was put together, each with the line of the call.
    pub fn check(&self) -> Result<(), GraphError> {
        let mut problems = self.problems.clone();
        problems.extend(self.nodes.iter().filter_map(effects::problem));
        problems.extend(self.environments.iter().filter(|name| !self.policy.knows_environment(name)).map(|name| {
            let message = format!("the pipeline clears for {name}, an environment that its policy does not know");
            GraphProblem { place: self.name.clone(), message }
        }));
        if self.nodes.is_empty() {
            problems.push(GraphProblem {
                place: self.name.clone(),
                message: "the pipeline has no steps: nothing would be looked at".to_owned(),
            });
        }
        if problems.is_empty() { Ok(()) } else { Err(GraphError { problems }) }
    }

    /// Every step that `index` depends on, directly or not.
    pub(super) fn ancestors(&self, index: usize) -> BTreeSet<usize> {
        let mut all = BTreeSet::new();
        let mut open = vec![index];
        while let Some(next) = open.pop() {
            for &need in &self.nodes[next].needs {
                if all.insert(need) {
                    open.push(need);
                }
            }
        }
        all
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        f.debug_struct("Pipeline").field("name", &self.name).field("steps", &names).finish_non_exhaustive()
    }
}

/// A mistake in how a pipeline was put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphProblem {
    /// The `file:line` of the call.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

/// All mistakes in how a pipeline was put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", problems.iter().map(|problem| format!("{}: {}", problem.place, problem.message)).collect::<Vec<_>>().join("\n"))]
pub struct GraphError {
    /// In the order they were made.
    pub problems: Vec<GraphProblem>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{Outcome, step_fn};

    fn number() -> impl Step<Input = (), Output = u32> {
        step_fn(|_, ()| Ok(Outcome::of(1)))
    }

    #[test]
    fn a_handle_of_another_pipeline_is_refused_with_the_line_of_the_call() {
        let (mut one, mut other) = (Pipeline::new("one"), Pipeline::new("other"));
        let number = one.add("number", number(), ());
        other.add("uses-it", step_fn(|_, _: u32| Ok(Outcome::of(()))), &number);
        let line = line!() - 1;
        let error = other.check().expect_err("a foreign handle");
        assert_eq!(error.problems[0].place, format!("{}:{line}", file!()));
        assert!(error.to_string().contains("another pipeline"), "{error}");
        one.check().expect("nothing wrong with the first");
    }

    #[test]
    fn names_are_checked_and_unique() {
        let mut ci = Pipeline::new("names");
        ci.add("twice", number(), ());
        ci.add("twice", number(), ());
        ci.add("Not A Name", number(), ());
        assert_eq!(ci.check().expect_err("two mistakes").problems.len(), 2);
        assert!(Pipeline::new("empty").check().is_err());
    }

    #[test]
    fn order_cannot_make_a_cycle() {
        let mut ci = Pipeline::new("order");
        let first = ci.add("first", number(), ());
        let second = ci.add("second", number(), ());
        ci.after(&second, &first);
        ci.check().expect("in order");
        ci.after(&first, &second);
        assert!(ci.check().expect_err("a cycle").to_string().contains("add second first"));
    }
}
