fn give<T: Default>() -> T {
    T::default()
}

fn main() {
    let _: cicd_core::steps::ScanReport = give();
}
