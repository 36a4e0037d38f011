//! A server that is busy for a moment, or for good: what uv and the runner make of it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Fault, Place, Seen, code, contains, table};

const WHEEL: &[u8] = include_bytes!("../data/python/tiny-1.0-py3-none-any.whl");
const SHA256: &str = "adf30d3e17d7f2857870475be5fe3e677d2b49c66623611f55ed2182d37f1b9d";
/// From the signal to the end: nothing has to be stopped.
const AT_ONCE: Duration = Duration::from_millis(1500);

/// A package index with one package, which answers so many requests for it with a status other than 200 first.
struct Index {
    address: std::net::SocketAddr,
    asked: Arc<AtomicU32>,
}

impl Index {
    fn start(refusals: u32, status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        // It ends with the test program.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away in the middle is not what is tested here.
                let _ = answer(stream, refusals, status, &counted);
            }
        });
        Self { address, asked }
    }

    /// The program, told to use this index and to leave trying again to the runner.
    fn command(&self, place: &Place, args: &[&str]) -> Command {
        let lock = format!("tiny==1.0 \\\n    --hash=sha256:{SHA256}\n");
        std::fs::write(place.root.join("tiny.txt"), lock).expect("written");
        let mut command = place.command(args);
        command
            .env("UV_DEFAULT_INDEX", format!("http://{}/simple", self.address))
            .env("UV_HTTP_RETRIES", "0")
            .env("UV_CACHE_DIR", place.root.join("uv-cache"))
            .env("NO_PROXY", "127.0.0.1");
        command
    }
}

fn answer(mut stream: TcpStream, refusals: u32, status: &str, asked: &AtomicU32) -> std::io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    request.read_line(&mut first)?;
    let mut header = String::new();
    while request.read_line(&mut header)? > 2 {
        header.clear();
    }
    let page = format!("<a href=\"/tiny-1.0-py3-none-any.whl#sha256={SHA256}\">tiny-1.0-py3-none-any.whl</a>");
    let (status, kind, body) = if !first.contains("/simple/") {
        ("200 OK", "application/octet-stream", WHEEL)
    } else if asked.fetch_add(1, Ordering::SeqCst) < refusals {
        (status, "text/plain", &[][..])
    } else {
        ("200 OK", "text/html", page.as_bytes())
    };
    let body = if first.starts_with("HEAD ") { &[][..] } else { body };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)
}

/// The headings of attempts in a log.
fn headings(log: &[u8]) -> usize {
    let text = String::from_utf8_lossy(log);
    text.lines().filter(|line| line.starts_with("========== attempt ") && line.ends_with("==========")).count()
}

fn run(place: &Place, index: &Index) -> (Seen, String) {
    let output = index.command(place, &["ci", "--only", "index", "--color", "never"]).output().expect("started");
    let seen = Seen::new(place, place.status("ci", "index"), code(output.status));
    (seen, String::from_utf8_lossy(&output.stdout).into_owned())
}

fn busy_twice(place: &Place) -> Seen {
    let index = Index::start(2, "429 Too Many Requests");
    let (seen, shown) = run(place, &index);
    let log = place.log("index");
    seen.require(headings(&log) == 3, "the log does not have three attempts")
        .require(String::from_utf8_lossy(&log).matches("429 Too Many Requests").count() >= 4, "the log lacks errors")
        .require(shown.contains("flaky index: passed on attempt 3; attempt 1: "), &shown)
        .require(shown.contains(", 1 flaky in "), &shown)
        .require(index.asked.load(Ordering::SeqCst) == 3, "uv did not ask three times")
}

fn never_well(place: &Place) -> Seen {
    let index = Index::start(u32::MAX, "503 Service Unavailable");
    let (seen, shown) = run(place, &index);
    seen.require(headings(&place.log("index")) == 3, "the log does not have three attempts")
        .require(place.reason("ci", "index").starts_with("after 3 attempts: "), &shown)
        .require(index.asked.load(Ordering::SeqCst) == 3, "uv did not ask three times")
}

fn not_found(place: &Place) -> Seen {
    let index = Index::start(u32::MAX, "404 Not Found");
    let (seen, _) = run(place, &index);
    seen.require(headings(&place.log("index")) == 1, "an answer was asked for again")
}

fn interrupted(place: &Place) -> Seen {
    let index = Index::start(u32::MAX, "503 Service Unavailable");
    let mut command = index.command(place, &["ci", "--only", "index-tomorrow"]);
    let mut child = command.stdout(std::process::Stdio::null()).spawn().expect("started");
    let events = place.root.join("target/ci/runs");
    let waits = || {
        let runs = std::fs::read_dir(&events).into_iter().flatten().flatten();
        let mut texts = runs.filter_map(|run| std::fs::read(run.path().join("events.ndjson")).ok());
        texts.any(|text| contains(&text, b"attempt_failed"))
    };
    let until = Instant::now() + Duration::from_secs(20);
    while !waits() {
        assert!(Instant::now() < until, "the first attempt did not fail");
        std::thread::sleep(Duration::from_millis(10));
    }
    let started = Instant::now();
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("not zero");
    kill_process(pid, Signal::INT).expect("it runs");
    let exit = child.wait().expect("it ends");
    let took = started.elapsed();
    Seen::new(place, place.status("ci", "index-tomorrow"), code(exit))
        .require(took < AT_ONCE, &format!("it took {took:?}"))
        .require(place.reason("ci", "index-tomorrow").contains("cancelled before attempt 2"), "not told so")
}

/// A retry that the pipeline asks for is shown where every other exception is.
fn asked_for(place: &Place) -> Seen {
    let output = place.run(&["ci", "--only", "moody", "--color", "never"]);
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let listed = place.run(&["exceptions"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let plan = place.run(&["plan"]);
    let plan = String::from_utf8_lossy(&plan.stdout).into_owned();
    let until = jiff::Zoned::now().date().saturating_add(jiff::Span::new().days(60));
    Seen::new(place, place.status("ci", "moody"), code(output.status))
        .require(shown.contains(&format!("exempted moody: RTY-001 until {until} by @example/web")), &shown)
        .require(shown.contains("flaky moody: passed on attempt 2; attempt 1: ") && shown.contains("SIGABRT"), &shown)
        .require(listed.contains(&format!("{until}  RTY-001  @example/web")), &listed)
        .require(
            plan.contains("moody") && plan.contains(&format!("up to 2 attempts until {until} by @example/web")),
            &plan,
        )
}

const FAULTS: &[Fault] = &[
    Fault { name: "package index is busy twice, then answers", status: "flaky", exit: 0, run: busy_twice },
    Fault { name: "package index is never well", status: "error", exit: 3, run: never_well },
    Fault { name: "package index has no such package", status: "error", exit: 3, run: not_found },
    Fault { name: "ends by a signal, may be tried again", status: "flaky", exit: 0, run: asked_for },
    Fault { name: "SIGINT between two attempts", status: "cancelled", exit: 130, run: interrupted },
];

#[test]
fn networks_that_fail() {
    table("faults of networks", FAULTS, Place::new);
}
