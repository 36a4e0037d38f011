//! Another repository's xtask: its own step, and the whole command line from three lines of main.

use cicd_core::model::{Code, Finding};
use cicd_core::pipeline::{GraphError, Pipeline};
use cicd_core::process::{Invocation, ToolRequirement};
use cicd_core::step::{Context, Outcome, Step, StepError, Workspace};

// The step begins here.
#[derive(Debug)]
struct ShellSyntax(&'static str);

impl Step for ShellSyntax {
    type Input = ();
    type Output = ();
    fn tools(&self) -> Vec<ToolRequirement> {
        vec![ToolRequirement::new("bash", ">=4")]
    }
    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        let checked = cx.run(&Invocation::tool("bash").args(["-n", self.0]))?.require_exit(&[0, 2])?;
        let finding = || Finding::with_code(Code::from_static("SH-001"), checked.stderr_text());
        Ok(Outcome::of(()).findings((!checked.success()).then(finding)))
    }
}
// The step ends here.

fn pipeline(_: &Workspace) -> Result<Pipeline, GraphError> {
    let mut ci = Pipeline::new("outside");
    ci.add("shell-syntax", ShellSyntax("script.sh"), ());
    Ok(ci)
}

fn main() -> std::process::ExitCode {
    cicd_core::cli::main(pipeline)
}
