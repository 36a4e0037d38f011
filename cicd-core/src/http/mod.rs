//! Floor 2: one HTTP request at a time, also such as no browser would send.
//!
//! Nothing is followed, decoded or normalised: what was asked is what was sent, and the answer is what came. Every request has a
//! connection of its own, so that a server which closes one in anger spoils nothing else.

mod client;
mod message;

pub use client::{HttpClient, HttpError};
pub use message::{HttpAnswer, HttpRequest};
