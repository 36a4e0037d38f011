use cicd_core::step::Cleared;
use cicd_core::steps::Pushed;

fn pushed() -> Pushed {
    Pushed { reference: String::new(), digest: String::new(), tagged: String::new(), image_id: String::new() }
}

fn cleared(pushed: Pushed) -> Cleared<Pushed> {
    Cleared { value: pushed, gates: Vec::new(), run: Default::default() }
}

fn main() {}
