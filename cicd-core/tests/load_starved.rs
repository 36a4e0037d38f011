//! A generator that the machine holds back must say so. It runs in a process of its own, which is this program with arguments.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use cicd_core::load::{LoadError, OpenPlan, Target, open_loop};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, setrlimit};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["generate", address, descriptors] => generate(address, descriptors.parse().expect("a number")),
        _ => {
            a_starved_generator_gives_an_invalid_measurement();
            the_same_generator_with_a_free_machine_gives_a_valid_one();
            too_few_file_descriptors_are_named();
            println!("3 tests of a starved generator passed");
        }
    }
}

/// Loads the server for 2 s with at most so many file descriptors, and prints what came of it.
fn generate(address: &str, descriptors: u64) {
    setrlimit(Resource::Nofile, Rlimit { current: Some(descriptors), maximum: Some(descriptors) }).expect("a limit");
    let target = Target::get(address.parse().expect("an address"), "/")
        .and_then(|target| target.expect_status(204))
        .expect("a target");
    let plan = OpenPlan { warm_up: Duration::ZERO, ..OpenPlan::new(200.0, Duration::from_secs(2)) };
    match open_loop(&target, &plan, &|| false) {
        Ok(measurement) => println!("valid: {} measured", measurement.latency.count),
        Err(LoadError::Invalid { why, .. }) => println!("invalid: {}", why.join("; ")),
        Err(error) => println!("error: {error}"),
    }
}

fn a_starved_generator_gives_an_invalid_measurement() {
    let server = server();
    let printed = run(server, 1024, |generator| {
        // A fifth of a processor, in periods of 100 ms, as a quota gives it.
        for _ in 0..15 {
            kill_process(generator, Signal::STOP).expect("the generator runs");
            std::thread::sleep(Duration::from_millis(80));
            kill_process(generator, Signal::CONT).expect("the generator runs");
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert!(printed.starts_with("invalid: the generator was late: "), "{printed}");
}

fn the_same_generator_with_a_free_machine_gives_a_valid_one() {
    let server = server();
    // Others may use the machine too; then the measurement is invalid, and is repeated.
    let printed: Vec<String> = (0..3).map(|_| run(server, 1024, |_| ())).collect();
    assert!(printed.iter().any(|line| line == "valid: 400 measured\n"), "{printed:?}");
}

fn too_few_file_descriptors_are_named() {
    let server = server();
    let printed = run(server, 64, |_| ());
    assert!(printed.starts_with("error: 100 connections need 164 file descriptors"), "{printed}");
}

#[expect(clippy::disallowed_methods, reason = "the generator is this very program, and signals are sent to it")]
fn run(server: SocketAddr, descriptors: u64, meanwhile: impl FnOnce(Pid)) -> String {
    let program = std::env::current_exe().expect("this program");
    let child = Command::new(program)
        .args(["generate", &server.to_string(), &descriptors.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the generator starts");
    meanwhile(Pid::from_child(&child));
    let Output { status, stdout, .. } = child.wait_with_output().expect("the generator ends");
    assert!(status.success(), "{status}");
    String::from_utf8(stdout).expect("text")
}

/// A server that answers at once; its threads end with this process.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut request = [0; 1024];
                // Requests come one at a time and are short, so each read is a request.
                while stream.read(&mut request).is_ok_and(|count| count > 0)
                    && stream.write_all(b"HTTP/1.1 204 So\r\n\r\n").is_ok()
                {}
            });
        }
    });
    address
}
