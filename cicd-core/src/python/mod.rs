//! Floor 3: what the steps around a Python project hand to each other.

mod interpreter;
mod syntax;
mod test_report;

pub use interpreter::Interpreter;
pub(crate) use syntax::read_syntax;
pub use test_report::TestReport;
