fn context(cx: &cicd_core::step::Context) -> cicd_core::step::RunContext {
    cicd_core::step::RunContext { ..todo!() }
}

fn main() {}
