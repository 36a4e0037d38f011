//! Floor 3: what the steps around a Python project hand to each other.

mod environment;
mod interpreter;
mod lock_file;
mod syntax;
mod test_report;

pub(crate) use environment::Environment;
pub use interpreter::Interpreter;
pub use lock_file::{LockCode, LockFile};
pub(crate) use syntax::{is_python, python_sources, read_syntax};
pub use test_report::TestReport;
