use super::xml::{Element, XmlError, XmlEvent, read_xml};

/// The text of one failure is kept up to here; the log has all of it.
const DETAIL_BYTES_MAX: usize = 16 << 10;

/// What a test runner wrote down about its tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JunitReport {
    /// Every test, in the order it ran. A test that fails and then fails to clean up stands here twice.
    pub cases: Vec<TestCase>,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCase {
    /// Its module and class.
    pub class: String,
    /// Its name, with its parameters.
    pub name: String,
    /// Its file, where the report tells.
    pub file: Option<String>,
    /// The line it begins on, from 1, where the report tells.
    pub line: Option<u32>,
    /// How it ended.
    pub outcome: TestOutcome,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestOutcome {
    /// It passed.
    Passed,
    /// It failed.
    Failed {
        /// In one line or a few.
        message: String,
        /// All that was said about it.
        detail: String,
    },
    /// Something around it failed: its set-up, its clean-up, or reading its file.
    Broken {
        /// In one line or a few.
        message: String,
        /// All that was said about it.
        detail: String,
    },
    /// It did not count: skipped, or expected to fail.
    Skipped {
        /// Of which kind, such as `pytest.skip`.
        kind: String,
        /// Why.
        reason: String,
    },
}

impl TestCase {
    /// Its name as pytest takes it on the command line, `tests/test_cart.py::TestGroup::test_in_class`.
    #[must_use]
    pub fn id(&self) -> String {
        let Some(file) = &self.file else { return format!("{}::{}", self.class, self.name) };
        let module = file.strip_suffix(".py").unwrap_or(file).replace('/', ".");
        match self.class.strip_prefix(module.as_str()).and_then(|rest| rest.strip_prefix('.')) {
            Some(group) => format!("{file}::{}::{}", group.replace('.', "::"), self.name),
            None => format!("{file}::{}", self.name),
        }
    }
}

impl JunitReport {
    /// How many tests ended in a way.
    #[must_use]
    pub fn count(&self, fits: impl Fn(&TestOutcome) -> bool) -> usize {
        self.cases.iter().filter(|case| fits(&case.outcome)).count()
    }
}

/// A JUnit report that proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JunitError {
    /// It is broken.
    #[error("it is not JUnit XML: {0}")]
    Malformed(String),
    /// It says two things that cannot both be true.
    #[error("it says {said} {what}, but lists {listed}")]
    Contradiction {
        /// What is counted.
        what: &'static str,
        /// The count in its head.
        said: u64,
        /// How many it lists.
        listed: u64,
    },
}

/// Reads JUnit XML as pytest writes it with `junit_family=xunit1`, the one that has file and line. Pytest counts each of the
/// `subtests` as one test more, and lists none of them apart from its test.
///
/// # Errors
/// When it is broken, or the counts in its head are not those of the tests it lists.
pub fn read_junit(bytes: &[u8], subtests: usize) -> Result<JunitReport, JunitError> {
    let mut reader = JunitReader::default();
    read_xml(bytes, |event| reader.see(event)).map_err(|error| JunitError::Malformed(error.to_string()))?;
    reader.finish(subtests as u64)
}

#[derive(Default)]
struct JunitReader {
    rooted: bool,
    suites: usize,
    said: [u64; 4],
    /// How often each of `COUNTS` is listed: one test may fail in several of its subtests.
    listed: [u64; 4],
    cases: Vec<TestCase>,
    in_case: bool,
    detail: Option<String>,
}

const COUNTS: [&str; 4] = ["tests", "failures", "errors", "skipped"];

impl JunitReader {
    fn see(&mut self, event: XmlEvent) -> Result<(), XmlError> {
        match event {
            XmlEvent::Start(element) => self.start(&element),
            XmlEvent::End(name) => {
                match name.as_str() {
                    "testcase" => self.in_case = false,
                    "failure" | "error" | "skipped" => self.close_detail(),
                    _ => {}
                }
                Ok(())
            }
            XmlEvent::Text(text) => {
                if let Some(detail) = &mut self.detail
                    && detail.len() < DETAIL_BYTES_MAX
                {
                    detail.push_str(&text);
                }
                Ok(())
            }
        }
    }

    fn start(&mut self, element: &Element) -> Result<(), XmlError> {
        if !self.rooted && !matches!(element.name.as_str(), "testsuites" | "testsuite") {
            return Err(XmlError(format!("its root is <{}>", element.name)));
        }
        self.rooted = true;
        match element.name.as_str() {
            "testsuite" => {
                self.suites += 1;
                for (said, name) in self.said.iter_mut().zip(COUNTS) {
                    *said += u64::from(element.number(name)?);
                }
            }
            "testcase" => {
                self.in_case = true;
                self.listed[0] += 1;
                self.cases.push(TestCase {
                    class: element.required("classname")?.to_owned(),
                    name: element.required("name")?.to_owned(),
                    file: element.get("file").map(str::to_owned),
                    // Counted from 0 in the report.
                    line: element
                        .get("line")
                        .map(|_| element.number("line"))
                        .transpose()?
                        .and_then(|line| line.checked_add(1)),
                    outcome: TestOutcome::Passed,
                });
            }
            kind @ ("failure" | "error" | "skipped") if self.in_case => {
                let message = element.get("message").unwrap_or("").to_owned();
                let (count, outcome) = match kind {
                    "failure" => (1, TestOutcome::Failed { message, detail: String::new() }),
                    "error" => (2, TestOutcome::Broken { message, detail: String::new() }),
                    _ => {
                        let kind = element.get("type").unwrap_or("").to_owned();
                        (3, TestOutcome::Skipped { kind, reason: message })
                    }
                };
                self.listed[count] += 1;
                // What has failed stays failed, whatever comes after it.
                if let Some(case) = self.cases.last_mut()
                    && matches!(case.outcome, TestOutcome::Passed | TestOutcome::Skipped { .. })
                {
                    case.outcome = outcome;
                    self.detail = Some(String::new());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close_detail(&mut self) {
        let (Some(text), Some(case)) = (self.detail.take(), self.cases.last_mut()) else { return };
        if let TestOutcome::Failed { detail, .. } | TestOutcome::Broken { detail, .. } = &mut case.outcome {
            *detail = text;
        }
    }

    fn finish(self, subtests: u64) -> Result<JunitReport, JunitError> {
        if self.suites == 0 {
            return Err(JunitError::Malformed("it has no <testsuite>".to_owned()));
        }
        let report = JunitReport { cases: self.cases };
        let mut ids: Vec<_> = report.cases.iter().map(TestCase::id).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut listed = self.listed;
        // A test that failed twice is listed twice and counted once.
        if self.said[0] == ids.len() as u64 + subtests {
            listed[0] = ids.len() as u64;
        }
        listed[0] += subtests;
        let mut counts = COUNTS.into_iter().zip(self.said).zip(listed);
        match counts.find(|&((_, said), listed)| said != listed) {
            Some(((what, said), listed)) => Err(JunitError::Contradiction { what, said, listed }),
            None => Ok(report),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &[u8] = include_bytes!("../../tests/data/python/junit-mixed.xml");

    #[test]
    fn every_kind_of_outcome_is_read() {
        let report = read_junit(MIXED, 0).expect("recorded");
        assert_eq!(report.cases.len(), 7);
        let first = &report.cases[0];
        assert_eq!((first.id().as_str(), first.line), ("tests/test_cart.py::test_total", Some(5)));
        assert_eq!(report.cases[6].id(), "tests/test_cart.py::TestGroup::test_in_class");
        let TestOutcome::Failed { message, detail } = &report.cases[1].outcome else { panic!("{:?}", report.cases[1]) };
        assert!(message.starts_with("AssertionError: one is <not> two & #x1B[31mred"), "{message}");
        assert!(detail.ends_with("tests/test_cart.py:11: AssertionError"), "{detail}");
        assert!(
            matches!(&report.cases[3].outcome, TestOutcome::Skipped { kind, reason } if kind == "pytest.skip" && reason == "no shop on sundays")
        );
        assert!(
            matches!(&report.cases[5].outcome, TestOutcome::Broken { message, .. } if message.contains("set-up broke"))
        );
    }

    #[test]
    fn no_tests_is_a_report_of_none() {
        let report = read_junit(include_bytes!("../../tests/data/python/junit-no-tests.xml"), 0).expect("recorded");
        assert!(report.cases.is_empty());
    }

    #[test]
    fn a_report_that_was_cut_or_changed_is_an_error() {
        for end in 0..MIXED.trim_ascii_end().len() {
            assert!(read_junit(&MIXED[..end], 0).is_err(), "cut at {end} was accepted");
        }
        let text = std::str::from_utf8(MIXED).expect("recorded");
        for (from, to) in [
            ("failures=\"2\"", "failures=\"0\""),
            ("errors=\"1\"", "errors=\"0\""),
            ("skipped=\"2\"", "skipped=\"0\""),
            ("tests=\"7\"", "tests=\"8\""),
            ("tests=\"7\"", ""),
        ] {
            assert!(text.contains(from));
            assert!(read_junit(text.replacen(from, to, 1).as_bytes(), 0).is_err(), "{to} was accepted");
        }
        for bad in ["", "<html/>", "<testsuites/>", "<testsuite tests='1'/>", "{}"] {
            assert!(read_junit(bad.as_bytes(), 0).is_err(), "{bad:?} was accepted");
        }
    }

    /// As pytest 9 writes them: a subtest that passes is counted, and listed nowhere.
    #[test]
    fn subtests_are_counted_beside_their_tests() {
        let suite = |counts: &str, inside: &str| {
            format!(
                "<testsuites><testsuite {counts}><testcase classname='tests.test_cart' name='test_a'>{inside}</testcase>\
                 <testcase classname='tests.test_cart' name='test_b'/></testsuite></testsuites>"
            )
        };
        let passing = suite("tests='5' failures='0' errors='0' skipped='0'", "");
        let report = read_junit(passing.as_bytes(), 3).expect("three subtests passed");
        assert_eq!(report.count(|outcome| *outcome == TestOutcome::Passed), 2);
        let inside =
            "<failure message='one'>first</failure><skipped message='two'/><failure message='three'>last</failure>";
        let failing = suite("tests='5' failures='2' errors='0' skipped='1'", inside);
        let report = read_junit(failing.as_bytes(), 3).expect("two subtests failed and one was skipped");
        let failed = TestOutcome::Failed { message: "one".to_owned(), detail: "first".to_owned() };
        assert_eq!(report.cases[0].outcome, failed, "what comes later makes no less of it");
        for (bytes, subtests) in [(&passing, 0), (&passing, 2), (&passing, 4), (&failing, 0), (&failing, 2)] {
            assert!(read_junit(bytes.as_bytes(), subtests).is_err(), "{subtests} were accepted in {bytes}");
        }
        let fewer = failing.replace("failures='2'", "failures='1'");
        assert!(read_junit(fewer.as_bytes(), 3).is_err(), "a test that failed twice was counted once");
    }
}
