//! One checkout with everything planted at once that should have been green: each of them is named, and nothing else is needed.

use std::fs;

use cicd_core::pipeline::Summary;

use crate::checkout::{Checkout, told};

const INSECURE: &str =
    "\"\"\"Run a command.\"\"\"\n\nimport subprocess\n\nsubprocess.run(\"id\", shell=True, check=False)\n";

/// A function that no test calls, in a block that a coverage tool leaves out by its name.
const UNTESTED: &str = "\n\nTYPE_CHECKING = True\nif TYPE_CHECKING:\n\n    def unlock(door: str) -> str:\n        \"\"\"Open a door.\"\"\"\n        return door + \" is open\"\n";

const FAILING: &str =
    "\n\ndef test_the_lock_holds() -> None:\n    \"\"\"Fails.\"\"\"\n    assert \"open\" == \"shut\"\n";

/// Whether a step has a finding of this code, which no exception allows, about `word`.
fn found(summary: &Summary, step: &str, code: &str, word: &str) -> bool {
    let step = summary.steps.iter().find(|one| one.name.as_str() == step).expect("a step of the pipeline");
    step.findings.iter().filter(|finding| finding.exception.is_none() && finding.code.as_str() == code).any(|finding| {
        let place = finding.location.as_ref().map(ToString::to_string).unwrap_or_default();
        place.contains(word) || finding.message.contains(word)
    })
}

#[test]
fn everything_that_is_planted_in_a_checkout_is_named() {
    let checkout = Checkout::new();
    let tests = checkout.read("flask-app/tests/test_settings.py");
    checkout.write("flask-app/tests/test_settings.py", &(tests + FAILING));
    checkout.replace(
        "flask-app/pyproject.toml",
        "\"--strict-config\",",
        "\"--strict-config\", \"--deselect\", \"tests/test_settings.py::test_the_lock_holds\",",
    );
    let shipped = checkout.read("flask-app/myapplication/errors.py");
    checkout.write("flask-app/myapplication/errors.py", &(shipped + UNTESTED));
    checkout.write("flask-app/tool", &format!("#!/usr/bin/env python3\n{INSECURE}"));
    let unformatted = "#[rustfmt::skip]\npub(crate) fn   skewed( )->u8{ 7 }\n";
    let main = checkout.read("xtask/src/main.rs");
    checkout.write("xtask/src/main.rs", &(main + "\n" + unformatted));
    checkout.commit();
    checkout.write("flask-app/myapplication/hidden.py", INSECURE);
    fs::write(checkout.path(".git/info/exclude"), "hidden.py\n").expect("written");

    let (code, summary) = checkout.whole();
    assert!(matches!(code, 1 | 3), "exit code {code}");
    for (step, code, word) in [
        ("unit-tests", "PYT-006", "--deselect"),
        ("unit-tests", "PYT-001", "test_the_lock_holds"),
        ("unit-tests", "PYT-005", "errors.py"),
        ("source", "SRC-001", "hidden.py"),
        ("sast", "B602", "flask-app/tool"),
        ("lint", "S602", "flask-app/tool"),
        ("rust-format", "IGN-016", "xtask/src/main.rs"),
    ] {
        assert!(found(&summary, step, code, word), "{step} has no {code} about {word}:\n{}", told(&summary));
    }
}
