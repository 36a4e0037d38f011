//! What a network did to a tool, from the words the tool ends with.
//!
//! Docker, Trivy, uv, debootstrap and apt give one exit code for everything that goes wrong; what it was stands only in the text
//! of their error. So a command is recognised by its exit code as failed first, and only then is its error read here. A text
//! that is read wrongly costs an attempt, never a verdict.

use std::fmt;

/// What a network, or a server in it, did to a request: a cause that may be gone a moment later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NetworkFailure {
    /// The name of the server could not be resolved.
    Unresolved,
    /// There is no way to the server.
    Unreachable,
    /// The server's machine answers, and nothing listens there.
    Refused,
    /// The connection was broken off.
    Interrupted,
    /// Nothing came in time.
    NoAnswer,
    /// The server has too much to do: HTTP 429.
    Busy,
    /// The server, or something in front of it, is not well: HTTP 500, 502, 503 and 504.
    Unwell,
    /// A download failed, and the tool does not tell why.
    Unsaid,
}

use NetworkFailure::{Busy, Interrupted, NoAnswer, Refused, Unreachable, Unresolved, Unsaid, Unwell};

/// Parts of error messages, in lower case, with the more particular before the more general. "Manifest unknown", "denied" or a
/// certificate that does not hold are answers, and are not among them.
const WORDS: &[(&str, NetworkFailure)] = &[
    ("no such host", Unresolved),
    ("temporary failure in name resolution", Unresolved),
    ("temporary failure resolving", Unresolved),
    ("failed to lookup address information", Unresolved),
    ("unable to resolve host address", Unresolved),
    ("connection refused", Refused),
    ("network is unreachable", Unreachable),
    ("no route to host", Unreachable),
    ("connection reset by peer", Interrupted),
    ("unexpected eof", Interrupted),
    ("broken pipe", Interrupted),
    ("connection closed before message completed", Interrupted),
    ("i/o timeout", NoAnswer),
    ("tls handshake timeout", NoAnswer),
    ("client.timeout exceeded", NoAnswer),
    ("context deadline exceeded", NoAnswer),
    ("operation timed out", NoAnswer),
    ("connection timed out", NoAnswer),
    ("429 too many requests", Busy),
    ("http 429", Busy),
    ("toomanyrequests", Busy),
    ("500 internal server error", Unwell),
    ("502 bad gateway", Unwell),
    ("503 service unavailable", Unwell),
    ("504 gateway time", Unwell),
    ("dial tcp", Unreachable),
    ("failed getting release file", Unsaid),
    ("couldn't download", Unsaid),
];

impl NetworkFailure {
    /// The cause that the end of a failed command's standard error tells, if it tells one; the last line that does counts.
    #[must_use]
    pub fn told(stderr: &str) -> Option<Self> {
        stderr.lines().rev().find_map(|line| {
            let words: Vec<String> = line.split_whitespace().map(str::to_lowercase).collect();
            let line = words.join(" ");
            let known = WORDS.iter().find(|(words, _)| line.contains(words)).map(|(_, failure)| *failure);
            // Go says no more than this of a connection that ends in the middle.
            known.or_else(|| line.ends_with(": eof").then_some(Interrupted))
        })
    }

    /// Whether something is there at all: another attempt may find it in better health, while a network without a way to it
    /// stays so.
    #[must_use]
    pub fn is_of_a_server(self) -> bool {
        matches!(self, Refused | Interrupted | Busy | Unwell | Unsaid)
    }
}

impl fmt::Display for NetworkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unresolved => "the server's name could not be resolved",
            Unreachable => "there is no way to the server",
            Refused => "the server refused the connection",
            Interrupted => "the connection was broken off",
            NoAnswer => "nothing came in time",
            Busy => "the server is busy",
            Unwell => "the server is not well",
            Unsaid => "a download failed, without a word why",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = include_str!("../../tests/data/network/errors.txt");

    #[test]
    fn what_tools_write_is_told_apart() {
        let records: Vec<_> = RECORDED.split("== ").skip(1).collect();
        assert_eq!(records.len(), 17);
        for record in records {
            let (heading, text) = record.split_once('\n').expect("a heading");
            let expected = heading.split(':').next().filter(|cause| *cause != "none").map(str::to_owned);
            assert_eq!(NetworkFailure::told(text).map(|cause| format!("{cause:?}")), expected, "{record}");
        }
    }

    #[test]
    fn nothing_is_read_into_an_empty_or_cut_error() {
        for text in ["", "\n\n", "error: ", "Error response from daemon: received unexpected HTTP status: 5", "EOF"] {
            assert_eq!(NetworkFailure::told(text), None, "{text:?}");
        }
        assert_eq!(NetworkFailure::told("Get \"http://r/v2/\": EOF"), Some(NetworkFailure::Interrupted));
    }
}
