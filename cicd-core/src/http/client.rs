use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderName, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use super::{HttpAnswer, HttpRequest};

/// A page that people read is far shorter; a longer answer is a download, or does not end.
const BODY_BYTES_MAX: usize = 4 << 20;

/// Sends requests to one address and waits for each answer.
#[derive(Debug)]
pub struct HttpClient {
    runtime: Runtime,
    address: SocketAddr,
    timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The request cannot be sent as it is.
    #[error("the request cannot be sent: {0}")]
    Unsendable(String),
    /// Nobody listens, or the system has no connection to give.
    #[error("cannot connect: {0}")]
    Connect(#[source] io::Error),
    /// The server closed the connection, or answered in something that is not HTTP.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// The answer did not end in time.
    #[error("no whole answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    /// The answer is longer than anything worth reading.
    #[error("the answer is longer than {BODY_BYTES_MAX} bytes")]
    TooLong,
}

impl HttpClient {
    /// A client of the server at an address, which has `timeout` for each whole answer.
    ///
    /// # Errors
    /// When the system gives nothing to wait with.
    pub fn new(address: SocketAddr, timeout: Duration) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, address, timeout })
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no whole answer of at most 4 MiB in time.
    pub fn send(&self, request: &HttpRequest) -> Result<HttpAnswer, HttpError> {
        let message = self.message(request)?;
        self.runtime.block_on(async {
            let exchange = tokio::time::timeout(self.timeout, exchange(self.address, message));
            exchange.await.map_err(|_| HttpError::TimedOut(self.timeout))?
        })
    }

    fn message(&self, request: &HttpRequest) -> Result<Request<Full<Bytes>>, HttpError> {
        let unsendable = |error: &dyn std::fmt::Display| HttpError::Unsendable(error.to_string());
        let mut message = Request::new(Full::new(Bytes::from(request.body.clone())));
        *message.method_mut() = Method::from_bytes(request.method.as_bytes()).map_err(|error| unsendable(&error))?;
        *message.uri_mut() = request.path.parse().map_err(|error| unsendable(&error))?;
        for (name, value) in &request.headers {
            let name: HeaderName = name.parse().map_err(|error| unsendable(&error))?;
            let value = HeaderValue::from_str(value).map_err(|error| unsendable(&error))?;
            message.headers_mut().append(name, value);
        }
        if !message.headers().contains_key(HOST) {
            let host = HeaderValue::from_str(&self.address.to_string()).map_err(|error| unsendable(&error))?;
            message.headers_mut().insert(HOST, host);
        }
        Ok(message)
    }
}

async fn exchange(address: SocketAddr, message: Request<Full<Bytes>>) -> Result<HttpAnswer, HttpError> {
    let no_answer = |error: hyper::Error| HttpError::NoAnswer(chain(&error));
    let stream = TcpStream::connect(address).await.map_err(HttpError::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(no_answer)?;
    // What ends the connection is told by the answer, or by there being none.
    let driver = tokio::spawn(async move { drop(connection.await) });
    let answer = async {
        let (head, body) = sender.send_request(message).await.map_err(no_answer)?.into_parts();
        let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { HttpError::TooLong } else { HttpError::NoAnswer(error.to_string()) }
        })?;
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Ok(HttpAnswer { status: head.status.as_u16(), headers, body: body.to_bytes().to_vec() })
    };
    let answer = answer.await;
    driver.abort();
    answer
}

/// An error with what caused it: hyper's own words alone name no cause.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// Answers one connection with these bytes once it has read a head, and gives what it read.
    fn once(answer: &'static [u8]) -> (SocketAddr, std::thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut read = Vec::new();
            let mut byte = [0];
            while !read.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("read") == 1 {
                read.push(byte[0]);
            }
            stream.write_all(answer).expect("written");
            String::from_utf8(read).expect("text")
        });
        (address, server)
    }

    fn send(answer: &'static [u8], request: &HttpRequest) -> (Result<HttpAnswer, HttpError>, String) {
        let (address, server) = once(answer);
        let client = HttpClient::new(address, Duration::from_secs(10)).expect("a client");
        let answer = client.send(request);
        (answer, server.join().expect("served"))
    }

    #[test]
    fn what_was_asked_is_what_was_sent() {
        let request = HttpRequest::new("TRACK", "/../%2e%2e/etc?a=%0d&b=\\").header("Host", "elsewhere.example");
        let (answer, sent) =
            send(b"HTTP/1.1 404 Not Found\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 2\r\n\r\nno", &request);
        let answer = answer.expect("an answer");
        assert!(sent.starts_with("TRACK /../%2e%2e/etc?a=%0d&b=\\ HTTP/1.1\r\n"), "{sent}");
        assert!(sent.contains("host: elsewhere.example") && sent.matches("host").count() == 1, "{sent}");
        assert_eq!((answer.status, answer.text().as_str()), (404, "no"));
        assert_eq!(answer.headers("x-a").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        let get = HttpRequest::new("GET", "/");
        for (bytes, problem) in [
            (&b""[..], "no answer"),
            (b"SSH-2.0-OpenSSH\r\n\r\n", "no answer"),
            (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "no answer"),
        ] {
            let error = send(bytes, &get).0.expect_err(problem).to_string();
            assert!(error.starts_with(problem), "{error}");
        }
        let client = HttpClient::new(([127, 0, 0, 1], 9).into(), Duration::from_secs(1)).expect("a client");
        for request in [HttpRequest::new("A B", "/"), HttpRequest::new("GET", "/ x"), get.header("a", "b\r\nc: d")] {
            assert!(matches!(client.send(&request), Err(HttpError::Unsendable(_))), "{request:?}");
        }
    }
}
