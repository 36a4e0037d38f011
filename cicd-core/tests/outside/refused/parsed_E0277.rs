fn main() {
    let _ = "sha256:0".parse::<cicd_core::docker::Image<cicd_core::docker::Fresh>>();
}
