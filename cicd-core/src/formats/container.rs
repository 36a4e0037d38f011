use std::collections::BTreeMap;

use serde::Deserialize;

/// What `docker inspect --format '{{json .}}'` tells about a container, as far as it is needed. A field that is not there is an
/// error: every engine since 20.10 writes all of them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ContainerInspect {
    /// The container's id, 64 hexadecimal digits.
    #[serde(rename = "Id")]
    pub id: String,
    /// The id of the image it runs, `sha256:…`.
    #[serde(rename = "Image")]
    pub image: String,
    /// What it is doing.
    #[serde(rename = "State")]
    pub state: ContainerState,
    /// How often the engine has started it again.
    #[serde(rename = "RestartCount")]
    pub restarts: u64,
    #[serde(rename = "NetworkSettings")]
    network: Network,
}

/// What a container is doing.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ContainerState {
    /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
    #[serde(rename = "Status")]
    pub status: String,
    /// Whether its process lives.
    #[serde(rename = "Running")]
    pub running: bool,
    /// Whether it was killed for using more memory than it may.
    #[serde(rename = "OOMKilled")]
    pub out_of_memory: bool,
    /// The exit code of its process, once it has ended.
    #[serde(rename = "ExitCode")]
    pub exit_code: i64,
    /// Why the engine could not start it; empty otherwise.
    #[serde(rename = "Error")]
    pub error: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Network {
    #[serde(rename = "Ports")]
    ports: BTreeMap<String, Option<Vec<Binding>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Binding {
    #[serde(rename = "HostIp")]
    ip: String,
    #[serde(rename = "HostPort")]
    port: String,
}

impl ContainerInspect {
    /// Reads what the engine wrote.
    ///
    /// # Errors
    /// Text that is not the description of one container.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The port of the host's loopback interface behind which this TCP port of the container is.
    #[must_use]
    pub fn loopback_port(&self, container_port: u16) -> Option<u16> {
        let bindings = self.network.ports.get(&format!("{container_port}/tcp"))?.as_deref()?;
        bindings.iter().find(|binding| binding.ip == "127.0.0.1")?.port.parse().ok().filter(|port| *port != 0)
    }
}

impl ContainerState {
    /// What it is doing, in one line: `running`, `ended with exit code 3`.
    #[must_use]
    pub fn summary(&self) -> String {
        if self.running {
            return self.status.clone();
        }
        let killed = if self.out_of_memory { ", killed for using more memory than it may" } else { "" };
        let error = if self.error.is_empty() { String::new() } else { format!(": {}", self.error) };
        match self.status.as_str() {
            "exited" | "dead" => format!("ended with exit code {}{killed}{error}", self.exit_code),
            other => format!("is {other}{killed}{error}"),
        }
    }
}

/// What an image says about how to see that its container is healthy; see `HEALTHCHECK` in
/// <https://docs.docker.com/reference/dockerfile/#healthcheck>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCommand {
    /// The command line inside the container.
    pub command: Vec<String>,
    /// How long it may take.
    pub timeout: std::time::Duration,
}

#[derive(Deserialize)]
struct ImageConfig {
    #[serde(rename = "Healthcheck")]
    health: Option<RawHealth>,
    #[serde(rename = "Shell")]
    shell: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct RawHealth {
    #[serde(rename = "Test")]
    test: Option<Vec<String>>,
    #[serde(rename = "Timeout")]
    timeout_ns: Option<u64>,
}

impl HealthCommand {
    /// What the engine itself uses where the image names no timeout.
    const TIMEOUT_DEFAULT: std::time::Duration = std::time::Duration::from_secs(30);

    /// Reads the configuration of an image: `docker image inspect --format '{{json .Config}}'`. None where it has no health check.
    ///
    /// # Errors
    /// Text that is not such a configuration, and a kind of check that the engine does not know either.
    pub fn read(config: &str) -> Result<Option<Self>, serde_json::Error> {
        use serde::de::Error as _;
        let ImageConfig { health, shell } = serde_json::from_str(config)?;
        let Some(health) = health else { return Ok(None) };
        let command = match health.test.as_deref() {
            None | Some([]) => return Ok(None),
            Some([kind]) if kind == "NONE" => return Ok(None),
            Some([kind, command @ ..]) if kind == "CMD" && !command.is_empty() => command.to_vec(),
            Some([kind, line]) if kind == "CMD-SHELL" => {
                let shell = shell.filter(|shell| !shell.is_empty());
                let mut command = shell.unwrap_or_else(|| vec!["/bin/sh".to_owned(), "-c".to_owned()]);
                command.push(line.clone());
                command
            }
            Some(other) => return Err(serde_json::Error::custom(format!("{other:?} is not a health check"))),
        };
        let timeout = health.timeout_ns.filter(|ns| *ns > 0).map(std::time::Duration::from_nanos);
        Ok(Some(Self { command, timeout: timeout.unwrap_or(Self::TIMEOUT_DEFAULT) }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const RUNNING: &str = include_str!("../../tests/data/container/inspect-running.json");
    const EXITED: &str = include_str!("../../tests/data/container/inspect-exited.json");

    #[test]
    fn a_running_container_has_a_port_on_loopback() {
        let running = ContainerInspect::read(RUNNING).expect("recorded output");
        assert!(running.state.running && running.restarts == 0);
        assert_eq!(running.state.summary(), "running");
        assert_eq!(running.loopback_port(8080), Some(32769));
        assert_eq!(running.loopback_port(80), None);
        let outside = RUNNING.replace("\"HostIp\":\"127.0.0.1\"", "\"HostIp\":\"0.0.0.0\"");
        assert_eq!(ContainerInspect::read(&outside).expect("still a container").loopback_port(8080), None);
    }

    #[test]
    fn a_container_that_ended_says_how() {
        let exited = ContainerInspect::read(EXITED).expect("recorded output");
        assert_eq!(exited.state.summary(), "ended with exit code 3");
        assert_eq!(exited.loopback_port(8080), None);
        let killed = EXITED.replace("\"OOMKilled\":false", "\"OOMKilled\":true");
        assert!(ContainerInspect::read(&killed).expect("still a container").state.summary().contains("memory"));
    }

    #[test]
    fn a_part_of_a_description_is_none() {
        for end in (0..RUNNING.trim_end().len()).step_by(97).filter(|end| RUNNING.is_char_boundary(*end)) {
            assert!(ContainerInspect::read(&RUNNING[..end]).is_err(), "{end} bytes were accepted");
        }
        for field in ["Id", "Image", "Running", "ExitCode", "OOMKilled", "RestartCount", "Ports"] {
            let without = RUNNING.replace(&format!("\"{field}\":"), &format!("\"Not{field}\":"));
            let error = ContainerInspect::read(&without).expect_err(field).to_string();
            assert!(error.contains(field), "{error}");
        }
        assert!(ContainerInspect::read("[]").is_err());
    }

    #[test]
    fn health_checks_are_read_as_the_engine_reads_them() {
        let read = |config: &str| HealthCommand::read(config).expect(config);
        assert_eq!(read(r#"{"Healthcheck":null}"#), None);
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"Healthcheck":{"Test":["NONE"]}}"#), None);
        let exec = read(r#"{"Healthcheck":{"Test":["CMD","true"],"Interval":30000000000,"Timeout":3000000000}}"#);
        assert_eq!(exec, Some(HealthCommand { command: vec!["true".to_owned()], timeout: Duration::from_secs(3) }));
        let shell = read(r#"{"Healthcheck":{"Test":["CMD-SHELL","a | b"]}}"#).expect("a check");
        assert_eq!((shell.command, shell.timeout.as_secs()), (vec!["/bin/sh".into(), "-c".into(), "a | b".into()], 30));
        let bash = read(r#"{"Shell":["/bin/bash","-ec"],"Healthcheck":{"Test":["CMD-SHELL","x"]}}"#).expect("a check");
        assert_eq!(bash.command, ["/bin/bash", "-ec", "x"]);
        for bad in ["", "null", "[]", r#"{"Healthcheck":{"Test":["WHAT"]}}"#, r#"{"Healthcheck":{"Test":["CMD"]}}"#] {
            assert!(HealthCommand::read(bad).is_err(), "{bad} was accepted");
        }
    }
}
