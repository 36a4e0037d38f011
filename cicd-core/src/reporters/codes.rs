use std::fmt::Write as _;

use crate::model::{CodeInfo, FindingCode};
use crate::{docker, formats, pipeline, policy, scan, step, steps};

/// Every finding code of this library, in order.
#[must_use]
pub fn codes() -> Vec<CodeInfo> {
    let mut all = Vec::new();
    gather::<pipeline::ClearanceCode>(&mut all);
    gather::<pipeline::EffectCode>(&mut all);
    gather::<pipeline::RetryCode>(&mut all);
    gather::<pipeline::RunCode>(&mut all);
    gather::<policy::ExceptionCode>(&mut all);
    gather::<step::CommandCode>(&mut all);
    gather::<scan::ScannerCode>(&mut all);
    gather::<policy::SuppressionCode>(&mut all);
    gather::<formats::ignore_file::IgnoreCode>(&mut all);
    gather::<docker::BuildCode>(&mut all);
    gather::<crate::python::LockCode>(&mut all);
    gather::<steps::AuditCode>(&mut all);
    gather::<steps::BaseCode>(&mut all);
    gather::<steps::CargoTestCode>(&mut all);
    gather::<steps::CoverageCode>(&mut all);
    #[cfg(feature = "dast")]
    gather::<steps::DastCode>(&mut all);
    gather::<steps::DatabaseCode>(&mut all);
    gather::<steps::ExceptionLintCode>(&mut all);
    gather::<steps::ImageCode>(&mut all);
    gather::<steps::LicenseCode>(&mut all);
    #[cfg(feature = "load-test")]
    gather::<steps::LoadTestCode>(&mut all);
    gather::<steps::PytestCode>(&mut all);
    gather::<steps::ReadinessCode>(&mut all);
    gather::<steps::RuffCode>(&mut all);
    gather::<steps::RustFormatCode>(&mut all);
    gather::<steps::SbomCode>(&mut all);
    gather::<steps::ScanCode>(&mut all);
    gather::<steps::SecretCode>(&mut all);
    gather::<steps::SourceCode>(&mut all);
    gather::<steps::OwnersCode>(&mut all);
    all.sort_by_key(|info| info.code);
    all
}

fn gather<C: FindingCode>(all: &mut Vec<CodeInfo>) {
    all.extend(C::ALL.iter().map(|code| code.info()));
}

/// The table of finding codes for a terminal.
#[must_use]
pub fn codes_text() -> String {
    let mut text = String::new();
    for CodeInfo { code, summary, help, example } in codes() {
        let _ = writeln!(text, "{code}  {summary}\n    fix: {help}\n    example: {example}");
    }
    text
}

/// The table of finding codes as Markdown.
#[must_use]
pub fn codes_markdown() -> String {
    let mut text = "| code | meaning | fix | example |\n|---|---|---|---|\n".to_owned();
    for CodeInfo { code, summary, help, example } in codes() {
        let _ = writeln!(text, "| {code} | {} | {} | {} |", cell(summary), cell(help), cell(example));
    }
    text
}

/// What stands between backticks is code, where only the bar means something; elsewhere tags, links and addresses would.
fn cell(text: &str) -> String {
    let escape = |(index, part): (usize, &str)| {
        let part = part.replace('|', "\\|");
        if index % 2 == 1 {
            return part;
        }
        part.replace('<', "&lt;").replace('[', "\\[").replace("://", ":&#47;/")
    };
    text.split('`').enumerate().map(escape).collect::<Vec<_>>().join("`")
}
