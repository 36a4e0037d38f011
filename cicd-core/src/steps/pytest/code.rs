use crate::model::finding_codes;

finding_codes! {
    /// What a run of the tests can find.
    pub enum PytestCode {
        Failed = "PYT-001" {
            summary: "a test failed",
            help: "the step's log has all that the test said",
            example: "assert total([1, 2]) == 4",
        },
        Skipped = "PYT-002" {
            summary: "a test was skipped or is expected to fail, so it shows nothing",
            help: "make it run, or justify it with reason, owner and expiry on the lines above it",
            example: "pytest.skip(\"no network here\")",
        },
        TooFew = "PYT-003" {
            summary: "there are fewer tests than the pipeline requires",
            help: "bring the missing tests back; lower `at_least` only in a reviewed change",
            example: "Pytest::in_dir(…).at_least(140) with 139 tests",
        },
        NotRun = "PYT-004" {
            summary: "a test of the source was not run",
            help: "remove what deselects or hides it, or justify it with reason, owner and expiry on the lines above it",
            example: "addopts = [\"--deselect\", \"tests/test_cart.py::test_total\"]",
        },
        Interference = "PYT-005" {
            summary: "code of the repository can change which tests run, or how they are judged or measured",
            help: "remove it, or justify it with reason, owner and expiry on the lines above it",
            example: "def pytest_collection_modifyitems(items): items.clear()",
        },
        Setting = "PYT-006" {
            summary: "a setting of pytest can change which tests run or how they are judged",
            help: "remove it, or justify it with reason, owner and expiry on the lines above it; it has no effect without",
            example: "addopts = \"-k 'not slow'\"",
        },
    }
}
