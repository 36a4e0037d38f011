use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::docker;
use crate::formats::HealthCommand;
use crate::process::ProcessError;
use crate::step::{Context, StepError};

/// A server that is ready answers a single request in this time.
const HTTP_TIMEOUT: Duration = Duration::from_secs(5);
/// The shortest time given to a look, so that the last one before the deadline is not lost to it.
const LOOK_MIN: Duration = Duration::from_millis(100);
/// The status line stands within this many bytes.
const HEAD_BYTES_MAX: usize = 64;

/// Runs the image's health command inside a container once. Returns what is wrong, or none when it is healthy.
///
/// # Errors
/// When the run is cancelled or `docker` cannot be run.
pub(super) fn health_probe(
    cx: &Context,
    container: &str,
    health: &HealthCommand,
    left: Duration,
) -> Result<Option<String>, StepError> {
    let probe = docker(["exec", container]).args(&health.command).deadline(health.timeout.min(left).max(LOOK_MIN));
    match cx.run(&probe) {
        Ok(captured) if captured.success() => Ok(None),
        Ok(captured) => {
            let said = captured.stderr_text();
            let last = said.lines().last().unwrap_or("it printed nothing to standard error");
            Ok(Some(format!("its health command ended with {}: {last}", captured.exit)))
        }
        Err(StepError::Process(ProcessError::TimedOut { deadline, .. })) => {
            Ok(Some(format!("its health command did not end within {} s", deadline.as_secs_f32())))
        }
        Err(error) => Err(error),
    }
}

/// One `GET` that a server must answer with a status before it counts as ready.
///
/// An open port proves nothing: the engine's own proxy accepts connections before anybody listens in the container.
pub(super) struct HttpProbe<'a> {
    pub(super) address: SocketAddr,
    pub(super) path: &'a str,
    pub(super) status: u16,
}

impl HttpProbe<'_> {
    /// Asks once. Returns what is wrong, or none when the answer is as it should be.
    pub(super) fn look(&self, left: Duration) -> Option<String> {
        let Self { path, status, address } = self;
        match self.ask(HTTP_TIMEOUT.min(left).max(LOOK_MIN)) {
            Ok(answered) if answered == *status => None,
            Ok(answered) => Some(format!("GET {path} answers {answered} instead of {status}")),
            Err(error) => {
                Some(format!("GET {path} on {address} is not answered ({error}); does it listen on 0.0.0.0?"))
            }
        }
    }

    fn ask(&self, timeout: Duration) -> io::Result<u16> {
        let until = Instant::now() + timeout;
        let left = || until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let mut stream = TcpStream::connect_timeout(&self.address, timeout)?;
        stream.set_write_timeout(Some(left()))?;
        let request = format!("GET {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.path, self.address);
        stream.write_all(request.as_bytes())?;
        let mut head = Vec::new();
        let mut chunk = [0; HEAD_BYTES_MAX];
        while head.len() < HEAD_BYTES_MAX && !head.contains(&b'\n') {
            if until <= Instant::now() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left()))?;
            let room = HEAD_BYTES_MAX - head.len();
            match stream.read(&mut chunk[..room])? {
                0 => break,
                count => head.extend_from_slice(&chunk[..count]),
            }
        }
        status_of(&head).ok_or_else(|| io::Error::other("the answer is not HTTP"))
    }
}

/// The status in `HTTP/1.1 200 …`.
fn status_of(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let mut words = line.trim_ascii_end().split(|byte| *byte == b' ');
    words.next().filter(|version| version.starts_with(b"HTTP/1."))?;
    let status = std::str::from_utf8(words.next()?).ok()?;
    (status.len() == 3).then(|| status.parse().ok())?
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A server that sends this to the first who connects, and what is thought of it.
    fn look(answer: &'static [u8]) -> Option<String> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = [0; 256];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer);
        });
        let problem = HttpProbe { address, path: "/ready", status: 200 }.look(Duration::from_secs(5));
        server.join().expect("the server ends");
        problem
    }

    #[test]
    fn only_the_expected_status_is_ready() {
        assert_eq!(look(b"HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(look(b"HTTP/1.0 200\r\n\r\n"), None);
        let answers_503 = look(b"HTTP/1.1 503 Service Unavailable\r\n\r\n").expect("a problem");
        assert_eq!(answers_503, "GET /ready answers 503 instead of 200");
        for bad in
            [&b""[..], b"\n", b"HTTP/1.1", b"HTTP/1.1 20", b"HTTP/1.1 2000 OK\r\n", b"\xff\xfe 200 \n", b"200 OK\n"]
        {
            assert!(look(bad).is_some(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_closed_port_and_silence_are_not_ready() {
        let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
        assert!(HttpProbe { address: closed, path: "/", status: 200 }.look(Duration::from_secs(1)).is_some());
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = silent.local_addr().expect("an address");
        assert!(HttpProbe { address, path: "/", status: 200 }.look(Duration::from_millis(200)).is_some());
    }
}
