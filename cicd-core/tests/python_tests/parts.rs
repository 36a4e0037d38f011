//! Parts of tests, `self.subTest(…)` of unittest and `subtests.test(…)` of pytest: each is reported in the name of its test.

use cicd_core::model::Status;

use crate::project::{Came, Project};
use crate::tests;

const CASE: &str = "import unittest\n\n\nclass More(unittest.TestCase):\n";

#[test]
fn a_part_of_a_test_counts_for_its_test() {
    let project = Project::new();
    let python = project.python();
    let case = |body: &str| format!("{CASE}    def test_more(self):\n        for one in (1, 2):\n            {body}\n");
    let function = |body: &str| format!("def test_more(subtests):\n    for one in (1, 2):\n        {body}\n");
    project.write("app/tests/test_case.py", &case("with self.subTest(one=one):\n                self.assertTrue(one)"));
    project.write("app/tests/test_function.py", &function("with subtests.test(one=one):\n            assert one"));
    project.write("app/tests/test_bare.py", &case("with self.subTest():\n                pass"));
    let (came, report) = project.look(&tests(), python.clone());
    assert_eq!(came.text(), "");
    let report = report.expect("looked");
    assert_eq!((report.tests(), report.passed(), report.failed(), report.skipped()), (5, 5, 0, 0));

    let late = "    def tearDown(self):\n        raise OSError\n\n    def test_more(self):\n        with self.subTest():\n            self.fail('x')\n";
    let files = [
        ("test_first", case("with self.subTest(one=one):\n                self.assertEqual(one, 1)"), "PYT-001"),
        ("test_each", case("with self.subTest(one=one):\n                self.fail('x')"), "PYT-001"),
        ("test_broken", case("with self.subTest(one=one):\n                raise OSError"), "PYT-001"),
        ("test_late", format!("{CASE}{late}"), "PYT-001"),
        ("test_fixture", function("with subtests.test(one=one):\n            assert one == 1"), "PYT-001"),
        ("test_all", function("with subtests.test(one=one):\n            assert not one"), "PYT-001"),
        (
            "test_then",
            function("with subtests.test(one=one):\n            assert one == 1\n    assert one == 3"),
            "PYT-001",
        ),
        ("test_skip", case("with self.subTest(one=one):\n                self.skipTest('no')"), "PYT-002"),
        (
            "test_quiet",
            function("with subtests.test(one=one):\n            pytest.skip('no')")
                .replace("def", "import pytest\n\n\ndef"),
            "PYT-002",
        ),
    ];
    for (name, text, _) in &files {
        project.write(&format!("app/tests/{name}.py"), text);
    }
    let (came, report) = project.look(&tests(), python);
    assert!(matches!(came, Came::To(Status::Failed, _)), "{came:?}");
    for (name, _, code) in &files {
        let found =
            came.text().lines().any(|line| line.starts_with(code) && line.contains(&format!("tests/{name}.py")));
        assert!(found, "{name}: {}", came.text());
    }
    let report = report.expect("looked");
    assert_eq!((report.tests(), report.passed(), report.failed(), report.skipped()), (14, 5, 7, 2));
}
