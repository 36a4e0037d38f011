use std::num::NonZeroUsize;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};
use jiff::civil::Date;

use crate::pipeline::{KeepGoing, Reset, RunOptions, Selection, Start, WhenBusy};

/// The options of every command that runs a pipeline.
#[derive(Debug, Clone, Args)]
pub(super) struct RunArgs {
    /// Run only these steps and what they need.
    #[arg(long, value_name = "STEP", num_args = 1.., value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Leave these steps out, and what needs them.
    #[arg(long, value_name = "STEP", num_args = 1.., value_delimiter = ',', requires = "because")]
    pub(super) skip: Vec<String>,
    /// Why steps are left out; it stands in the report.
    #[arg(long, value_name = "REASON", requires = "skip")]
    pub(super) because: Option<String>,
    /// Run steps with this effect on the world too, such as `push`.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(super) effect: Vec<String>,
    /// How many steps run at the same time; as many as there are processors without it.
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<NonZeroUsize>,
    /// Cancel what runs at the first step that is not green.
    #[arg(long, conflicts_with = "keep_going")]
    pub(super) fail_fast: bool,
    /// Judge everything that can still be judged; this is the default.
    #[arg(long)]
    pub(super) keep_going: bool,
    /// Load what the last run finished green for the same files, and run the rest.
    #[arg(long)]
    pub(super) resume: bool,
    /// First remove every container, network, volume and temporary image of any run, also of one that goes on in another checkout.
    #[arg(long)]
    pub(super) force_reset: bool,
    /// Wait for another run in this checkout instead of stopping.
    #[arg(long)]
    pub(super) wait: bool,
    /// Show the command lines and run nothing.
    #[arg(long)]
    pub(super) explain: bool,
    /// Show what the tools print while they run.
    #[arg(long, short)]
    pub(super) verbose: bool,
}

impl RunArgs {
    pub(super) fn options(&self, area: &'static str) -> RunOptions {
        let default = RunOptions::default();
        RunOptions {
            selection: Selection {
                only: self.only.clone(),
                skip: self.skip.clone(),
                because: self.because.clone(),
                effects: self.effect.clone(),
            },
            jobs: self.jobs.unwrap_or(default.jobs),
            keep_going: if self.fail_fast { KeepGoing::FailFast } else { KeepGoing::Yes },
            when_busy: if self.wait { WhenBusy::Wait } else { WhenBusy::Stop },
            start: if self.resume { Start::Resume } else { Start::Fresh },
            reset: if self.force_reset { Reset::Forced } else { Reset::None },
            judged: None,
            area,
        }
    }
}

/// The options of `plan`.
#[derive(Debug, Clone, Args)]
pub(super) struct PlanArgs {
    /// The language to show the graph in.
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub(super) format: PlanFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum PlanFormat {
    /// One line a step.
    Text,
    /// Graphviz.
    Dot,
    /// Mermaid, which GitHub renders in Markdown.
    Mermaid,
    /// For scripts.
    Json,
}

/// The options of `setup`.
#[derive(Debug, Clone, Args)]
pub(super) struct SetupArgs {
    /// Do not ask before changing the machine.
    #[arg(long, short)]
    pub(super) yes: bool,
}

/// The options of `exceptions`.
#[derive(Debug, Clone, Args)]
pub(super) struct ExceptionsArgs {
    /// The day to look from, in UTC; today without it.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(super) as_of: Option<Date>,
    /// How to show the list.
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub(super) format: ListFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ListFormat {
    /// For people.
    Text,
    /// For scripts.
    Json,
    /// For spreadsheets.
    Csv,
}

/// The options of `hooks`.
#[derive(Debug, Clone, Args)]
pub(super) struct HooksArgs {
    #[command(subcommand)]
    pub(super) command: HooksCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(super) enum HooksCommand {
    /// Have git check what is staged before each commit; a hook that is there already is left as it is.
    Install,
    /// Remove the hook that `install` wrote.
    Uninstall,
    /// Check what is staged now.
    Run(HooksRunArgs),
}

#[derive(Debug, Clone, Args)]
pub(super) struct HooksRunArgs {
    /// Run only these steps and what they need.
    #[arg(long, value_name = "STEP", num_args = 1.., value_delimiter = ',')]
    pub(super) only: Vec<String>,
    /// Show what the tools print while they run.
    #[arg(long, short)]
    pub(super) verbose: bool,
}

/// The options of `licenses`.
#[derive(Debug, Clone, Args)]
pub(super) struct LicensesArgs {
    #[command(subcommand)]
    pub(super) command: LicensesCommand,
}

#[derive(Debug, Clone, Subcommand)]
pub(super) enum LicensesCommand {
    /// Print the rows to review for the packages of an image that are not approved; approves nothing.
    Propose {
        /// The image, by id or name; the last one that `ci` built without it.
        #[arg(long)]
        image: Option<String>,
        /// The list of approved packages.
        #[arg(long, default_value = "ci/approved_dependencies.csv")]
        list: Utf8PathBuf,
    },
    /// Show what changed between the licences in two METADATA files.
    Diff {
        /// The earlier file.
        old: Utf8PathBuf,
        /// The later file.
        new: Utf8PathBuf,
    },
}

/// The options of `codes`.
#[derive(Debug, Clone, Args)]
pub(super) struct CodesArgs {
    /// Print a Markdown table.
    #[arg(long)]
    pub(super) markdown: bool,
}

/// The options of `completions`.
#[derive(Debug, Clone, Args)]
pub(super) struct CompletionArgs {
    /// The shell.
    pub(super) shell: clap_complete::Shell,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    /// On a terminal; NO_COLOR and CLICOLOR_FORCE are respected.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
