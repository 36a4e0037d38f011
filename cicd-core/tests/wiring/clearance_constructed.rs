use cicd_core::step::Cleared;
use cicd_core::steps::Pushed;

fn cleared(pushed: Pushed) -> Cleared<Pushed> {
    Cleared { value: pushed, gates: Vec::new(), run: Default::default(), environment: Default::default() }
}

fn main() {}
