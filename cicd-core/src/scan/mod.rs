//! Floor 3: what everything that searches source files with a tool shares.
//!
//! A [`Scanner`] says which tool it runs, on which files, how its report is read and which comments its tool obeys. [`Scan`] makes a
//! step of it and owns the rest: every file of the repository is accounted for, a file that the tool missed or was not given is an
//! error, so is an exit code that contradicts the report, comments become exceptions, and stray settings are named.

mod account;
mod bench;
mod code;
mod comments;
mod judge;
mod report;
mod scanned;
mod settings;
mod step;

pub use account::{Selection, Source, Sources};
pub use bench::Bench;
pub use code::ScannerCode;
pub(crate) use comments::first_from;
pub use comments::{Pragma, Reach};
pub use judge::{Judgement, judge};
pub use report::{ExitMeaning, Hit, Report};
pub use scanned::Scanned;
pub use settings::Setting;
pub use step::Scan;

use camino::Utf8PathBuf;

use crate::formats::Suppressions;
use crate::model::Code;
use crate::policy::Exception;
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::step::{Context, Seal, StepError};

/// A tool that searches files: what is its own, and nothing that another one has too.
///
/// Apart from [`lay_out`](Self::lay_out) its methods run nothing, so commands and reading can be tested on recorded output.
pub trait Scanner: std::fmt::Debug + Send + Sync + 'static {
    /// What it needs from earlier steps; mostly `()`.
    type Input: Send + 'static;
    /// What is laid out before the tool runs, such as copies or a canary; removed, where it is to be, when this is dropped.
    type Layout;

    /// Whether it is one of the library's own, whose settings are known.
    #[doc(hidden)]
    const OURS: Option<Seal> = None;

    /// The tool.
    fn tool(&self) -> ToolRequirement;

    /// The files that it has to look at.
    fn sources(&self, input: &Self::Input) -> Selection;

    /// Prepares what the commands need: a configuration of our own, copies, canaries.
    ///
    /// # Errors
    /// When that cannot be written or read.
    fn lay_out(&self, cx: &Context, sources: &Sources) -> Result<Self::Layout, StepError>;

    /// The command lines, run one after the other whatever their exit codes.
    fn commands(&self, sources: &Sources, layout: &Self::Layout) -> Vec<Invocation>;

    /// The meaning of what the commands left, one capture for each of them.
    ///
    /// # Errors
    /// When that is no whole report of the tool.
    fn read(&self, sources: &Sources, layout: &Self::Layout, captured: &[Captured]) -> Result<Report, StepError>;

    /// What the exit codes say beside the report.
    fn exit_meaning(&self) -> ExitMeaning {
        ExitMeaning::ZeroIsClean
    }

    /// The comments of a file that ask the tool to say nothing. It is kept from reading them where that is possible; each needs
    /// reason, owner and expiry above it.
    fn pragmas(&self, lines: &[&str]) -> Vec<Pragma> {
        let _ = lines;
        Vec::new()
    }

    /// How lines that are nothing but a comment may begin.
    fn comment_starts(&self) -> &'static [&'static str] {
        &["#"]
    }

    /// The settings that the tool would take by itself. They have no effect here, and each that lies in the repository is named.
    fn settings(&self) -> &'static [Setting] {
        &[]
    }

    /// What is to be said of settings in these files of the repository that do have an effect on what is found.
    ///
    /// # Errors
    /// When they cannot be read.
    fn obeyed(&self, cx: &Context, sources: &Sources, files: &[Utf8PathBuf]) -> Result<Suppressions, StepError> {
        let _ = (cx, sources, files);
        Ok(Suppressions::default())
    }

    /// Exceptions that are written down elsewhere than in comments.
    ///
    /// # Errors
    /// When they cannot be read.
    fn exceptions(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        let _ = cx;
        Ok(Vec::new())
    }

    /// By what it is known whole; see [`Step::resume_key`](crate::step::Step::resume_key).
    fn resume_key(&self) -> Option<String> {
        None
    }

    /// What to do when it did not look at a file.
    fn missed_help(&self) -> &'static str {
        "see the step's log"
    }

    /// The code of the finding that files are left out.
    fn left_out_code(&self) -> Code {
        crate::model::FindingCode::code(ScannerCode::LeftOut)
    }

    /// The command lines with `<placeholders>` for what is only known later.
    fn explain(&self) -> Vec<Invocation>;
}
