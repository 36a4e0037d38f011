fn main() {
    let _ = cicd_core::steps::Pushed {
        reference: String::new(),
        digest: String::new(),
        tagged: String::new(),
        image_id: String::new(),
    };
}
