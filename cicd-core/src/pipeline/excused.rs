//! What the source of a pipeline excuses a step from, each time with a justification.

use std::panic::Location as Caller;

use super::Pipeline;
use super::attempts::{Granted, RetryCode};
use super::effects::EffectCode;
use crate::policy::{Exception, Justification, Scope};
use crate::step::{Handle, NodeId, Retry};

impl Pipeline {
    /// Lets a step be tried again whatever its error is, such as a browser test that does not always find its browser. That is
    /// an exception like any other: it is among the exceptions of the run, every attempt it was needed for is the finding
    /// `RTY-001`, and once it has expired nothing is tried again. A step that looked and found something is not tried again, and
    /// neither is one that lacks a tool or a secret, or that panicked.
    ///
    /// A step with an effect decides by itself what is worth another attempt, and is refused here.
    ///
    /// ```
    /// use cicd_core::pipeline::Pipeline;
    /// use cicd_core::policy::Justification;
    /// use cicd_core::process::Invocation;
    /// use cicd_core::step::Retry;
    ///
    /// let mut ci = Pipeline::new("example");
    /// let browser = ci.command("browser-tests", Invocation::tool("browser-tests"));
    /// let because = Justification::new("the browser loses its socket at start", "@example/web", "2027-03-01")?;
    /// ci.retry(&browser, Retry::times(2), because);
    /// # Ok::<(), cicd_core::policy::InvalidJustification>(())
    /// ```
    #[track_caller]
    pub fn retry<T>(&mut self, step: &Handle<T>, retry: Retry, because: Justification) {
        let caller = Caller::caller();
        let exception = Exception::in_pipeline(RetryCode::Asked, Scope::Any, because);
        let NodeId { pipeline, index } = step.node();
        let problem = match self.nodes.get_mut(index).filter(|_| pipeline == self.id) {
            None => Some("a handle of another pipeline cannot be tried again in this one".to_owned()),
            Some(node) if retry.attempts_max() == 1 => {
                Some(format!("{} is to be tried again 0 times; say how often", node.name))
            }
            Some(node) if node.granted.is_some() => {
                Some(format!("{} is to be tried again already; say so once", node.name))
            }
            Some(node) => match node.effect.name() {
                Some(effect) => Some(format!(
                    "{} may not be tried again whatever its error is: it may have had its effect ({effect}) by then",
                    node.name
                )),
                None => {
                    node.granted = Some(Granted { retry, exception });
                    None
                }
            },
        };
        if let Some(problem) = problem {
            self.problem(caller, problem);
        }
    }

    /// Lets a step have its effect without a clearance, where there is nothing to clear, such as a page of documentation. That is
    /// an exception like any other: it is among the exceptions of the run as `EFF-001`, and once it has expired nothing runs.
    ///
    /// ```
    /// use cicd_core::pipeline::Pipeline;
    /// use cicd_core::policy::Justification;
    /// use cicd_core::process::Invocation;
    /// use cicd_core::step::CommandStep;
    ///
    /// let mut ci = Pipeline::new("example");
    /// let book = ci.add("book", CommandStep::new(Invocation::tool("publish-book")).effect("publish"), ());
    /// let because = Justification::new("the book is text, and no image is behind it", "@example/docs", "2027-03-01")?;
    /// ci.nothing_to_clear(&book, because);
    /// ci.check()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn nothing_to_clear<T>(&mut self, step: &Handle<T>, because: Justification) {
        let caller = Caller::caller();
        let NodeId { pipeline, index } = step.node();
        let problem = match self.nodes.get_mut(index).filter(|_| pipeline == self.id) {
            None => Some("a handle of another pipeline cannot be excused in this one".to_owned()),
            Some(node) if node.effect.name().is_none() => {
                Some(format!("{} has no effect that a clearance would be needed for", node.name))
            }
            Some(node) if !node.cleared_for.is_empty() => {
                Some(format!("{} takes a clearance already; there is something to clear", node.name))
            }
            Some(node) if node.uncleared.is_some() => Some(format!("{} is excused already; say so once", node.name)),
            Some(node) => {
                node.uncleared = Some(Exception::in_pipeline(EffectCode::Uncleared, Scope::Any, because));
                None
            }
        };
        if let Some(problem) = problem {
            self.problem(caller, problem);
        }
    }

    /// Says that what a step runs changes nothing elsewhere, although it reads like a command that does, such as a test that only
    /// asks what a push would do. That is an exception like any other: it is among the exceptions of the run as `EFF-002`, the step is
    /// exempted, and once it has expired nothing runs. The step still runs with all others, unlike one with an effect.
    ///
    /// ```
    /// use cicd_core::pipeline::Pipeline;
    /// use cicd_core::policy::Justification;
    /// use cicd_core::process::Invocation;
    ///
    /// let mut ci = Pipeline::new("example");
    /// let packed = ci.command("packed", Invocation::tool("cargo").args(["publish", "--dry-run"]));
    /// let because = Justification::new("with --dry-run the package is built and not uploaded", "@example/web", "2027-03-01")?;
    /// ci.changes_nothing(&packed, because);
    /// ci.check()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[track_caller]
    pub fn changes_nothing<T>(&mut self, step: &Handle<T>, because: Justification) {
        let caller = Caller::caller();
        let NodeId { pipeline, index } = step.node();
        let problem = match self.nodes.get_mut(index).filter(|_| pipeline == self.id) {
            None => Some("a handle of another pipeline cannot be spoken for in this one".to_owned()),
            Some(node) if node.harmless.is_some() => {
                Some(format!("{} is said to change nothing already; say so once", node.name))
            }
            Some(node) => match node.effect.name() {
                Some(effect) => Some(format!("{} says itself that it changes something ({effect})", node.name)),
                None => {
                    node.harmless = Some(Exception::in_pipeline(EffectCode::Harmless, Scope::Any, because));
                    None
                }
            },
        };
        if let Some(problem) = problem {
            self.problem(caller, problem);
        }
    }
}
