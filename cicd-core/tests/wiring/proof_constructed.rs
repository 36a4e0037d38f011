use cicd_core::steps::Pushed;

fn pushed() -> Pushed {
    Pushed { reference: String::new(), digest: String::new(), tagged: String::new(), image_id: String::new() }
}

fn main() {}
