//! For `cargo xtask bench policy`: lints a generated `.trivyignore` with as many entries as the first argument says, once to warm up
//! and then as often as the second one says, and prints the median in milliseconds.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use cicd_core::formats::ignore_file::read;
use cicd_core::policy::{Applies, Policy, evaluate};

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|arg| arg.parse::<usize>());
    let (Some(Ok(entries)), Some(Ok(rounds))) = (numbers.next(), numbers.next()) else { return ExitCode::from(2) };
    let text = ignore_file(entries);
    let mut samples: Vec<f64> = (0..=rounds).map(|_| lint_ms(&text, entries)).skip(1).collect();
    samples.sort_by(f64::total_cmp);
    let Some(median) = samples.get(rounds / 2) else { return ExitCode::from(2) };
    println!("{median:.2}");
    ExitCode::SUCCESS
}

fn ignore_file(entries: usize) -> String {
    let mut text = String::new();
    for entry in 0..entries {
        // Writing into memory does not fail.
        let _ = writeln!(
            text,
            "# reason: the parser with flaw {entry} is never given outside input\n# owner: @example/security\n\
             # ticket: SEC-{entry}\nCVE-2026-{:05} exp:2027-01-15\n",
            10_000 + entry
        );
    }
    text
}

fn lint_ms(text: &str, entries: usize) -> f64 {
    let started = Instant::now();
    let today = jiff::civil::date(2026, 11, 21);
    let file = read("ci/.trivyignore".into(), text.as_bytes());
    let complete = file.map_or(0, |file| {
        let exceptions: Vec<_> = file.exceptions.into_iter().map(|one| one.applies(Applies::Elsewhere)).collect();
        let verdict = evaluate(file.findings, &exceptions, &Policy::default(), today);
        exceptions.len() - verdict.findings.len()
    });
    let elapsed = started.elapsed();
    assert_eq!(complete, entries, "every entry is complete, and holds");
    elapsed.as_secs_f64() * 1e3
}
