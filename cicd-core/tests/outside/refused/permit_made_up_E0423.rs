fn main() {
    let _ = cicd_core::step::Permit(None);
}
