fn main() {
    let _ = serde_json::from_str::<cicd_core::docker::Image<cicd_core::docker::Fresh>>("{}");
}
