use std::error::Error;
use std::fmt::Write as _;
use std::time::Instant;

use cicd_core::cli::Output;

/// One way to do the work that is being compared: what it is called and how to measure it once.
pub(super) struct Contender<'a> {
    pub(super) name: String,
    pub(super) measure: Box<dyn FnMut() -> Result<f64, Box<dyn Error>> + 'a>,
}

impl<'a> Contender<'a> {
    pub(super) fn new(name: &str, measure: impl FnMut() -> Result<f64, Box<dyn Error>> + 'a) -> Self {
        Self { name: name.to_owned(), measure: Box::new(measure) }
    }
}

/// Measures all contenders in turn, round after round, so that a slow moment of the machine meets each of them, and prints
/// medians and their ratio to the first one.
pub(super) fn contest(
    title: &str,
    unit: &str,
    rounds: usize,
    mut contenders: Vec<Contender<'_>>,
) -> Result<(), Box<dyn Error>> {
    let mut samples = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (contender, samples) in contenders.iter_mut().zip(&mut samples) {
            samples.push((contender.measure)()?);
        }
    }
    let medians: Vec<f64> = samples.iter().map(|samples| median(samples)).collect();
    let mut text = format!("\n{title} (median of {rounds})\n");
    for ((contender, median), samples) in contenders.iter().zip(&medians).zip(&samples) {
        let least = samples.iter().copied().fold(f64::INFINITY, f64::min);
        let most = samples.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let ratio = median / medians[0];
        writeln!(
            text,
            "  {:28} {median:>10.1} {unit:6} ratio {ratio:>5.2}   ({least:.1} to {most:.1})",
            contender.name
        )?;
    }
    Output.say(&text);
    Ok(())
}

/// How long a command takes, in milliseconds.
pub(super) fn timed(command: xshell::Cmd<'_>) -> Result<f64, Box<dyn Error>> {
    let command = command.quiet().ignore_stdout();
    let started = Instant::now();
    command.run()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}
