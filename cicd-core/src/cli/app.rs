use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::{Arg, ArgMatches, Args as _, Command, FromArgMatches as _};

use super::args::{
    CodesArgs, Colour, CompletionArgs, ExceptionsArgs, HooksArgs, HooksCommand, LicensesArgs, PlanArgs, PlanFormat,
    RunArgs, SetupArgs,
};
use super::link::Link;
use super::supervisor::watched;
use super::{Output, ci, exceptions, hooks, inherited, licenses, machine, show};
use crate::model::ExitStatus;
use crate::pipeline::Pipeline;
use crate::reporters::{codes_markdown, codes_text};
use crate::step::{StepError, Workspace};

/// Makes a pipeline for a workspace.
pub(super) type Build = Box<dyn Fn(&Workspace) -> Result<Pipeline, Box<dyn Error>>>;
type Run = Box<dyn Fn(&Workspace, &[OsString]) -> ExitStatus>;

/// The whole program of an `xtask` whose pipeline is `pipeline`: three lines of `main.rs`.
pub fn main<E: Into<Box<dyn Error>>>(pipeline: impl Fn(&Workspace) -> Result<Pipeline, E> + 'static) -> ExitCode {
    Cli::new(pipeline).main()
}

/// A command line around one or more pipelines.
pub struct Cli {
    pipelines: Vec<NamedPipeline>,
    before_commit: Option<Build>,
    commands: Vec<Extra>,
}

struct NamedPipeline {
    name: &'static str,
    about: &'static str,
    build: Build,
}

struct Extra {
    name: &'static str,
    about: &'static str,
    run: Run,
}

impl Extra {
    fn clap(&self, name: &'static str) -> Command {
        let args = Arg::new("args")
            .num_args(0..)
            .value_parser(clap::value_parser!(OsString))
            .trailing_var_arg(true)
            .allow_hyphen_values(true);
        Command::new(name).about(self.about).arg(args)
    }
}

impl Cli {
    /// A command line whose `ci` runs this pipeline.
    #[must_use]
    pub fn new<E: Into<Box<dyn Error>>>(pipeline: impl Fn(&Workspace) -> Result<Pipeline, E> + 'static) -> Self {
        Self { pipelines: Vec::new(), before_commit: None, commands: Vec::new() }.pipeline(
            "ci",
            "Run the pipeline: every check, and the effects that are asked for",
            pipeline,
        )
    }

    /// Adds a command that runs another pipeline, with the same options as `ci`.
    #[must_use]
    pub fn pipeline<E: Into<Box<dyn Error>>>(
        mut self,
        name: &'static str,
        about: &'static str,
        pipeline: impl Fn(&Workspace) -> Result<Pipeline, E> + 'static,
    ) -> Self {
        self.pipelines.push(NamedPipeline {
            name,
            about,
            build: Box::new(move |workspace| pipeline(workspace).map_err(Into::into)),
        });
        self
    }

    /// Sets what is checked before each commit, where [`hooks install`](crate::cli#before-a-commit) was called: a pipeline like any other,
    /// of steps that `ci` has under the same names, so that going without the hook gains nothing.
    ///
    /// The workspace that it is made for, and that its steps see, is a checkout of what is staged; its `HEAD` is the commit that is
    /// about to be made. Paths in findings are therefore those of the repository.
    #[must_use]
    pub fn before_commit<E: Into<Box<dyn Error>>>(
        mut self,
        pipeline: impl Fn(&Workspace) -> Result<Pipeline, E> + 'static,
    ) -> Self {
        self.before_commit = Some(Box::new(move |workspace| pipeline(workspace).map_err(Into::into)));
        self
    }

    /// Adds a command of the repository's own; it gets the arguments after its name. `test faults` is a command below the pipeline
    /// `test`.
    #[must_use]
    pub fn command(
        mut self,
        name: &'static str,
        about: &'static str,
        run: impl Fn(&Workspace, &[OsString]) -> ExitStatus + 'static,
    ) -> Self {
        self.commands.push(Extra { name, about, run: Box::new(run) });
        self
    }

    /// Reads the process's arguments, does what they say and gives the exit code.
    ///
    /// A command that runs a pipeline, and `hooks run`, start this program once more with the same arguments, and watch it: whatever
    /// a step does to its process, the exit code is green only if the runner has judged the run so. So what stands before this call
    /// in `main` is done twice, and what stands behind it once, when all is over.
    #[must_use]
    pub fn main(self) -> ExitCode {
        match inherited::undo().and_then(|()| Link::take()) {
            Ok(None) => Output.settled(self.run(std::env::args_os(), None)).into(),
            Ok(Some(link)) => {
                let status = Output.settled(self.run(std::env::args_os(), Some(&link)));
                link.verdict(status);
                std::process::exit(i32::from(status.code()))
            }
            Err(error) => {
                Output.complain(&format!("error: {error}"));
                ExitStatus::Error.into()
            }
        }
    }

    fn run(&self, args: impl IntoIterator<Item = OsString>, link: Option<&Link>) -> ExitStatus {
        let matches = match self.clap().try_get_matches_from(args) {
            Ok(matches) => matches,
            Err(error) => {
                // Help and version come this way too, and are no error.
                let text = error.render().ansi().to_string();
                if !error.use_stderr() {
                    Output.say(&text);
                    return ExitStatus::Green;
                }
                Output.complain_in_style(text.trim_end());
                return ExitStatus::Usage;
            }
        };
        match matches.get_one::<Colour>("color") {
            Some(Colour::Always) => anstream::ColorChoice::Always.write_global(),
            Some(Colour::Never) => anstream::ColorChoice::Never.write_global(),
            Some(Colour::Auto) | None => {}
        }
        match self.dispatch(&matches, link) {
            Ok(status) => status,
            Err(error) => {
                Output.complain(&format!("error: {error}"));
                // What could not be done is no mistake of whoever typed it.
                let undecided = error.is::<StepError>() || error.is::<std::io::Error>();
                if undecided { ExitStatus::Error } else { ExitStatus::Usage }
            }
        }
    }

    fn dispatch(&self, matches: &ArgMatches, link: Option<&Link>) -> Result<ExitStatus, Box<dyn Error>> {
        let Some((name, matches)) = matches.subcommand() else {
            Output.say(&self.clap().render_help().ansi().to_string());
            return Ok(ExitStatus::Green);
        };
        if name == "completions" {
            let args = CompletionArgs::from_arg_matches(matches)?;
            // Written in one piece: the generator panics when its reader goes away.
            let mut script = Vec::new();
            clap_complete::generate(args.shell, &mut self.clap(), "xtask", &mut script);
            Output.hand_over(&String::from_utf8_lossy(&script));
            return Ok(ExitStatus::Green);
        }
        if name == "codes" {
            let args = CodesArgs::from_arg_matches(matches)?;
            if args.markdown {
                Output.hand_over(&codes_markdown())
            } else {
                Output.say(&codes_text())
            }
            return Ok(ExitStatus::Green);
        }
        let workspace = workspace()?;
        let (whole_name, inner) = match matches.subcommand() {
            Some((inner_name, inner)) => (format!("{name} {inner_name}"), inner),
            None => (name.to_owned(), matches),
        };
        if let Some(extra) = self.commands.iter().find(|extra| extra.name == whole_name) {
            let args: Vec<OsString> = inner.get_many::<OsString>("args").unwrap_or_default().cloned().collect();
            return Ok((extra.run)(&workspace, &args));
        }
        match name {
            "setup" => return machine::setup(&workspace, &SetupArgs::from_arg_matches(matches)?),
            "doctor" => return machine::doctor(&self.main_pipeline(&workspace)?, &workspace),
            "plan" => {
                let args = PlanArgs::from_arg_matches(matches)?;
                let plan = show::plan(&self.main_pipeline(&workspace)?, args.format)?;
                if args.format == PlanFormat::Text {
                    Output.say(&plan)
                } else {
                    Output.hand_over(&plan)
                }
                return Ok(ExitStatus::Green);
            }
            "exceptions" => return exceptions::list(&workspace, &ExceptionsArgs::from_arg_matches(matches)?),
            "hooks" => return self.hooks(&workspace, &HooksArgs::from_arg_matches(matches)?.command, link),
            "licenses" => return licenses::run(&workspace, &LicensesArgs::from_arg_matches(matches)?.command),
            _ => {}
        }
        let Some(named) = self.pipelines.iter().find(|named| named.name == name) else {
            return Err(format!("there is no command {name:?}").into());
        };
        let args = RunArgs::from_arg_matches(matches)?;
        if args.explain {
            return Ok(ci::explain(&(named.build)(&workspace)?, &machine::outside(&workspace)?, &args));
        }
        let Some(link) = link else { return Ok(watched(&workspace)) };
        let pipeline = (named.build)(&workspace)?;
        let outside = machine::outside(&workspace)?;
        Ok(ci::execute(&pipeline, &workspace, outside, &args, named.name, link))
    }

    fn hooks(
        &self,
        workspace: &Workspace,
        command: &HooksCommand,
        link: Option<&Link>,
    ) -> Result<ExitStatus, Box<dyn Error>> {
        let Some(before_commit) = &self.before_commit else {
            return Err("there is nothing to check before a commit; name it with `Cli::before_commit`".into());
        };
        match command {
            HooksCommand::Install => hooks::install(workspace),
            HooksCommand::Uninstall => hooks::uninstall(workspace),
            HooksCommand::Run(args) => match link {
                None => Ok(watched(workspace)),
                Some(link) => {
                    let pipelines = hooks::Pipelines { before_commit, ci: &self.pipelines[0].build };
                    hooks::run(workspace, &pipelines, args, link)
                }
            },
        }
    }

    fn main_pipeline(&self, workspace: &Workspace) -> Result<Pipeline, Box<dyn Error>> {
        let pipeline = (self.pipelines[0].build)(workspace)?;
        pipeline.check()?;
        Ok(pipeline)
    }

    fn clap(&self) -> Command {
        let colour = Arg::new("color")
            .long("color")
            .value_name("WHEN")
            .value_parser(clap::value_parser!(Colour))
            .default_value("auto")
            .global(true)
            .help("When to use colour");
        let mut command = Command::new("xtask")
            .bin_name("cargo xtask")
            .about("The pipeline of this repository: the same command on a laptop and in CI")
            .subcommand_required(false)
            .arg(colour)
            .after_help(
                "Exit codes: 0 green, 1 failed, 2 usage or configuration, 3 could not decide, 130 or 143 interrupted.",
            );
        for named in &self.pipelines {
            let below = self.commands.iter().filter_map(|extra| {
                let inner = extra.name.strip_prefix(named.name)?.strip_prefix(' ')?;
                Some(extra.clap(inner))
            });
            let pipeline = RunArgs::augment_args(Command::new(named.name)).about(named.about);
            command = command.subcommand(pipeline.args_conflicts_with_subcommands(true).subcommands(below));
        }
        let built_in = [
            PlanArgs::augment_args(Command::new("plan")).about("Show the graph of the pipeline"),
            Command::new("doctor")
                .about("Look for every tool that the pipeline needs, and say what to do about the missing ones"),
            SetupArgs::augment_args(Command::new("setup")).about("Install what doctor misses, by version and checksum"),
            ExceptionsArgs::augment_args(Command::new("exceptions"))
                .about("List every exception of the last run: what it covers, who answers for it, until when"),
            HooksArgs::augment_args(Command::new("hooks")).about("Check what is staged before each commit"),
            LicensesArgs::augment_args(Command::new("licenses")).about("Help with reviewing the licences of packages"),
            CodesArgs::augment_args(Command::new("codes")).about("Print the table of finding codes"),
        ];
        command = command.subcommands(built_in);
        for extra in self.commands.iter().filter(|extra| !extra.name.contains(' ')) {
            command = command.subcommand(extra.clap(extra.name));
        }
        command.subcommand(
            CompletionArgs::augment_args(Command::new("completions")).about("Print completions for a shell"),
        )
    }
}

impl fmt::Debug for Cli {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pipelines: Vec<_> = self.pipelines.iter().map(|named| named.name).collect();
        let commands: Vec<_> = self.commands.iter().map(|extra| extra.name).collect();
        f.debug_struct("Cli").field("pipelines", &pipelines).field("commands", &commands).finish()
    }
}

fn workspace() -> Result<Workspace, Box<dyn Error>> {
    let here = std::env::current_dir().map_err(|error| format!("the current folder cannot be told: {error}"))?;
    let here = Utf8PathBuf::from_path_buf(here).map_err(|path| format!("the path {} is not UTF-8", path.display()))?;
    Ok(Workspace::discover(&here)?)
}
