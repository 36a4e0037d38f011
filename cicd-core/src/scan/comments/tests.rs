use super::*;
use crate::model::by_key::counting::is_linear;
use crate::model::{Code, Location};
use crate::policy::Scope;
use crate::process::{Captured, Invocation, ToolRequirement};
use crate::scan::{Judgement, Selection, judge};
use crate::step::{Context, StepError};

fn hit(lines: RangeInclusive<u32>, statement: Option<u32>) -> Hit {
    let finding = Finding::with_code(Code::from_static("X1"), "x");
    Hit::in_file(finding, "a".into()).heard_in("a".into(), lines).statement(statement)
}

#[test]
fn a_comment_reaches_what_its_lines_share() {
    let hits = [hit(1..=9, None), hit(3..=3, Some(5)), hit(4..=6, None), hit(8..=8, None)];
    let files = by_file(&hits);
    let file = &files[Utf8Path::new("a")];
    assert_eq!(file.in_lines.meeting(&(3..=3)), [0, 1]);
    assert_eq!(file.in_lines.meeting(&(5..=8)), [0, 2, 3]);
    assert_eq!(file.in_lines.meeting(&(10..=20)), [0; 0]);
    assert_eq!(file.of_statement(5).into_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

/// A scanner whose comments are `# hide X1` for a file, `# at X1` for their lines and `# to X1` for all lines from there on.
#[derive(Debug)]
struct Quiet;

impl Scanner for Quiet {
    type Input = ();
    type Layout = ();

    fn tool(&self) -> ToolRequirement {
        ToolRequirement::new("quiet", "*")
    }

    fn sources(&self, (): &()) -> Selection {
        Selection::every_file()
    }

    fn lay_out(&self, _: &Context, _: &Sources) -> Result<(), StepError> {
        Ok(())
    }

    fn commands(&self, _: &Sources, (): &()) -> Vec<Invocation> {
        Vec::new()
    }

    fn read(&self, _: &Sources, (): &(), _: &[Captured]) -> Result<Report, StepError> {
        Ok(Report::proven_otherwise())
    }

    fn explain(&self) -> Vec<Invocation> {
        Vec::new()
    }

    fn pragmas(&self, lines: &[&str]) -> Vec<Pragma> {
        let pragma = |(index, line): (usize, &&str)| {
            let mut words = line.strip_prefix("# ")?.split(' ');
            let number = u32::try_from(index + 1).expect("few lines");
            let reach = match words.next()? {
                "hide" => Reach::File,
                "at" => Reach::Lines(number..=number),
                "statement" => Reach::Statement(number),
                _ => return None,
            };
            Some(Pragma { index, rules: words.map(str::to_owned).collect(), reach })
        };
        lines.iter().enumerate().filter_map(pragma).collect()
    }
}

const WHY: &str = "# reason: a list that is made by a program\n# owner: @example/shop\n# expires: 2027-01-01\n";

fn judged(files: &[(String, String)], hits: Vec<Hit>) -> Judgement {
    let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    let sources = Sources::recorded("quiet", semver::Version::new(1, 0, 0), &files);
    let report = Report { hits, exits: Vec::new(), ..Report::proven_otherwise() };
    judge(&Quiet, &sources, &report).expect("judged")
}

/// Findings, comments and files in one number: what is judged of each is looked up, never searched for.
#[test]
fn long_lists_of_findings_comments_and_files_are_joined_not_searched() {
    let x1 = || Finding::with_code(Code::from_static("X1"), "x");
    let lines = |comment: &str, length: usize| vec![("a".to_owned(), format!("{WHY}{comment}\n").repeat(length))];
    let line_of = |index: usize| u32::try_from(index * 4 + 4).expect("few lines");
    for (what, comment) in [("file", "# hide X1"), ("statement", "# statement X1")] {
        is_linear(what, 100, |length| {
            let hits = (0..length).map(|index| Hit::in_line(x1(), "a".into(), line_of(index))).collect();
            let Judgement { findings, exceptions } = judged(&lines(comment, length), hits);
            assert_eq!((findings.len(), exceptions.len()), (length, length));
            let targets = exceptions.iter().map(|one| match &one.scope {
                Scope::Targets(targets) => targets.len(),
                Scope::Any => usize::MAX,
            });
            assert!(targets.sum::<usize>() <= length, "each comment reaches what is its own");
        });
    }
    // One finding over the whole file does not make every other one be looked at for every comment.
    is_linear("long and short", 200, |length| {
        let whole = Hit::in_file(x1().target(Location::line("a", 1)), "a".into()).heard_in("a".into(), 1..=u32::MAX);
        let short = (0..length).map(|index| Hit::in_line(x1(), "a".into(), line_of(index)));
        let hits = std::iter::once(whole).chain(short).collect();
        assert_eq!(judged(&lines("# at X1", length), hits).exceptions.len(), length);
    });
    is_linear("files", 100, |length| {
        let files: Vec<_> = (0..length).map(|index| (format!("f{index:06}"), format!("{WHY}# hide X1\n"))).collect();
        let hits = files.iter().map(|(path, _)| Hit::in_line(x1(), Utf8Path::new(path), 4)).collect();
        assert_eq!(judged(&files, hits).exceptions.len(), length);
    });
}

#[test]
fn a_comment_for_a_file_hides_nothing_that_no_comment_may_hide() {
    let finding = |code: &'static str| Finding::with_code(Code::from_static(code), "x");
    let hits = vec![
        Hit::in_line(finding("X1"), "a".into(), 9),
        Hit::in_line(finding("X2"), "a".into(), 9).unheard(),
        Hit::in_line(finding("X3"), "b".into(), 1).heard_in("a".into(), 2..=2),
    ];
    let of = |rules: &str| {
        let files = [("a".to_owned(), format!("{WHY}# hide {rules}\n")), ("b".to_owned(), String::new())];
        let Judgement { findings, exceptions } = judged(&files, hits.clone());
        let allowed = findings.iter().filter(|finding| exceptions.iter().any(|one| one.covers(finding)));
        (allowed.map(|finding| finding.code.to_string()).collect::<Vec<_>>(), findings.len() - 3)
    };
    assert_eq!(of("X1 X3"), (vec!["X1".to_owned(), "X3".to_owned()], 0));
    assert_eq!(of("X1 X2"), (vec![], 1));
    assert_eq!(of("X9"), (vec![], 0));
}
