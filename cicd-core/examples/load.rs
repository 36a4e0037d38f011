//! The load generator by hand, for comparisons with others.
//!
//! `load open ADDRESS RATE SECONDS` and `load closed ADDRESS CONNECTIONS SECONDS` print one line.

use std::error::Error;
use std::time::Duration;

use cicd_core::load::{ClosedPlan, LoadError, Measurement, OpenPlan, Target, closed_loop, open_loop};

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["open", address, rate, seconds] => {
            let plan = OpenPlan::new(rate.parse()?, Duration::from_secs(seconds.parse()?));
            open_loop(&Target::get(address.parse()?, "/")?, &plan, &|| false)
        }
        ["closed", address, connections, seconds] => {
            let plan = ClosedPlan::new(connections.parse()?, Duration::from_secs(seconds.parse()?));
            closed_loop(&Target::get(address.parse()?, "/")?, &plan, &|| false)
        }
        _ => return Err("usage: load open ADDRESS RATE SECONDS | load closed ADDRESS CONNECTIONS SECONDS".into()),
    };
    match result {
        Ok(measurement) => print(&measurement),
        Err(LoadError::Invalid { why, measurement }) => {
            print(&measurement);
            return Err(format!("invalid measurement: {}", why.join("; ")).into());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn print(measured: &Measurement) {
    let percentile = |percent| measured.latency.percentile_ms(percent).unwrap_or(f64::NAN);
    println!(
        "{:.0} answers/s, {} of {} failed; latency ms p50 {:.3} p99 {:.3} max {:.3}; service p99 {:.3}; lateness p50 {:.3} p99 {:.3}; \
         generator busy {:.0} %, {} queued, {} connections",
        measured.rate_per_second,
        measured.failed(),
        measured.planned,
        percentile(50.0),
        percentile(99.0),
        percentile(100.0),
        measured.service.percentile_ms(99.0).unwrap_or(f64::NAN),
        measured.lateness.percentile_ms(50.0).unwrap_or(f64::NAN),
        measured.lateness_p99_ms().unwrap_or(f64::NAN),
        measured.busy_share * 100.0,
        measured.queued,
        measured.connections_peak,
    );
}
