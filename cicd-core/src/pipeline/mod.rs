//! Floor 5: steps wired into a pipeline, and a pipeline run.

mod clear;
mod crew;
mod engine;
mod folder;
mod gates;
mod graph;
mod interrupted;
mod job;
mod lock;
mod outside;
mod panics;
mod plan;
mod redacted;
mod resume;
mod run;
mod schedule;
mod scrub;
mod selection;
mod summary;

pub use clear::ClearanceCode;
pub use folder::{RUNS_KEPT, RunFolder, latest_summary};
pub use gates::{Gates, Subjects};
pub use graph::{GraphError, GraphProblem, Pipeline};
pub use interrupted::abandon;
pub use lock::WhenBusy;
pub use outside::Outside;
pub use plan::{Plan, PlannedStep};
pub use resume::ResumeError;
pub use run::{Observer, Reset, RunError, RunOptions, Start, alone, run};
pub use schedule::KeepGoing;
pub use selection::{Selection, SelectionError};
pub use summary::{ExceptionReport, SCHEMA_VERSION, StepReport, Summary};
