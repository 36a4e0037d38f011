//! Secrets are found in whatever way they are written: as they are, and encoded.
//!
//! Text is searched as it reads without line ends and colours, and again with each layer of escapes undone, and of each of these the
//! bytes that its numbers stand for. What is searched for is each secret, in pieces where it is long, as it is and in the encodings that cannot be undone while text is read. What is
//! found is led back to where it stands.

mod entities;
mod forms;
mod needles;
mod numbers;
mod redactor;
mod scan;
mod stream;
mod view;

#[cfg(test)]
mod encoders;
#[cfg(test)]
mod tests;

pub use redactor::{REDACTED, Redactor};
pub use stream::StreamRedactor;
