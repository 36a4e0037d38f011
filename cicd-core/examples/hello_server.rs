//! A small HTTP server: what the load generator is measured against, and what is in the containers of the tests.
//!
//! `hello_server ADDRESS` answers at once, on two threads. Further words make it worse:
//! `slow MILLISECONDS`, `silent` (accepts and says nothing), `exit CODE` (ends at once), `end-after COUNT` (ends with code 9 after so
//! many answers). `hello_server health ADDRESS` asks a running one and ends with 0 if it answers.

use std::convert::Infallible;
use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::exit;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// One for each core of the smallest machine it is used on.
const THREADS: usize = 2;

#[derive(Debug, Clone, Copy)]
enum Behaviour {
    Answer,
    Slow(Duration),
    Silent,
    EndAfter(u64),
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["health", address] => health(address),
        [_, "exit", code] => {
            eprintln!("the setting GREETING is missing");
            exit(code.parse()?)
        }
        [address] => serve(address, Behaviour::Answer),
        [address, "slow", millis] => serve(address, Behaviour::Slow(Duration::from_millis(millis.parse()?))),
        [address, "silent"] => serve(address, Behaviour::Silent),
        [address, "end-after", count] => serve(address, Behaviour::EndAfter(count.parse()?)),
        _ => Err("usage: hello_server ADDRESS [slow MILLISECONDS | silent | exit CODE | end-after COUNT]".into()),
    }
}

fn health(address: &str) -> Result<(), Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut head = [0; 12];
    stream.read_exact(&mut head)?;
    if head.ends_with(b" 200") { Ok(()) } else { Err(String::from_utf8_lossy(&head).into()) }
}

fn serve(address: &str, behaviour: Behaviour) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let listener = listener.try_clone()?;
            Ok(std::thread::spawn(move || accept(listener, behaviour)))
        })
        .collect::<std::io::Result<_>>()?;
    for thread in threads {
        thread.join().map_err(|_| "a thread of the server panicked")??;
    }
    Ok(())
}

fn accept(listener: TcpListener, behaviour: Behaviour) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let service = service_fn(move |_| answer(behaviour));
            let connection = hyper::server::conn::http1::Builder::new()
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), service);
            // A peer that goes away ends its connection and nothing else.
            tokio::spawn(async move { drop(connection.await) });
        }
    })
}

async fn answer(behaviour: Behaviour) -> Result<Response<Full<Bytes>>, Infallible> {
    static ANSWERED: AtomicU64 = AtomicU64::new(0);
    match behaviour {
        Behaviour::Answer => {}
        Behaviour::Slow(time) => tokio::time::sleep(time).await,
        Behaviour::Silent => std::future::pending().await,
        Behaviour::EndAfter(count) => {
            if ANSWERED.fetch_add(1, Ordering::Relaxed) >= count {
                eprintln!("too much to do");
                exit(9);
            }
        }
    }
    Ok(Response::new(Full::new(Bytes::from_static(b"hello"))))
}
