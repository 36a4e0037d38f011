//! What the tests are recorded and measured by is out of reach for them, or the attempt is found.

use cicd_core::steps::CoverageGate;

use crate::project::Project;
use crate::tests;

/// A function that no test calls.
const NEVER: &str =
    "\"\"\"Never.\"\"\"\n\n\ndef never() -> int:\n    \"\"\"Answer.\"\"\"\n    answer = 42\n    return answer\n";
/// Each way to what is measured or to the key, by names that no source shows; each test passes where the way leads to nothing.
const REACH: &str = include_str!("../data/python/reach.py");

#[test]
fn nothing_in_the_process_of_the_tests_gives_them_what_is_recorded_or_measured() {
    let project = Project::new();
    project.write("app/shop/never.py", NEVER);
    project.write("app/tests/test_reach.py", REACH);
    let (came, report) = project.look(&tests().with_coverage("shop"), project.python());
    let report = report.expect("looked");
    assert_eq!((report.failed(), report.skipped()), (0, 0), "{}", came.text());
    let text = came.text();
    let place = |function: &str| {
        let lines = REACH.lines().zip(1..);
        let (_, from) = lines.clone().find(|(line, _)| line.starts_with(&format!("def {function}("))).expect("there");
        let to = lines.filter(|(line, number)| line.starts_with("def ") && *number > from).map(|(_, number)| number);
        from..to.min().unwrap_or(u32::MAX)
    };
    let found = |what: &str, function: &str| {
        text.lines().filter(|line| line.starts_with("PYT-005") && line.contains(what)).any(|line| {
            let line = line.rsplit_once("test_reach.py:").and_then(|(_, line)| line.parse().ok());
            line.is_some_and(|line: u32| place(function).contains(&line))
        })
    };
    for (what, function) in [
        ("the module sys", "test_a_second_sys"),
        ("the module _imp", "test_a_second_imp"),
        ("the program that records the tests", "test_the_collector"),
        ("the program that records the tests", "test_an_audit_hook"),
        ("the program that records the tests", "test_frames_of_threads"),
        ("code that says it is of the environment", "test_a_name_of_the_environment"),
    ] {
        assert!(found(what, function), "{what} in {function}: {text}");
    }
    assert!(
        text.contains(
            "PYT-005 `the program that records the tests` was replaced while the tests ran, by code without a file"
        ),
        "{text}"
    );
    assert!(text.contains("`code that says it is of app/shop/never.py` was replaced"), "{text}");
    let gate = CoverageGate::lines(100.0).expect("full").sources("app/shop");
    let (came, _) = project.look(&gate, report.into());
    assert!(came.text().contains("COV-001 app/shop/never.py: line"), "{came:?}");
}
