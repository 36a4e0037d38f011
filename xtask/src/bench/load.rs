use std::error::Error;
use std::net::TcpListener;

use cicd_core::cli::Output;
use xshell::{Shell, cmd};

use super::contest::{Contender, contest};
use super::tools::{here, installed};

const ROUNDS: usize = 5;
const SECONDS: &str = "4";
const CONNECTIONS: &str = "50";

/// The rates that the open loop is tried at, in requests per second.
const RATES: [u32; 6] = [20_000, 40_000, 60_000, 80_000, 90_000, 100_000];

/// The load generator against oha and wrk on the same server: the highest closed-loop rate, and the open-loop rate it holds.
pub(super) fn rates(shell: &Shell) -> Result<(), Box<dyn Error>> {
    cmd!(shell, "cargo build --quiet --profile measured --package cicd-core --example hello_server --example load")
        .run()?;
    let (oha, examples) = (installed(shell, "oha")?, here(shell)?.join("target/measured/examples"));
    let (ours, server) = (examples.join("load"), examples.join("hello_server"));
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let server = Server(duct::cmd!(server.as_std_path(), &address).stdout_null().start()?);
    wait_for(&address)?;
    let url = format!("http://{address}/");
    let contenders = vec![
        Contender::new("oha", || {
            let report = cmd!(shell, "{oha} --no-tui --output-format json -z {SECONDS}s -c {CONNECTIONS} {url}")
                .quiet()
                .read()?;
            let report: serde_json::Value = serde_json::from_str(&report)?;
            Ok(report["summary"]["requestsPerSec"].as_f64().ok_or("oha reports no rate")? / 1e3)
        }),
        Contender::new("wrk", || {
            let report = cmd!(shell, "wrk -t2 -c{CONNECTIONS} -d{SECONDS}s {url}").quiet().read()?;
            let rate =
                report.lines().find_map(|line| line.strip_prefix("Requests/sec:")).ok_or("wrk reports no rate")?;
            Ok(rate.trim().parse::<f64>()? / 1e3)
        }),
        Contender::new("cicd-core", || {
            let report = cmd!(shell, "{ours} closed {address} {CONNECTIONS} {SECONDS}").quiet().read()?;
            Ok(report.split_whitespace().next().ok_or("no rate")?.parse::<f64>()? / 1e3)
        }),
    ];
    contest("closed loop, 50 connections, hello world (goal: above oha)", "k/s", ROUNDS, contenders)?;
    Output.say("\nopen loop: rates held at 99 % by a valid measurement\n");
    for rate in RATES {
        let rate = rate.to_string();
        let run =
            cmd!(shell, "{ours} open {address} {rate} {SECONDS}").quiet().ignore_status().ignore_stderr().output()?;
        let text = String::from_utf8_lossy(&run.stdout).trim().to_owned();
        let achieved = text.split_whitespace().next().unwrap_or("0").parse::<f64>()? / rate.parse::<f64>()?;
        let held = if run.status.success() && achieved >= 0.99 { "held" } else { "not held" };
        Output.say(&format!("  {rate:>7}/s  {held:8}  {text}\n"));
    }
    drop(server);
    Ok(())
}

/// A server that ends with the benchmark.
struct Server(duct::Handle);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        let _ = self.0.kill();
    }
}

fn wait_for(address: &str) -> Result<(), Box<dyn Error>> {
    for _ in 0..100 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Err(format!("the server at {address} did not start").into())
}
