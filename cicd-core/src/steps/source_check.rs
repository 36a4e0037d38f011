use std::collections::BTreeSet;
use std::{fs, io};

use camino::{Utf8Path, Utf8PathBuf};

use crate::files;
use crate::formats::direction::Turns;
use crate::formats::file_kind::FileKind;
use crate::formats::printable::counted;
use crate::model::{ByFolder, Finding, Judged, Level, Location, Severity, Subject, Target, finding_codes};
use crate::policy::{Exception, FindingsByName, Justification, Scope};
use crate::source::{Source, SourceFile};
use crate::step::{Author, Claims, Context, Outcome, Seal, Step, StepError, proof};

finding_codes! {
    /// What can be wrong with the files that are judged.
    pub enum SourceCode {
        Hidden = "SRC-001" {
            summary: "a file that git ignores lies where tools read it, and is in no scan and no image",
            help: "track it or remove it; folders of generated files and personal files are known by name, anything else takes `.accept_ignored(…)`",
            example: "flask-app/debug.py ignored by .git/info/exclude",
        },
        Differs = "SRC-002" {
            summary: "a file of the checkout is not what the commit says",
            help: "commit it, or restore it with `git restore`; `git update-index --no-skip-worktree --no-assume-unchanged` lets git see it again",
            example: "an edited file, hidden from git status by skip-worktree",
        },
        Foreign = "SRC-003" {
            summary: "a folder belongs to another repository, and nothing in it is judged",
            help: "remove it, or take its files into this repository; what is judged elsewhere takes `.accept_repository(…)`",
            example: "a submodule, or a .git below the root",
        },
        NotLookedAt = "SRC-004" {
            summary: "files beside the source were not looked at",
            help: "remove what does not belong there; nothing of it can get into an image",
            example: "an untracked file of 20 GB, a log, a .env",
        },
        Turned = "SRC-005" {
            summary: "a file, or its name, is shown in another order than the one in which a machine reads it",
            help: "remove the characters that turn the direction of writing, or write them as escapes; a text that needs them takes `.accept_turns(…)`",
            example: "U+202E in a comment of a Dockerfile",
        },
        Unjudged = "SRC-006" {
            summary: "files are of a kind that no step of this library judges",
            help: "look at them with a step of your own, and accept that with `.accept_unjudged(kind, justification)`",
            example: "run.sh, compose.yaml, an object of Kubernetes, main.tf, .gitlab-ci.yml",
        },
    }
}

/// More findings of a kind than this are counted, not listed.
const FINDINGS_MAX: usize = 100;
/// So many files are named in one line.
const NAMED_MAX: usize = 3;
/// The kinds of files that run something, and that no step of the library judges.
const UNJUDGED: [(FileKind, &str); 5] = [
    (FileKind::Shell, "shell script"),
    (FileKind::Compose, "Compose file"),
    (FileKind::Kubernetes, "Kubernetes manifest"),
    (FileKind::Terraform, "Terraform file"),
    (FileKind::OtherCi, "CI pipeline"),
];

/// Says in what the files of the checkout are not those of the commit, and what lies beside them that no step looks at although tools
/// read it. See [`source`](crate::source) for the rules. And what is not read by a machine as it is shown to a reviewer, in files of any kind.
///
/// ```
/// use cicd_core::steps::SourceCheck;
///
/// let check = SourceCheck::new();
/// ```
#[derive(Debug, Clone, Default)]
pub struct SourceCheck {
    accepted: Vec<Utf8PathBuf>,
    exceptions: Vec<Exception>,
}

impl SourceCheck {
    /// Of the whole workspace.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts an ignored file, or all of a folder, relative to the workspace (`SRC-001`).
    #[must_use]
    #[track_caller]
    pub fn accept_ignored(self, path: impl Into<Utf8PathBuf>, justification: Justification) -> Self {
        let path = path.into();
        let exception = Exception::in_pipeline(SourceCode::Hidden, scope(&path), justification);
        self.accept(path, exception)
    }

    /// Accepts a submodule or a nested repository, relative to the workspace (`SRC-003`): what is in it is judged elsewhere.
    #[must_use]
    #[track_caller]
    pub fn accept_repository(self, path: impl Into<Utf8PathBuf>, justification: Justification) -> Self {
        let path = path.into();
        let exception = Exception::in_pipeline(SourceCode::Foreign, scope(&path), justification);
        self.accept(path, exception)
    }

    /// Accepts characters that turn the direction of writing in this file, or in all of a folder, relative to the workspace (`SRC-005`).
    #[must_use]
    #[track_caller]
    pub fn accept_turns(self, path: impl Into<Utf8PathBuf>, justification: Justification) -> Self {
        let path = path.into();
        let exception = Exception::in_pipeline(SourceCode::Turned, scope(&path), justification);
        self.accept(path, exception)
    }

    /// Accepts that no step of the library judges files of this kind (`SRC-006`): the justification says who does.
    #[must_use]
    #[track_caller]
    pub fn accept_unjudged(mut self, kind: FileKind, justification: Justification) -> Self {
        // A kind that some step does judge is never found, so that this is said to have no effect.
        let noun = UNJUDGED.iter().find(|(unjudged, _)| *unjudged == kind).map_or("judged", |(_, noun)| *noun);
        let scope = Scope::target(Target::name(noun));
        self.exceptions.push(Exception::in_pipeline(SourceCode::Unjudged, scope, justification));
        self
    }

    fn accept(mut self, path: Utf8PathBuf, exception: Exception) -> Self {
        self.accepted.push(path);
        self.exceptions.push(exception);
        self
    }

    /// Those that an exception covers, and the others.
    fn parted(&self, findings: Vec<Finding>) -> (Vec<Finding>, Vec<Finding>) {
        let accepted: BTreeSet<usize> = {
            let by_name = FindingsByName::new(&findings, &self.exceptions);
            self.exceptions.iter().flat_map(|one| by_name.covered_by(one)).map(|(place, _)| place).collect()
        };
        let (mut covered, mut open) = (Vec::new(), Vec::new());
        for (place, finding) in findings.into_iter().enumerate() {
            if accepted.contains(&place) { &mut covered } else { &mut open }.push(finding);
        }
        (covered, open)
    }

    /// What a reader sees in another order than a machine, whatever kind of file it stands in.
    fn turned(&self, cx: &Context, source: &Source) -> Result<Vec<Finding>, StepError> {
        let accepted = Accepted::of(self);
        let mut found = Vec::new();
        for SourceFile { path, .. } in source.files() {
            let name = Turns::read(path.as_str().as_bytes()).map_err(StepError::io("reading", path))?;
            let text = match name {
                Some(_) => None,
                None => turns_in(&cx.path(path)).map_err(StepError::io("reading", path))?,
            };
            let (turns, place) = match (name, text) {
                (Some(turns), _) => (turns, Location::file(path)),
                (None, Some(turns)) => (turns, Location::line(path, turns.line)),
                (None, None) => continue,
            };
            let (first, count) = (u32::from(turns.first), turns.count);
            let message =
                format!("U+{first:04X} turns the direction of writing (1 of {count}): this is not read as it is shown");
            found.push(accepted.about(SourceCode::Turned, path, message).severity(Severity::High).at(place));
        }
        let (mut accepted, open) = self.parted(found);
        let more = Finding::new(SourceCode::Turned, "").severity(Severity::High);
        accepted.extend(limited(open, more));
        Ok(accepted)
    }

    fn judge(&self, source: &Source) -> Vec<Finding> {
        let mut findings = Vec::new();
        let known = Accepted::of(self);
        let hidden = source.hidden().iter().map(|hidden| {
            let message = format!("git ignores {} ({}), and tools read it all the same", hidden.path, hidden.rule);
            known.about(SourceCode::Hidden, &hidden.path, message).severity(Severity::High)
        });
        // An accepted file takes no place from the others.
        let (accepted, open) = self.parted(hidden.collect());
        findings.extend(accepted);
        let more = Finding::new(SourceCode::Hidden, "");
        findings.extend(limited(open, more.severity(Severity::High)));
        findings.extend(source.foreign().iter().map(|foreign| {
            let what = if foreign.is_submodule { "is a submodule" } else { "is a repository of its own" };
            let message = format!("{} {what}: nothing in it is judged", foreign.path);
            known.about(SourceCode::Foreign, &foreign.path, message).severity(Severity::High)
        }));
        let differs = |message: String| {
            Finding::new(SourceCode::Differs, message).severity(Severity::Medium).level(Level::BlockClearance)
        };
        let differences = source.differences().iter();
        let differences = differences.map(|one| differs(one.to_string()).at(Location::file(&one.path))).collect();
        findings.extend(limited(differences, differs(String::new())));
        let note =
            |message: String| Finding::new(SourceCode::NotLookedAt, message).severity(Severity::Low).level(Level::Warn);
        findings.extend(source.notes().iter().map(|text| note(text.clone())));
        if let Some(first) = source.personal().first() {
            let personal: Vec<&Utf8Path> = source.personal().iter().map(Utf8PathBuf::as_path).collect();
            findings.push(note(format!("git ignores personal files: {}", named(&personal))).at(Location::file(first)));
        }
        findings
    }
}

/// The paths that are accepted, looked up by what lies there.
struct Accepted<'a> {
    paths: &'a [Utf8PathBuf],
    by_folder: ByFolder<'a>,
}

impl<'a> Accepted<'a> {
    fn of(check: &'a SourceCheck) -> Self {
        Self { paths: &check.accepted, by_folder: check.accepted.iter().map(Utf8PathBuf::as_path).collect() }
    }

    /// A finding about a path, whose target is what was accepted where it lies there.
    fn about(&self, code: SourceCode, path: &Utf8Path, message: String) -> Finding {
        let target = self.by_folder.first_above(path).and_then(|place| self.paths.get(place));
        let target = target.map_or(path, |accepted| accepted.as_path());
        Finding::new(code, message).at(Location::file(path)).target(Target::file(target))
    }
}

/// The first of these files, and how many more there are.
fn named(paths: &[&Utf8Path]) -> String {
    let first: Vec<&str> = paths.iter().take(NAMED_MAX).map(|path| path.as_str()).collect();
    let more = match paths.len() - first.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", first.join(", "))
}

/// The files that no step of the library judges although they run something, a finding for each kind.
fn unjudged(cx: &Context, source: &Source) -> Result<Vec<Finding>, StepError> {
    let mut found: Vec<Vec<&Utf8Path>> = vec![Vec::new(); UNJUDGED.len()];
    for SourceFile { path, .. } in source.files() {
        let kinds = cx.kinds_of(path)?;
        for (files, _) in found.iter_mut().zip(UNJUDGED).filter(|(_, (kind, _))| kinds.contains(kind)) {
            files.push(path);
        }
    }
    let of_kind = found.iter().zip(UNJUDGED).filter_map(|(files, (_, noun))| {
        let message = format!("no step judges {}: {}", counted(files.len(), noun), named(files));
        let finding = Finding::new(SourceCode::Unjudged, message).severity(Severity::Low).level(Level::Warn);
        Some(finding.target(Target::name(noun)).at(Location::file(files.first()?)))
    });
    Ok(of_kind.collect())
}

/// The characters that turn the direction of writing in a file, or in what a link names.
fn turns_in(path: &Utf8Path) -> io::Result<Option<Turns>> {
    let kind = fs::symlink_metadata(path)?.file_type();
    if kind.is_symlink() {
        return Turns::read(path.read_link_utf8()?.as_str().as_bytes());
    }
    if kind.is_file() { Turns::read(files::open(path)?) } else { Ok(None) }
}

fn scope(path: &Utf8Path) -> Scope {
    Scope::target(Target::file(path))
}

/// The first findings, and one that counts the rest.
fn limited(mut findings: Vec<Finding>, rest: Finding) -> Vec<Finding> {
    let more = findings.len().saturating_sub(FINDINGS_MAX);
    if more > 0 {
        findings.truncate(FINDINGS_MAX);
        findings.push(Finding { message: format!("and {more} more files"), ..rest });
    }
    findings
}

proof! {
    /// What was compared with the commit.
    pub struct SourceChecked("source") {
        /// How many files are judged.
        files: usize,
        /// The commit.
        commit: String => &str,
    }
}

impl Judged for SourceChecked {
    fn subject(&self) -> Subject {
        Subject::Commit(self.commit.clone())
    }
}

impl Step for SourceCheck {
    type Input = ();
    type Output = SourceChecked;

    fn relaxations(&self) -> Vec<Exception> {
        self.exceptions.clone()
    }

    fn claims(&self) -> Claims {
        Claims::none().reading_source()
    }

    fn author(&self, _: &Seal) -> Author {
        Author::Library
    }

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<SourceChecked>, StepError> {
        let source = cx.source()?;
        let commit = cx.revision()?.commit.clone();
        let files = source.files().len();
        let mut findings = self.judge(source);
        findings.extend(self.turned(cx, source)?);
        findings.extend(unjudged(cx, source)?);
        let headline = match source.differences().len() {
            0 => format!("{}, all as in the commit", counted(files, "file")),
            differences => format!("{}, {}", counted(files, "file"), counted(differences, "difference")),
        };
        Ok(Outcome::of(SourceChecked { files, commit })
            .findings(findings)
            .exceptions(self.exceptions.clone())
            .fact("files", files)
            .fact("differences", source.differences().len())
            .fact("ignored_files", source.hidden().len() + source.personal().len())
            .headline(headline))
    }
}
