use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use super::Target;
use super::record::{Answer, Failure};

/// A longer body is one that does not end; it would be measured by its deadline alone otherwise.
const BODY_BYTES_MAX: u64 = 64 << 20;
/// A connection that has lain idle for longer is not used again. Servers close idle connections after 2 s (gunicorn) or more, and
/// a request that crosses such a close on its way is lost without anybody's fault.
const IDLE_MAX: Duration = Duration::from_secs(1);

/// Asking the clock costs as much as a small part of a request, so it is asked at every such poll only.
const POLLS_PER_CLOCK: u8 = 16;

type Driver = Pin<Box<http1::Connection<TokioIo<TcpStream>, Empty<Bytes>>>>;

/// One place for a request at a time: at most one connection, opened when it is first needed and again when it was lost.
pub(super) struct Slot {
    target: Target,
    request: Request<Empty<Bytes>>,
    connection: Option<Connection>,
    alarm: Alarm,
    pub(super) opened: u64,
}

struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    /// None once it has ended.
    driver: Option<Driver>,
}

impl Connection {
    /// Moves bytes as far as they go.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(cx).is_ready()
        {
            self.driver = None;
        }
    }
}

impl Slot {
    pub(super) fn new(target: &Target) -> Self {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = target.path.clone();
        if let Ok(host) = target.address.to_string().parse() {
            request.headers_mut().insert(HOST, host);
        }
        request
            .headers_mut()
            .insert(USER_AGENT, const { hyper::header::HeaderValue::from_static("cicd-core-load-test") });
        Self { target: target.clone(), request, connection: None, alarm: Alarm::new(), opened: 0 }
    }

    /// Waits for something else while keeping an eye on the idle connection, so that its end is known before its next use.
    pub(super) async fn idle<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let mut wait = pin!(wait);
        poll_fn(|cx| {
            if let Some(connection) = &mut self.connection {
                connection.drive(cx);
            }
            wait.as_mut().poll(cx)
        })
        .await
    }

    /// Sends the request and reads the whole answer, until `deadline`; the slot has had nothing to do for the time `idle`.
    ///
    /// A connection whose request failed is not used again: what is left of its answer would be taken for the next one.
    pub(super) async fn exchange(&mut self, deadline: Instant, idle: Duration) -> Result<Answer, Failure> {
        self.alarm.set(deadline);
        let connection = self.connection.take().filter(|it| it.driver.is_some() && idle < IDLE_MAX);
        let (response, mut connection) = match connection {
            Some(mut connection) => match self.send(&mut connection).await {
                Ok(response) => (response, connection),
                // The server had closed the connection before the request was written: that is no answer to it.
                Err(Unanswered::NotWritten) => self.send_anew().await?,
                Err(Unanswered::Failed(failure)) => return Err(failure),
            },
            None => self.send_anew().await?,
        };
        let status = response.status().as_u16();
        let body_bytes = self.read_body(&mut connection, response.into_body()).await?;
        self.connection = Some(connection);
        Ok(Answer { status, body_bytes })
    }

    async fn send_anew(&mut self) -> Result<(Response<Incoming>, Connection), Failure> {
        let mut connection = self.connect().await?;
        match self.send(&mut connection).await {
            Ok(response) => Ok((response, connection)),
            Err(Unanswered::NotWritten) => Err(Failure::Closed),
            Err(Unanswered::Failed(failure)) => Err(failure),
        }
    }

    async fn connect(&mut self) -> Result<Connection, Failure> {
        let address = self.target.address;
        let open = async {
            // A request is one short piece, for which vectored writing only costs.
            let stream = TcpStream::connect(address).await.map_err(|error| connect_failure(&error))?;
            stream.set_nodelay(true).map_err(|error| connect_failure(&error))?;
            http1::Builder::new().writev(false).handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Connect)
        };
        let mut open = pin!(open);
        let (sender, driver) = poll_fn(|cx| match open.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => self.alarm.poll(cx).map(|()| Err(Failure::Timeout)),
        })
        .await?;
        self.opened += 1;
        Ok(Connection { sender, driver: Some(Box::pin(driver)) })
    }

    async fn send(&mut self, connection: &mut Connection) -> Result<Response<Incoming>, Unanswered> {
        poll_fn(|cx| {
            connection.drive(cx);
            match connection.sender.poll_ready(cx) {
                Poll::Ready(ready) => Poll::Ready(ready.map_err(|_| Unanswered::NotWritten)),
                Poll::Pending => self.alarm.poll(cx).map(|()| Err(Unanswered::Failed(Failure::Timeout))),
            }
        })
        .await?;
        let mut response = pin!(connection.sender.try_send_request(self.request.clone()));
        poll_fn(|cx| {
            // The driver first: it writes the request and hands the answer over, so one wake-up suffices for each.
            connection.drive(cx);
            match response.as_mut().poll(cx) {
                Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut error)) => Poll::Ready(Err(match error.take_message() {
                    Some(_) => Unanswered::NotWritten,
                    None => Unanswered::Failed(answer_failure(error.error())),
                })),
                Poll::Pending => self.alarm.poll(cx).map(|()| Err(Unanswered::Failed(Failure::Timeout))),
            }
        })
        .await
    }

    async fn read_body(&mut self, connection: &mut Connection, mut body: Incoming) -> Result<u64, Failure> {
        let mut bytes = 0u64;
        while !body.is_end_stream() {
            let frame = poll_fn(|cx| {
                connection.drive(cx);
                match Pin::new(&mut body).poll_frame(cx) {
                    Poll::Ready(frame) => Poll::Ready(frame.transpose().map_err(|_| Failure::Body)),
                    Poll::Pending => self.alarm.poll(cx).map(|()| Err(Failure::Timeout)),
                }
            })
            .await?;
            let Some(frame) = frame else { break };
            bytes = bytes.saturating_add(frame.data_ref().map_or(0, |data| data.len() as u64));
            if bytes > BODY_BYTES_MAX {
                return Err(Failure::Body);
            }
            if self.alarm.is_over() {
                return Err(Failure::Timeout);
            }
        }
        Ok(bytes)
    }
}

enum Unanswered {
    NotWritten,
    Failed(Failure),
}

fn connect_failure(error: &io::Error) -> Failure {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::ADDRNOTAVAIL | Errno::NOBUFS | Errno::NOMEM) => {
            Failure::OutOfResources
        }
        _ => Failure::Connect,
    }
}

fn answer_failure(error: &hyper::Error) -> Failure {
    if error.is_parse() { Failure::Malformed } else { Failure::Closed }
}

/// A deadline that moves with every request without touching the timer each time: the timer is only asked when it rings.
struct Alarm {
    sleep: Pin<Box<Sleep>>,
    deadline: Instant,
    polls: u8,
}

impl Alarm {
    fn new() -> Self {
        let deadline = Instant::now();
        Self { sleep: Box::pin(tokio::time::sleep_until(deadline)), deadline, polls: 0 }
    }

    fn set(&mut self, deadline: Instant) {
        self.deadline = deadline;
        if self.sleep.is_elapsed() || self.sleep.deadline() > deadline {
            self.sleep.as_mut().reset(deadline);
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // A server that never stops sending uses up what a task may do at a time, and the timer would never get its turn.
        self.polls = self.polls.wrapping_add(1);
        if self.polls.is_multiple_of(POLLS_PER_CLOCK) && self.is_over() {
            return Poll::Ready(());
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            if self.deadline <= self.sleep.deadline() {
                return Poll::Ready(());
            }
            let deadline = self.deadline;
            self.sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
