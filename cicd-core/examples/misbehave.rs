//! A program that misbehaves in the way it is asked to; the process tests run it.

#![expect(clippy::disallowed_methods, reason = "it starts grandchildren, which is what is being tested")]

use std::io::{self, Read as _, Write as _};
use std::process::{Command, Stdio, exit};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Longer than any test waits, short enough that nothing is left for ever should a test break.
const LONG: Duration = Duration::from_secs(60);

fn main() -> io::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["exit", code] => exit(code.parse().unwrap_or(99)),
        ["raise", signal] => {
            signal_hook::low_level::raise(signal.parse().unwrap_or(9))?;
        }
        ["stop-beside-chatter", pause_ms, to] => {
            chatter(pause_ms, to)?;
            signal_hook::low_level::raise(signal_hook::consts::SIGSTOP)?;
        }
        ["chatter", pause_ms] => {
            let pause = Duration::from_millis(pause_ms.parse().unwrap_or(100));
            loop {
                println!("going on");
                std::thread::sleep(pause);
            }
        }
        ["sleep"] => std::thread::sleep(LONG),
        ["ignore-signals"] => {
            ignore_signals()?;
            println!("ready");
            std::thread::sleep(LONG);
        }
        ["leave-grandchild"] => {
            grandchild(Stdio::inherit())?;
            println!("done");
        }
        ["leave-silent-grandchild"] => {
            println!("{}", grandchild(Stdio::null())?);
        }
        ["leave-session"] => {
            session(Stdio::inherit())?;
            println!("done");
        }
        ["leave-silent-session"] => {
            session(Stdio::null())?;
        }
        ["new-session"] => {
            rustix::process::setsid()?;
            ignore_signals()?;
            std::thread::sleep(LONG);
        }
        ["close-output"] => {
            ignore_signals()?;
            rustix::stdio::dup2_stdout(std::fs::File::open("/dev/null")?)?;
            rustix::stdio::dup2_stderr(std::fs::File::open("/dev/null")?)?;
            std::thread::sleep(LONG);
        }
        ["take-back"] => take_back()?,
        ["flood", megabytes] => flood(megabytes.parse().unwrap_or(1))?,
        ["one-line", megabytes] => {
            let block = vec![b'x'; 1 << 20];
            for _ in 0..megabytes.parse().unwrap_or(1) {
                io::stdout().write_all(&block)?;
            }
        }
        ["hostile"] => {
            let lines: &[u8] = b"\xff\xfe\x00\rover\n\x1b]0;title\x07\n::error::injected\n  ::set-output name=a::b\nx ##[error]y\n\x1b[31m##vso[task.complete]\n###teamcity[x]\n::add-mask::y\r::error::z\n";
            io::stdout().write_all(lines)?;
            io::stderr().write_all(lines)?;
            exit(1);
        }
        ["print-variable", name] => {
            let value = std::env::vars().find(|(known, _)| known == name).map(|(_, value)| value);
            println!("{}", value.unwrap_or_else(|| "not set".to_owned()));
        }
        ["bytes"] => io::stdout().write_all(b"\xff\xfe\x00 no line end")?,
        ["read-input"] => {
            let mut input = String::new();
            io::stdin().read_to_string(&mut input)?;
            println!("{} bytes", input.len());
        }
        ["say", text] => {
            println!("{text}");
            eprintln!("{text}");
        }
        _ => exit(98),
    }
    Ok(())
}

fn ignore_signals() -> io::Result<()> {
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    Ok(())
}

fn grandchild(output: Stdio) -> io::Result<u32> {
    let child =
        Command::new(std::env::current_exe()?).arg("ignore-signals").stdout(output).stderr(Stdio::null()).spawn()?;
    Ok(child.id())
}

/// A grandchild that goes on to say something to standard output or error.
fn chatter(pause_ms: &str, to: &str) -> io::Result<()> {
    let mut child = Command::new(std::env::current_exe()?);
    child.args(["chatter", pause_ms]);
    if to == "stderr" {
        child.stdout(io::stderr());
    }
    child.spawn().map(drop)
}

/// A grandchild that leaves the group: a daemon.
fn session(output: Stdio) -> io::Result<()> {
    let mut child = Command::new(std::env::current_exe()?);
    child.arg("new-session").stdin(Stdio::null()).stdout(output).stderr(Stdio::null()).spawn()?;
    // It is given the time to leave before its parent ends and the group with it.
    std::thread::sleep(Duration::from_millis(200));
    Ok(())
}

/// Writes to both outputs while the first piece is still being looked at, and takes back one of them while the other one is.
fn take_back() -> io::Result<()> {
    println!("first");
    std::thread::sleep(Duration::from_millis(200));
    println!("second");
    eprintln!("taken back");
    std::thread::sleep(Duration::from_millis(700));
    let _ = std::fs::File::open("/proc/self/fd/2")?.read(&mut [0; 64])?;
    std::thread::sleep(Duration::from_secs(5));
    eprintln!("long after the deadline");
    Ok(())
}

fn flood(megabytes: usize) -> io::Result<()> {
    let line = [b"x".repeat(75), b"\n".to_vec()].concat();
    let block = line.repeat((1 << 20) / line.len());
    let mut out = io::stdout().lock();
    for _ in 0..megabytes {
        out.write_all(&block)?;
    }
    Ok(())
}
