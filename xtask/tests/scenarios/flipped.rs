//! Every tool of the pipeline does its real work on the real repository; then what it answers is spoilt, each time in another
//! way. Without the spoiling the step is green; with it, it must be an error and nothing else.

use cicd_core::model::Status;

use crate::checkout::Checkout;
use crate::tools::{Toolbox, real};

/// The steps that stand and fall with one tool.
const STEPS: &[(&str, &str)] = &[
    ("format", "ruff"),
    ("lint", "ruff"),
    ("rust-format", "rustfmt"),
    ("dockerfile-lint", "hadolint"),
    ("workflow-lint", "zizmor"),
    ("sast", "bandit"),
    ("secret-scan", "trivy"),
    ("secret-scan-gitleaks", "gitleaks"),
    ("python-env", "uv"),
];

/// What a tool's answer can be turned into, as the end of a script that has the real program as `$real`. What it printed and how it
/// ended are in `$printed` and `$code`; `$reports` are the files that it was asked to write.
const FLIPS: &[(&str, &str)] = &[
    ("prints and writes nothing, and ends well", r#"for each in $reports; do : > "$each"; done; exit 0"#),
    (
        "half of what it prints and writes is lost",
        r#"for each in "$printed" $reports; do truncate -s $(($(stat -c %s "$each") / 2)) "$each"; done; cat "$printed"; exit $code"#,
    ),
    (
        "says that all is well in words",
        r#"for each in $reports; do echo OK > "$each"; done; echo 'All checks passed!'"#,
    ),
    ("crashes when it is done", r#"cat "$printed"; kill -SEGV $$"#),
    ("ends with a code of its own", r#"cat "$printed"; exit 77"#),
];

/// Runs the real program, except that a question for its version is answered by it alone.
const PROLOGUE: &str = r#"#!/bin/sh
case "$1" in --version | version) exec "$real" "$@" ;; esac
printed=$(mktemp); trap 'rm -f "$printed"' EXIT
"$real" "$@" > "$printed"; code=$?
reports=
for each in "$@"; do
  case "$before" in --output | --report-path) reports="$reports $each" ;; esac
  before=$each
done
"#;

#[test]
fn no_step_is_green_when_its_tool_is_not_as_it_should_be() {
    let mut checkout = Checkout::new();
    let mut tools: Vec<_> = STEPS.iter().map(|&(_, tool)| tool).collect();
    tools.dedup();
    let toolbox = Toolbox::without(&mut checkout, &tools);
    let mut wrong = Vec::new();
    let mut expect = |step: &str, how: &str, wanted: Status| {
        let seen = checkout.status_of(step);
        // Some steps leave files out, with a justification.
        if seen != wanted && (seen, wanted) != (Status::Exempted, Status::Passed) {
            wrong.push(format!("{step}: its tool {how}: {seen}, not {wanted}"));
        }
    };
    for &(step, tool) in STEPS {
        let prologue = PROLOGUE.replacen('\n', &format!("\nreal={}\n", real(tool)), 1);
        expect(step, "is missing", Status::Error);
        toolbox.put(tool, "#!/bin/sh\necho 0.0.1\n");
        expect(step, "is of another version", Status::Error);
        for (how, flip) in FLIPS {
            toolbox.put(tool, &format!("{prologue}{flip}\n"));
            expect(step, how, Status::Error);
        }
        toolbox.put(tool, &format!("{prologue}cat \"$printed\"; exit $code\n"));
        expect(step, "is as it should be", Status::Passed);
        toolbox.take(tool);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
