use cicd_core::model::{Judged, Subject};
use cicd_core::step::Proof;

#[derive(Clone)]
struct Mine;

impl Judged for Mine {
    fn subject(&self) -> Subject {
        Subject::Commit(String::new())
    }
}

impl Proof for Mine {}

fn main() {}
