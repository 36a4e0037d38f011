//! A graph of forty steps that only sleep. `sleeping_steps FOLDER JOBS` runs it and prints two times in ms: how long the run took,
//! and the least that any runner needs, which is the longest path or the sum of the work over the jobs, whichever is longer.

use std::error::Error;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use camino::Utf8Path;
use cicd_core::model::Event;
use cicd_core::pipeline::{Observer, Outside, Pipeline, RunOptions, run};
use cicd_core::process::Invocation;
use cicd_core::step::Workspace;

/// Five layers of eight steps. Each step waits for the one above it and for that one's neighbour.
const LAYERS: usize = 5;
const WIDTH: usize = 8;

struct Nobody;

impl Observer for Nobody {
    fn event(&mut self, _: &Event) {}
}

/// From 60 to 270 ms, differing so that paths differ.
fn sleep_ms(layer: usize, column: usize) -> u64 {
    60 + 30 * ((layer * 3 + column * 5) % 8) as u64
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, jobs] = args.as_slice() else { return Err("usage: sleeping_steps FOLDER JOBS".into()) };
    let jobs: NonZeroUsize = jobs.parse()?;
    let workspace = Workspace::at(Utf8Path::new(folder));
    let mut ci = Pipeline::new("sleeps");
    let mut above = Vec::new();
    let mut ends_ms: Vec<u64> = vec![0; WIDTH];
    let mut work_ms = 0;
    for layer in 0..LAYERS {
        let mut steps = Vec::new();
        let mut ends = Vec::new();
        for column in 0..WIDTH {
            let sleep = sleep_ms(layer, column);
            let seconds = Duration::from_millis(sleep).as_secs_f64().to_string();
            let step = ci.command(&format!("sleep-{layer}-{column}"), Invocation::program("/bin/sleep").arg(seconds));
            let parents = [column, (column + 1) % WIDTH];
            parents.iter().filter_map(|&parent| above.get(parent)).for_each(|parent| ci.after(&step, parent));
            ends.push(sleep + parents.map(|parent| ends_ms[parent]).into_iter().max().unwrap_or(0));
            steps.push(step);
            work_ms += sleep;
        }
        (above, ends_ms) = (steps, ends);
    }
    let longest_ms = ends_ms.into_iter().max().unwrap_or(0);
    let options = RunOptions { jobs, ..RunOptions::default() };
    let outside = Outside::gather(&workspace, Vec::new())?;
    let started = Instant::now();
    let summary = run(&ci, &workspace, outside, &options, &mut Nobody)?;
    let wall_ms = started.elapsed().as_secs_f64() * 1e3;
    if summary.exit_code != 0 {
        return Err("the run was not green".into());
    }
    println!("{wall_ms:.1} {}", longest_ms.max(work_ms.div_ceil(jobs.get() as u64)));
    Ok(())
}
