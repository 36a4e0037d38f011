//! For `tests/hooks.rs`: the command line of a repository with a hook. What the hook's step sees is written to the file that
//! `HOOKED_RECORD` names; a line with `BAD` is a finding, and a file called `unreadable` is none that can be looked at.

use std::collections::BTreeMap;
use std::fs;
use std::process::ExitCode;

use cicd_core::cli::Cli;
use cicd_core::model::{Code, Finding, Location};
use cicd_core::pipeline::{GraphError, Pipeline};
use cicd_core::process::Invocation;
use cicd_core::step::{Context, Outcome, Step, StepError, Workspace};

#[derive(Debug)]
struct Words;

impl Step for Words {
    type Input = ();
    type Output = ();

    fn run(&self, cx: &Context, (): ()) -> Result<Outcome<()>, StepError> {
        let (mut seen, mut findings) = (BTreeMap::new(), Vec::new());
        for path in cx.repository_files()? {
            if path.file_name() == Some("unreadable") {
                return Err(StepError::not_looked(format!("{path} cannot be read"), "take it out"));
            }
            let file = cx.path(&path);
            let text = match fs::read_link(&file) {
                Ok(to) => format!("-> {}", to.display()),
                Err(_) => fs::read_to_string(&file).map_err(StepError::io("reading", &path))?,
            };
            let bad = (1..).zip(text.lines()).filter(|(_, line)| line.contains("BAD"));
            findings.extend(bad.map(|(number, _)| {
                Finding::with_code(Code::from_static("BAD-1"), "a bad word").at(Location::line(&path, number))
            }));
            seen.insert(path.to_string(), text);
        }
        let environment = cx.run_ok(&Invocation::tool("env"))?;
        let inherited: Vec<_> =
            environment.stdout_text()?.lines().filter(|line| line.starts_with("GIT_")).map(str::to_owned).collect();
        if let Some(record) = cx.env("HOOKED_RECORD") {
            let changed = cx.files_of_last_commit()?;
            let record_of_run = serde_json::json!({ "files": seen, "changed": changed, "git": inherited });
            fs::write(record, record_of_run.to_string()).map_err(StepError::io("writing", "the record"))?;
        }
        Ok(Outcome::of(()).findings(findings))
    }
}

fn words(_: &Workspace) -> Result<Pipeline, GraphError> {
    let mut ci = Pipeline::new("hooked");
    ci.add("words", Words, ());
    Ok(ci)
}

fn more(workspace: &Workspace) -> Result<Pipeline, GraphError> {
    let mut hook = words(workspace)?;
    hook.command("only-here", Invocation::tool("true"));
    Ok(hook)
}

fn main() -> ExitCode {
    let cli = Cli::new(words);
    match std::env::args_os().any(|arg| arg == "only-here") {
        true => cli.before_commit(more).main(),
        false => cli.before_commit(words).main(),
    }
}
