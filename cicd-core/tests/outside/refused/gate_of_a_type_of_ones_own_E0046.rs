use cicd_core::model::{Judged, Subject};
use cicd_core::step::Proof;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize)]
struct Mine;

impl Judged for Mine {
    fn subject(&self) -> Subject {
        Subject::Commit(String::new())
    }
}

impl Proof for Mine {}

fn main() {}
