use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use crate::docker::{QUERY_DEADLINE, docker};
use crate::step::{Context, StepError};

/// The state of a socket that listens, in `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// What listens on a port of any address of this machine, or none if it is free. It may still be taken before the step that
/// needs it begins; that step says so then.
pub(super) fn holder(cx: &Context, port: u16) -> Result<Option<String>, StepError> {
    if !is_taken(port)? {
        return Ok(None);
    }
    let filter = format!("publish={port}");
    let query = docker(["ps", "--filter", &filter, "--format", "{{.Names}}"]).deadline(QUERY_DEADLINE);
    let captured = cx.run_ok(&query)?;
    let containers: Vec<_> = captured.stdout_text()?.lines().map(|name| format!("the container {name}")).collect();
    if !containers.is_empty() {
        return Ok(Some(containers.join(" and ")));
    }
    // What the system does not show belongs to another user, or to another name space of processes.
    Ok(Some(listening_process(port).unwrap_or_else(|| "something that this user cannot see".to_owned())))
}

fn is_taken(port: u16) -> Result<bool, StepError> {
    for address in [SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)), SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))] {
        match TcpListener::bind(address) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(true),
            // A machine without IPv6 has no such ports.
            Err(_) if address.is_ipv6() => {}
            Err(error) => {
                return Err(StepError::not_looked(
                    format!("port {port} cannot be tried: {error}"),
                    "choose one from 1024 upwards, or run as a user who may listen on it",
                ));
            }
        }
    }
    Ok(false)
}

/// The process that listens on a port, as in `process 4711 (python3)`.
fn listening_process(port: u16) -> Option<String> {
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| inodes(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let is_number = |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok());
    let mut processes = entries.filter(is_number).map(|entry| entry.path());
    let holder = processes.find(|process| {
        let files = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
        files
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|it| sockets.iter().any(|socket| it.as_os_str() == socket.as_str()))
    })?;
    let name = fs::read_to_string(holder.join("comm")).ok()?;
    Some(format!("process {} ({})", holder.file_name()?.display(), name.trim()))
}

/// The sockets that listen on a port, in the text of `/proc/net/tcp`.
fn inodes(table: &str, port: u16) -> Vec<String> {
    let suffix = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row.get(1).is_some_and(|local| local.ends_with(&suffix)) && row.get(3) == Some(&LISTENS))
        .filter_map(|row| row.get(9).map(|&inode| inode.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_taken_on_whatever_address_and_its_holder_is_named() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).expect("a port");
            let port = listener.local_addr().expect("an address").port();
            assert!(is_taken(port).expect("tried"), "{address}");
            let own = format!("process {} ", std::process::id());
            let holder = listening_process(port).expect("it is ours");
            assert!(holder.starts_with(&own), "{holder}");
            drop(listener);
            assert!(!is_taken(port).expect("tried"), "{address}");
        }
    }

    #[test]
    fn only_sockets_that_listen_hold_a_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4242 1\n   1: 0100007F:1F90 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 4243 1\n";
        assert_eq!(inodes(table, 8080), ["4242"]);
        assert!(inodes(table, 80).is_empty() && inodes("", 80).is_empty());
    }
}
