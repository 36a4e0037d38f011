//! A server of the tests' own, one thread a connection, that can be as bad as needed.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// What the server does with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Behaviour {
    /// Answers at once, and keeps the connection.
    Answer,
    /// Answers and closes the connection, saying so.
    AnswerAndClose,
    /// Answers and closes the connection without saying so.
    AnswerAndHangUp,
    /// Answers after a time.
    Slow(Duration),
    /// Answers with this status.
    Status(u16),
    /// Closes with a reset.
    Reset,
    /// Shuts down its side of the connection and keeps reading.
    HalfClose,
    /// Says nothing.
    Silent,
    /// Sends one byte of the answer a second.
    Trickle,
    /// Promises more body than it sends.
    ShortBody,
    /// Sends a body that never ends.
    EndlessBody,
    /// Sends headers that never end.
    EndlessHead,
    /// Sends interim answers that never end.
    EndlessContinue,
    /// Sends something that is not HTTP.
    Garbage,
}

/// A running server; its threads end with the test's process.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    frozen: Arc<(Mutex<bool>, Condvar)>,
}

impl Server {
    pub(crate) fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let frozen = Arc::new((Mutex::new(false), Condvar::new()));
        let shared = Arc::clone(&frozen);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let frozen = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // The peer may go away at any time; that ends the connection and nothing else.
                    let _ = serve(stream, behaviour, &frozen);
                });
            }
        });
        Self { address, frozen }
    }

    /// Stops every connection for a time, whatever it is doing.
    pub(crate) fn freeze(&self, time: Duration) {
        let (frozen, thawed) = &*self.frozen;
        *frozen.lock().unwrap_or_else(PoisonError::into_inner) = true;
        std::thread::sleep(time);
        *frozen.lock().unwrap_or_else(PoisonError::into_inner) = false;
        thawed.notify_all();
    }
}

const HELLO: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

fn serve(mut stream: TcpStream, behaviour: Behaviour, frozen: &(Mutex<bool>, Condvar)) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 4096];
    let mut filled = 0;
    if matches!(behaviour, Behaviour::Reset) {
        // Closing while input is unread makes the system send a reset.
        stream.peek(&mut buffer)?;
        return Ok(());
    }
    loop {
        // No request of the tests is longer than the buffer.
        let count = stream.read(&mut buffer[filled..])?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        if !buffer[..filled].ends_with(b"\r\n\r\n") {
            continue;
        }
        filled = 0;
        let guard = frozen.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(frozen.1.wait_while(guard, |frozen| *frozen).unwrap_or_else(PoisonError::into_inner));
        match behaviour {
            Behaviour::Answer => stream.write_all(HELLO)?,
            Behaviour::AnswerAndClose => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello")?;
                return Ok(());
            }
            Behaviour::AnswerAndHangUp => return stream.write_all(HELLO),
            Behaviour::Slow(time) => {
                std::thread::sleep(time);
                stream.write_all(HELLO)?;
            }
            Behaviour::Status(status) => write!(stream, "HTTP/1.1 {status} So\r\ncontent-length: 0\r\n\r\n")?,
            Behaviour::Reset => return Ok(()),
            Behaviour::HalfClose => stream.shutdown(Shutdown::Write)?,
            Behaviour::Silent => {}
            Behaviour::Trickle => {
                for byte in HELLO {
                    stream.write_all(&[*byte])?;
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
            Behaviour::ShortBody => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\nhello")?;
                return Ok(());
            }
            Behaviour::EndlessBody => {
                stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")?;
                endless(&mut stream, format!("1000\r\n{}\r\n", "x".repeat(0x1000)).as_bytes())?;
            }
            Behaviour::EndlessHead => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
                endless(&mut stream, b"x-more: and more\r\n")?;
            }
            Behaviour::EndlessContinue => endless(&mut stream, b"HTTP/1.1 100 Continue\r\n\r\n")?,
            Behaviour::Garbage => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")?,
        }
    }
}

fn endless(stream: &mut TcpStream, piece: &[u8]) -> std::io::Result<()> {
    loop {
        stream.write_all(piece)?;
    }
}
