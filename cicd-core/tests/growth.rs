//! What is read and written grows with what it is about, and not with its square: what is copied is counted by the allocator, as no clock
//! would tell it from a busy machine. What is searched for is counted beside the code that looks it up (`model::by_key::counting`).

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use allocation_counter::measure;
use cicd_core::formats::ignore_file::{read_plain, read_yaml};
use cicd_core::formats::requirements::LockedRequirements;
use cicd_core::formats::{read_exceptions, read_junit};
use cicd_core::model::{Code, Finding, Level, Location, Status, Target};
use cicd_core::pipeline::{ExceptionReport, Pipeline, Summary};
use cicd_core::policy::{Applies, Exception, Justification, Origin, Scope};
use cicd_core::reporters::{annotations, brief, html, junit, report, sarif, step_summary};

const RUN: &str = include_str!("data/summary/one-step.json");
const LENGTHS: [usize; 3] = [1_000, 10_000, 100_000];
/// Ten times the length takes 12.5 times as much at n log n. A buffer that doubles may hold twice what is in it; at n², 100 times.
const GROWTH_MAX: u64 = 25;

/// Allocations, and the bytes of them, for each of the inputs.
fn counted<T>(inputs: &[T; 3], work: impl Fn(&T)) -> [(u64, u64); 3] {
    std::array::from_fn(|place| {
        let info = measure(|| work(&inputs[place]));
        (info.count_total, info.bytes_total)
    })
}

/// Whether an input of ten times the length takes more than it may.
fn is_too_much(counts: [(u64, u64); 3]) -> bool {
    let is_more = |pair: &[(u64, u64)]| {
        let [(count, bytes), (next_count, next_bytes)] = [pair[0], pair[1]];
        next_count > count.max(100) * GROWTH_MAX || next_bytes > bytes * GROWTH_MAX
    };
    counts.windows(2).any(is_more)
}

fn grows_as_its_input<T>(what: &str, inputs: &[T; 3], work: impl Fn(&T)) {
    let counts = counted(inputs, work);
    assert!(counts.iter().all(|(_, bytes)| *bytes > 0), "{what}: nothing is counted");
    assert!(!is_too_much(counts), "{what}: allocations and bytes {counts:?} for {LENGTHS:?}");
}

#[test]
fn what_is_copied_again_and_again_is_seen() {
    let lengths = [30, 300, 3_000];
    let again = |length: &usize| {
        let all = (0..*length).fold(String::new(), |all, number| format!("{all}{number}"));
        assert!(all.len() >= *length);
    };
    assert!(is_too_much(counted(&lengths, again)));
    let once =
        |length: &usize| assert!((0..*length).map(|number| number.to_string()).collect::<String>().len() >= *length);
    assert!(!is_too_much(counted(&lengths, once)));
}

/// A run with as many findings as exceptions, half of them allowed.
fn run_of(length: usize) -> Summary {
    let mut summary: Summary = serde_json::from_str(RUN).expect("a summary");
    let step = summary.steps.first_mut().expect("a step");
    (summary.status, step.status) = (Status::Failed, Status::Failed);
    let why =
        || Justification::new("the parser is never given outside input", "@example/shop", "2027-01-01").expect("valid");
    for number in 0..length {
        let (id, line) = (format!("X-{number}"), u32::try_from(number + 1).expect("small"));
        let place = Location::line(format!("app/f{}.py", number % 100), line);
        let exception = Exception {
            id: id.clone(),
            scope: Scope::Any,
            justification: why(),
            origin: Origin::IgnoreFile,
            location: Location::line("i", line),
            applies: Applies::Here,
        };
        let level = [Level::Deny, Level::Warn, Level::BlockClearance][number % 3];
        let mut finding = Finding::with_code(Code::new(id), "<a flaw>\nof two & more lines").level(level);
        finding = finding.target(Target::package(format!("pkg:pypi/p{number}@1.0"))).at(place);
        finding.exception = (number % 2 == 0).then(|| exception.to_ref());
        step.findings.push(finding);
        step.exceptions.push(ExceptionReport { exception, covers: number % 2, undetermined: false });
    }
    summary
}

#[test]
fn no_report_grows_faster_than_what_it_tells() {
    let (pipeline, runs) = (Pipeline::new("example"), LENGTHS.map(run_of));
    grows_as_its_input("junit", &runs, |run| assert!(junit(run).len() > run.steps.len()));
    grows_as_its_input("html", &runs, |run| assert!(html(run).contains("Exceptions")));
    grows_as_its_input("sarif", &runs, |run| assert!(sarif(run, &pipeline).expect("short enough").contains("X-999")));
    grows_as_its_input("GitHub", &runs, |run| assert!(annotations(run).len() < step_summary(run).len()));
    grows_as_its_input("text", &runs, |run| {
        let long = report(run, "target/ci/runs/x", "cargo xtask ci", 80);
        assert!(brief(run, "target/ci/runs/x", "cargo xtask ci", 80).len() <= long.len());
    });
    let saved = runs.each_ref().map(|run| serde_json::to_string(run).expect("JSON"));
    grows_as_its_input("summary.json", &saved, |text| {
        let run: Summary = serde_json::from_str(text).expect("a summary");
        assert_eq!(run.steps.len(), 1);
    });
}

#[test]
fn no_file_grows_faster_than_what_it_holds() {
    let each = |length: usize, one: &dyn Fn(usize) -> String| -> String { (0..length).map(one).collect() };
    let tests = |length| {
        let case = |number| {
            format!(
                "<testcase classname='tests.t' name='t{number}' file='tests/t.py' line='{number}'><failure message='m'>a\nb</failure></testcase>"
            )
        };
        let cases = each(length, &case);
        format!(
            "<testsuites><testsuite tests='{length}' failures='{length}' errors='0' skipped='0'>{cases}</testsuite></testsuites>"
        )
    };
    grows_as_its_input("JUnit", &LENGTHS.map(tests), |text| {
        let report = read_junit(text.as_bytes(), 0).expect("readable");
        assert!(report.cases.len() >= 1_000);
    });
    let long = |length: usize| {
        let text = "a &amp; b\n".repeat(length);
        format!(
            "<testsuite tests='1' failures='1' errors='0' skipped='0'><testcase classname='c' name='n'><failure>{text}</failure></testcase></testsuite>"
        )
    };
    grows_as_its_input("the text of one failure", &LENGTHS.map(long), |text| {
        assert_eq!(read_junit(text.as_bytes(), 0).expect("readable").cases.len(), 1);
    });
    let block = "# reason: the parser is never given outside input\n# owner: @org/team\n";
    let plain = |length| each(length, &|number| format!("{block}CVE-2023-{:05} exp:2027-01-01\n", 10_000 + number));
    grows_as_its_input(".trivyignore", &LENGTHS.map(plain), |text| {
        assert!(read_plain("i".into(), text.as_bytes()).exceptions.len() >= 1_000);
    });
    let yaml = |length| {
        let entry = |number| {
            format!(
                "  - id: CVE-2023-{:05}\n    statement: the parser is never given outside input\n    owner: '@org/team'\n    expired_at: 2027-01-01\n",
                10_000 + number
            )
        };
        format!("vulnerabilities:\n{}", each(length, &entry))
    };
    grows_as_its_input(".trivyignore.yaml", &LENGTHS.map(yaml), |text| {
        // What has more parts than the reader takes is refused.
        let read = read_yaml("i.yaml".into(), text.as_bytes());
        assert!(read.map_or_else(|error| error.to_string().len(), |file| file.exceptions.len()) > 0);
    });
    let toml = |length| {
        each(length, &|number| {
            format!(
                "[[dast]]\nid = \"DAST-001\"\nroute = \"/r{number}\"\nreason = \"the parser is never given outside input\"\nowner = \"@org/team\"\nexpires = 2027-01-01\n"
            )
        })
    };
    grows_as_its_input("exceptions.toml", &LENGTHS.map(toml), |text| {
        // Whether it is taken or refused, all of it has been read.
        let read = read_exceptions("e.toml".into(), text);
        assert!(read.map_or_else(|error| error.to_string().len(), |file| file.all().len()) > 0);
    });
    let locked = |length| each(length, &|number| format!("p{number}==1.{number} --hash=sha256:{}\n", "0".repeat(64)));
    grows_as_its_input("a lock file", &LENGTHS.map(locked), |text| {
        assert!(LockedRequirements::parse(text).expect("readable").packages.len() >= 1_000);
    });
}
