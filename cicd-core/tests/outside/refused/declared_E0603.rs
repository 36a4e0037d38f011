fn main() {
    cicd_core::step::proof! { pub struct Mine("mine") { a: u32 } };
}
