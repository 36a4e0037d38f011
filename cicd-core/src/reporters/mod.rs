//! Floor 6: what a run shows. Reporters see events and the summary; they cannot change a verdict.

mod attempts;
mod codes;
#[cfg(test)]
mod example;
mod github;
mod html;
mod junit;
mod lines;
mod live;
mod masks;
mod sarif;
mod shown;
mod table;
mod text;

pub use codes::{codes, codes_markdown, codes_text};
pub use github::{annotations, step_summary};
pub use html::html;
pub use junit::junit;
pub use lines::Lines;
pub use live::Live;
pub use masks::Masks;
pub use sarif::{SarifError, sarif};
pub use table::table;
pub(crate) use text::style_of;
pub use text::{brief, details, duration, plain, report};

#[cfg(test)]
#[path = "all_tests.rs"]
mod tests;
