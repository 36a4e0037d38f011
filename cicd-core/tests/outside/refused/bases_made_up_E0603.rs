fn main() {
    let _ = cicd_core::docker::Bases(Vec::new());
}
