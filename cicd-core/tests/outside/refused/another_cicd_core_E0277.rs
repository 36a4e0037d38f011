fn push(ci: &mut cicd_core::pipeline::Pipeline) {
    let cleared: another::Handle<another::Cleared> = another::Handle::default();
    ci.add("push", cicd_core::steps::Push::to("127.0.0.1:1/x"), &cleared);
}

fn main() {}
