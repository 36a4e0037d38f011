use camino::{Utf8Path, Utf8PathBuf};

use super::account::{Account, account};
use super::{Judgement, Report, Scanned, Scanner, ScannerCode, Selection, Source, Sources, comments, judge, settings};
use crate::formats::printable::counted;
use crate::model::{Finding, Level, Location, Severity, Target};
use crate::policy::{Exception, Justification, Scope};
use crate::process::{Invocation, Tool, ToolRequirement};
use crate::step::{Author, Claims, Context, Extent, Outcome, Seal, Step, StepError, git_tool};

/// A step that searches files with the tool of a [`Scanner`].
///
/// Every file of the repository is accounted for: looked at, of another kind, or left out with a justification. One that the tool
/// did not look at is an error. The tool's own settings and comments do not decide what is found.
#[derive(Debug, Clone)]
pub struct Scan<S> {
    pub(crate) scanner: S,
    extent: Extent,
    left_out: Vec<(Utf8PathBuf, Exception)>,
}

impl<S: Scanner> Scan<S> {
    /// A step that searches every file of the scanner's kind.
    #[must_use]
    pub fn of(scanner: S) -> Self {
        Self { scanner, extent: Extent::EveryFile, left_out: Vec::new() }
    }

    /// Does not look at this file, or at what is below this folder. What is left out is a finding that the justification exempts.
    #[must_use]
    #[track_caller]
    pub fn leaving_out(mut self, path: impl Into<Utf8PathBuf>, because: Justification) -> Self {
        let path = path.into();
        let scope = Scope::target(Target::file(&path));
        self.left_out.push((path, Exception::in_pipeline(self.scanner.left_out_code(), scope, because)));
        self
    }

    /// Looks only at the files that the last commit added or changed: before a commit, those that are staged.
    #[must_use]
    pub fn of_last_commit(mut self) -> Self {
        self.extent = Extent::LastCommit;
        self
    }

    /// What is to be told about the files that are not looked at.
    fn not_looked_at(&self, account: &Account, selection: &Selection, tool: &Tool) -> (Vec<Finding>, Vec<Exception>) {
        let (mut findings, mut exceptions) = (Vec::new(), Vec::new());
        for ((path, exception), &count) in self.left_out.iter().zip(&account.left_out) {
            if count > 0 {
                let message =
                    format!("{tool} does not look at {} at {path}", counted(count, &selection.what), tool = tool.name);
                let finding = Finding::with_code(self.scanner.left_out_code(), message).severity(Severity::Medium);
                let finding = finding.target(Target::file(path)).at(Location::file(path));
                findings.push(finding.help("scan them, or shorten what is left out"));
                exceptions.push(exception.clone());
            }
        }
        for path in &account.outside {
            let what = &selection.what;
            let message =
                format!("{path} is a {what} outside of {}, and {} does not look at it", selection.below, tool.name);
            let finding = Finding::new(ScannerCode::Outside, message).target(Target::file(path));
            findings.push(finding.at(Location::file(path)));
        }
        (findings, exceptions)
    }

    /// Nothing that is named is missing, nothing is left out by mistake, and something is left to look at.
    fn check_account(&self, account: &Account, selection: &Selection) -> Result<(), StepError> {
        if self.extent == Extent::LastCommit {
            return Ok(());
        }
        let empty = self.left_out.iter().zip(&account.left_out).find(|(_, count)| **count == 0);
        if let Some(((path, _), _)) = empty {
            let what = format!("{path}, which is to be left out, holds {}", selection.none());
            return Err(StepError::not_looked(what, "correct the step's folders"));
        }
        if let Some(missing) = selection.named.iter().find(|path| account.looked_at.binary_search(path).is_err()) {
            let what = format!("{missing}, which is to be looked at, is no file of the repository, or it is left out");
            return Err(StepError::not_looked(what, "correct the step's files"));
        }
        if account.looked_at.is_empty() {
            let what = format!("there is {} to look at", selection.none());
            return Err(StepError::not_looked(what, "correct the step's folders, or leave the step out"));
        }
        Ok(())
    }
}

impl<S: Scanner> Step for Scan<S> {
    type Input = S::Input;
    type Output = Scanned;

    fn run(&self, cx: &Context, input: S::Input) -> Result<Outcome<Scanned>, StepError> {
        let tool = cx.require(&self.scanner.tool())?;
        let selection = self.scanner.sources(&input);
        let all = cx.files_of(self.extent)?;
        let left_out: Vec<&Utf8Path> = self.left_out.iter().map(|(path, _)| path.as_path()).collect();
        let account = account(&selection, &all, &left_out, |path| selection.is_of_kind(cx, path))?;
        self.check_account(&account, &selection)?;
        let (not_looked_at, allowed) = self.not_looked_at(&account, &selection, &tool);
        let commit = cx.revision()?.commit.clone();
        let name = tool.name.clone();
        let mut outcome = if account.looked_at.is_empty() {
            let outcome = Outcome::of(Scanned::new(name.clone(), Vec::new(), commit, self.extent));
            outcome.headline(format!("no {} is added or changed", selection.what))
        } else {
            let sources = read(cx, &selection, &account.looked_at, tool)?;
            let mut of_settings = Vec::new();
            let justified = self.scanner.obeyed(cx, &sources, &all)?.settle(&mut of_settings);
            self.look(cx, &sources, commit)?.findings(of_settings).exceptions(justified)
        };
        let left_out_files: usize = account.left_out.iter().sum();
        let stray = settings::stray(cx, self.scanner.settings(), &name, &all);
        outcome = outcome.findings(not_looked_at).findings(stray).exceptions(allowed);
        Ok(outcome.fact("left_out_files", left_out_files).fact("files_of_other_kinds", account.others))
    }

    fn tools(&self) -> Vec<ToolRequirement> {
        vec![self.scanner.tool(), git_tool()]
    }

    fn explain(&self) -> Vec<Invocation> {
        self.scanner.explain()
    }

    fn relaxations(&self) -> Vec<Exception> {
        self.left_out.iter().map(|(_, exception)| exception.clone()).collect()
    }

    fn exceptions_in_files(&self, cx: &Context) -> Result<Vec<Exception>, StepError> {
        let mut exceptions = cx.exceptions_met();
        exceptions.extend(self.scanner.exceptions(cx)?);
        Ok(exceptions)
    }

    fn claims(&self) -> Claims {
        Claims::none().reading_source()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }

    fn resume_key(&self) -> Option<String> {
        self.scanner.resume_key()
    }

    fn looked_by(&self, _: &Seal) -> Author {
        if S::OURS.is_some() { Author::Library } else { Author::Anyone }
    }
}

impl<S: Scanner> Scan<S> {
    fn look(&self, cx: &Context, sources: &Sources, commit: String) -> Result<Outcome<Scanned>, StepError> {
        // What is found decides what a comment reaches, but not how long it may last.
        self.search(cx, sources, commit).inspect_err(|_| {
            cx.met(comments::gather(&self.scanner, sources, &Report::default()).settle(&mut Vec::new()))
        })
    }

    fn search(&self, cx: &Context, sources: &Sources, commit: String) -> Result<Outcome<Scanned>, StepError> {
        let layout = self.scanner.lay_out(cx, sources)?;
        let commands = self.scanner.commands(sources, &layout);
        commands.iter().try_for_each(|command| refuse_options(sources, command))?;
        let captured = commands.into_iter().map(|command| cx.run(&command));
        let captured = captured.collect::<Result<Vec<_>, _>>()?;
        let report = self.scanner.read(sources, &layout, &captured)?;
        let Judgement { findings, exceptions } = judge(&self.scanner, sources, &report)?;
        let mut written = self.scanner.exceptions(cx)?;
        if self.extent == Extent::LastCommit {
            written.retain(|exception| is_about(exception, sources));
        }
        let scanned = Scanned::new(
            sources.tool().name.clone(),
            sources.paths().map(Utf8Path::to_owned).collect(),
            commit,
            self.extent,
        );
        let mut outcome = Outcome::of(scanned)
            .headline(headline(sources, &report, &findings))
            .fact("files", sources.count())
            .fact("pragmas", exceptions.len());
        for (noun, count) in &report.counts {
            outcome = outcome.fact(&format!("{noun}s"), *count);
        }
        Ok(outcome.findings(findings).exceptions(exceptions).exceptions(written))
    }
}

/// A file whose name begins with a hyphen switches something off where a tool takes it for an option.
fn refuse_options(sources: &Sources, command: &Invocation) -> Result<(), StepError> {
    let options = command.arguments().iter().take_while(|argument| *argument != "--");
    let taken = options
        .filter_map(|argument| argument.to_str())
        .find(|argument| argument.starts_with('-') && sources.contains(Utf8Path::new(argument)));
    match taken {
        Some(path) => {
            let what = format!("{} would take the file {path} for an option", command.program_name());
            Err(StepError::not_looked(what, "rename the file"))
        }
        None => Ok(()),
    }
}

fn read(cx: &Context, selection: &Selection, paths: &[Utf8PathBuf], tool: Tool) -> Result<Sources, StepError> {
    let read = |path: &Utf8PathBuf| {
        // The tool parses the file, or it is an error; in another encoding comments are still ASCII.
        let bytes = if selection.reads { cx.read_file(path)? } else { Vec::new() };
        Ok(Source { path: path.clone(), text: String::from_utf8_lossy(&bytes).into_owned() })
    };
    Ok(Sources::new(selection.what.clone(), paths.iter().map(read).collect::<Result<_, StepError>>()?, tool))
}

fn headline(sources: &Sources, report: &Report, findings: &[Finding]) -> String {
    let mut parts = vec![counted(sources.count(), sources.what())];
    parts.extend(report.counts.iter().map(|(noun, count)| counted(count, noun)));
    match findings.iter().filter(|finding| finding.level >= Level::Warn).count() {
        0 if report.proof.is_empty() => {}
        0 => parts.push(report.proof.to_owned()),
        found => parts.push(counted(found, "finding")),
    }
    parts.join(", ")
}

/// Whether an exception is for something in one of these files.
fn is_about(exception: &Exception, sources: &Sources) -> bool {
    match &exception.scope {
        Scope::Any => true,
        Scope::Targets(targets) => targets.iter().any(|target| match target {
            Target::Secret { path, .. } | Target::Place(Location { path, .. }) => sources.contains(path),
            Target::Package(_) | Target::Route(_) | Target::Name(_) => false,
        }),
    }
}
