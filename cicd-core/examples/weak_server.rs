//! A server with every weakness that the HTTP checks know, for their tests. It is told apart from a good one by one word:
//! `weak_server ADDRESS` and `weak_server ADDRESS strong`. Further words: `ends` (ends at an unusual request) and `refuses` (its form
//! takes nothing).

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::process::exit;

/// What a request line and its headers take together; longer ones are refused by the strong one.
const HEAD_BYTES_MAX: usize = 8 << 10;
const FORM_BYTES_MAX: usize = 16 << 10;
const GOOD_HEADERS: &str = "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n\
                            X-Content-Type-Options: nosniff\r\nReferrer-Policy: same-origin\r\nServer: strong\r\n\
                            Strict-Transport-Security: max-age=31536000\r\n\
                            Set-Cookie: session=1; HttpOnly; Secure; SameSite=Lax\r\n";
const ALLOW_ORIGIN: &str = "Access-Control-Allow-Origin";
const ALLOW_CREDENTIALS: &str = "Access-Control-Allow-Credentials: true\r\n";

struct Request {
    method: String,
    path: String,
    /// Decoded.
    query: String,
    headers: BTreeMap<String, String>,
    head_bytes: usize,
    body: Vec<u8>,
}

struct Answer {
    status: u16,
    headers: String,
    body: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [address, words @ ..] = words.as_slice() else {
        return Err("usage: weak_server ADDRESS [strong] [ends] [refuses]".into());
    };
    let has = |word: &str| words.iter().any(|known| known == word);
    let (strong, ends, refuses) = (has("strong"), has("ends"), has("refuses"));
    let listener = TcpListener::bind(address)?;
    println!("listening on {}", listener.local_addr()?);
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::spawn(move || {
            let Ok(request) = read(&stream) else { return };
            if ends && request.method == "TRACE" {
                eprintln!("too strange");
                exit(9);
            }
            let answer = match (refuses && request.method == "POST", strong) {
                (true, _) => Answer { status: 403, headers: GOOD_HEADERS.to_owned(), body: "no".to_owned() },
                (false, true) => strong_answer(&request),
                (false, false) => weak_answer(&request),
            };
            // A peer that went away needs no answer.
            let _ = write(&stream, &answer);
        });
    }
    Ok(())
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    let mut head_bytes = reader.read_line(&mut line)?;
    let mut words = line.split_ascii_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        head_bytes += reader.read_line(&mut header)?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length: usize = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (path, query) = (decoded(path), decoded(query));
    Ok(Request { method, path, query, headers, head_bytes, body })
}

fn write(mut stream: &TcpStream, answer: &Answer) -> std::io::Result<()> {
    let Answer { status, headers, body } = answer;
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} So\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| u8::from_str_radix(&String::from_utf8_lossy(hex), 16).ok());
        let (byte, used) = match (first, hex) {
            (b'%', Some(byte)) => (byte, 2),
            (b'+', _) => (b' ', 0),
            (other, _) => (*other, 0),
        };
        bytes.push(byte);
        rest = &tail[used..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn strong_answer(request: &Request) -> Answer {
    let answer = |status, extra: &str, body: &str| Answer {
        status,
        headers: format!("{GOOD_HEADERS}Content-Type: text/html\r\n{extra}"),
        body: format!("<!doctype html><title>so</title>{body}"),
    };
    if request.head_bytes > HEAD_BYTES_MAX {
        return answer(431, "", "too long");
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/" | "/status") => answer(200, "", "hello"),
        ("POST", "/") if request.body.len() > FORM_BYTES_MAX => answer(413, "", "too long"),
        ("POST", "/") => answer(303, "Location: /\r\n", ""),
        ("OPTIONS", "/") => answer(200, "Allow: GET, HEAD, OPTIONS, POST\r\n", ""),
        ("OPTIONS", "/status") => answer(200, "Allow: GET, HEAD, OPTIONS\r\n", ""),
        (_, "/" | "/status") => answer(405, "Allow: GET\r\n", "no"),
        _ => answer(404, "", "not here"),
    }
}

fn weak_answer(request: &Request) -> Answer {
    let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
    let host = header("host");
    let input = format!("{} {}", request.query, decoded(&String::from_utf8_lossy(&request.body)));
    let mut headers = format!(
        "Server: Weak/1.2.3\r\nSet-Cookie: session=1\r\n{ALLOW_ORIGIN}: {}\r\n{ALLOW_CREDENTIALS}Content-Type: text/html\r\n",
        header("origin")
    );
    if request.method == "OPTIONS" {
        headers.push_str("Allow: GET, PUT, DELETE, TRACE\r\n");
    }
    let next = request.query.split('&').find_map(|pair| pair.strip_prefix("next="));
    if let Some(next) = next.filter(|next| !next.contains('<')) {
        headers.push_str(&format!("Location: {next}\r\n"));
        return Answer { status: 302, headers, body: String::new() };
    }
    let (status, body) = if input.contains('\0') {
        (500, "Traceback (most recent call last):\n  File \"/opt/app/weak.py\", line 1".to_owned())
    } else if input.contains("etc/passwd") || request.path.contains("etc/passwd") {
        (200, "root:x:0:0:root:/root:/bin/sh\n".to_owned())
    } else if request.path == "/static/" {
        (200, "<title>Index of /static/</title>".to_owned())
    } else {
        (200, format!("<p>You asked for {input}</p><a href=\"http://{host}/\">home</a>"))
    };
    Answer { status, headers, body }
}
