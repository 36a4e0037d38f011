use cicd_core::pipeline::Pipeline;
use cicd_core::steps::{CoverageGate, TrivyDatabase, TrivyScan};

fn main() {
    let mut ci = Pipeline::new("wrong");
    let gate = CoverageGate::lines(100.0).expect("a percentage").report("coverage.json");
    let coverage = ci.add("coverage", gate, ());
    let database = ci.add("database", TrivyDatabase::official(), ());
    ci.add("scan", TrivyScan::new(), (&coverage, &database));
}
