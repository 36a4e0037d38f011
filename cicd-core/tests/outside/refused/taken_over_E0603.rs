use cicd_core::step::{Context, Outcome, Step, StepError};
use cicd_core::steps::ScanReport;

#[derive(Debug)]
struct Mine(ScanReport);

impl Step for Mine {
    type Input = ();
    type Output = ScanReport;

    fn run(&self, _: &Context, (): ()) -> Result<Outcome<ScanReport>, StepError> {
        Ok(Outcome::of(self.0.clone()))
    }

    fn author(&self, _: &cicd_core::step::Seal) -> cicd_core::step::Author {
        cicd_core::step::Author::Library
    }
}

fn main() {}
