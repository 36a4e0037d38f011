//! Steps that panic where it is code of theirs that runs, and not only in `run`.

#![expect(clippy::panic, reason = "a step that panics is what is being tested")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fmt, panic};

use cicd_core::pipeline::{GraphError, Pipeline};
use cicd_core::policy::Exception;
use cicd_core::process::{SecretSource, ToolRequirement};
use cicd_core::step::{Context, Outcome, Retry, Step, StepError, Workspace, step_fn};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Panics again when it is dropped.
#[derive(Debug)]
struct Again;

impl Drop for Again {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

/// An error whose text or end is code of a step.
#[derive(Debug)]
struct Faulty<const DROPS: bool>;

impl<const DROPS: bool> fmt::Display for Faulty<DROPS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if DROPS { f.write_str("no network") } else { panic::panic_any(7_u8) }
    }
}

impl<const DROPS: bool> std::error::Error for Faulty<DROPS> {}

impl<const DROPS: bool> Drop for Faulty<DROPS> {
    fn drop(&mut self) {
        if DROPS {
            panic!("dropped");
        }
    }
}

/// An output that panics when somebody does this to it.
#[derive(Debug, PartialEq, Eq)]
enum Output {
    Dropped,
    Saved,
    Cloned,
    Loaded,
    /// It panics as `Dropped` does once it was loaded.
    DroppedOnceLoaded,
}

impl Drop for Output {
    fn drop(&mut self) {
        if matches!(self, Self::Dropped) {
            panic!("dropped");
        }
    }
}

impl Clone for Output {
    fn clone(&self) -> Self {
        panic!("cloned")
    }
}

impl Serialize for Output {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if matches!(self, Self::Saved) {
            panic::panic_any(Again);
        }
        serializer.serialize_bool(matches!(self, Self::DroppedOnceLoaded))
    }
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if bool::deserialize(deserializer)? {
            return Ok(Self::Dropped);
        }
        panic::panic_any(Again)
    }
}

/// A step that answers this question once and panics from then on.
#[derive(Debug)]
struct Once {
    question: &'static str,
    asked: AtomicUsize,
}

impl Once {
    fn new(question: &'static str) -> Self {
        Self { question, asked: AtomicUsize::new(0) }
    }

    fn asked(&self, question: &str) {
        if self.question == question && self.asked.fetch_add(1, Ordering::SeqCst) > 0 {
            panic::panic_any(Again);
        }
    }
}

impl Step for Once {
    type Input = ();
    type Output = ();

    fn run(&self, _: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        match self.question {
            "exceptions" => panic!("it did not look"),
            _ => Ok(Outcome::of(())),
        }
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        self.asked("tools");
        Vec::new()
    }

    fn secrets(&self) -> Vec<SecretSource> {
        self.asked("secrets");
        Vec::new()
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.asked("relaxations");
        Vec::new()
    }

    fn retry(&self) -> Retry {
        self.asked("retry");
        Retry::NEVER
    }

    fn exceptions_in_files(&self, _: &Context) -> Result<Vec<Exception>, StepError> {
        panic::panic_any(Again)
    }
}

pub(crate) fn pipeline(_: &Workspace) -> Result<Pipeline, GraphError> {
    let mut ci = Pipeline::new("unwinds");
    ci.add("fine", step_fn(|_, ()| Ok(Outcome::of(()))), ());
    let payload = |_: &Context, ()| -> Result<Outcome<()>, StepError> { panic::panic_any(Again) };
    ci.add("payload", step_fn(payload), ());
    ci.add("saved", step_fn(|_, ()| Ok(Outcome::of(Output::Saved))), ());
    ci.add("exceptions", Once::new("exceptions"), ());
    for question in ["tools", "secrets", "retry", "relaxations"] {
        ci.add(question, Once::new(question), ());
    }
    ci.add("dropped", step_fn(|_, ()| Ok(Outcome::of(Output::Dropped))), ());
    let denied = |_: &Context, ()| Ok(Outcome::of(Output::Dropped).findings([super::finding("denied")]));
    ci.add("dropped-denied", step_fn(denied), ());
    let error = |source: io::Error| -> Result<Outcome<()>, StepError> { Err(StepError::io("reading", "a")(source)) };
    ci.add("error-shown", step_fn(move |_, ()| error(io::Error::other(Faulty::<false>))), ());
    ci.add("error-dropped", step_fn(move |_, ()| error(io::Error::other(Faulty::<true>))), ());
    let cloned = ci.add("made", step_fn(|_, ()| Ok(Outcome::of(Output::Cloned))), ());
    ci.add("cloned", step_fn(|_, _: Output| Ok(Outcome::of(()))), &cloned);
    ci.add("loaded", step_fn(|_, ()| Ok(Outcome::of(Output::Loaded))).resume_key("1"), ());
    let relies = |cx: &Context, ()| {
        let _ = cx.env("RELIED_ON");
        Ok(Outcome::of(Output::DroppedOnceLoaded))
    };
    ci.add("loaded-dropped", step_fn(relies).resume_key("1"), ());
    Ok(ci)
}
