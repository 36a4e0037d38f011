//! Floor 3: what the steps around a Python project hand to each other.

mod interpreter;
mod test_report;

pub use interpreter::Interpreter;
pub use test_report::TestReport;
