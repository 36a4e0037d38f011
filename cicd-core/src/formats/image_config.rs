//! The configuration of an image, as its archive has it
//! ([specification](https://github.com/opencontainers/image-spec/blob/main/config.md)).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

/// What an image does when it is started, and what made its layers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageConfig {
    /// The user it runs as; empty means root.
    pub user: String,
    /// The ports that it says it listens on, such as `8080/tcp`.
    pub ports: Vec<String>,
    /// The folders whose content is kept outside the container.
    pub volumes: Vec<String>,
    /// The environment, as `NAME=value`.
    pub environment: Vec<String>,
    /// The program it starts, and its first arguments.
    pub entrypoint: Vec<String>,
    /// The arguments, or the program where there is no entry point.
    pub command: Vec<String>,
    /// The folder it is started in.
    pub working_folder: String,
    /// The shell of its Dockerfile; empty means `/bin/sh -c`.
    pub shell: Vec<String>,
    /// The health check, as `CMD`, `CMD-SHELL` or `NONE` and what follows; empty where there is none.
    pub health_check: Vec<String>,
    /// How long it may take, where the image says so.
    pub health_timeout: Option<Duration>,
    /// What made each layer, from the bottom; empty where the history does not tell it for all of them.
    pub made_by: Vec<String>,
}

impl ImageConfig {
    /// Reads it; `layers` is how many layers the image has.
    ///
    /// # Errors
    /// What is not JSON of this form.
    #[expect(clippy::unwrap_or_default, reason = "engines leave out what is empty, and each value says so")]
    pub fn read(json: &[u8], layers: usize) -> Result<Self, String> {
        let file: File = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let config = file.config.unwrap_or(Config::default());
        let list = |list: Option<Vec<String>>| list.unwrap_or(Vec::new());
        let names = |map: Option<BTreeMap<String, serde::de::IgnoredAny>>| {
            map.map_or_else(Vec::new, |map| map.into_keys().collect())
        };
        let history = file.history.unwrap_or(Vec::new());
        let made: Vec<_> = history.into_iter().filter(|step| !step.empty_layer).map(|step| step.created_by).collect();
        Ok(Self {
            user: config.user.unwrap_or(String::new()),
            ports: names(config.exposed_ports),
            volumes: names(config.volumes),
            environment: list(config.env),
            entrypoint: list(config.entrypoint),
            command: list(config.cmd),
            working_folder: config.working_dir.unwrap_or(String::new()),
            shell: list(config.shell),
            health_timeout: config
                .healthcheck
                .as_ref()
                .and_then(|check| check.timeout)
                .filter(|nanos| *nanos > 0)
                .map(Duration::from_nanos),
            health_check: list(config.healthcheck.and_then(|check| check.test)),
            made_by: if made.len() == layers { made } else { Vec::new() },
        })
    }

    /// What it starts, as it would be typed.
    #[must_use]
    pub fn program(&self) -> Vec<&str> {
        self.entrypoint.iter().chain(&self.command).map(String::as_str).collect()
    }

    /// The value of a variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.iter().filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, v)| v)
    }

    /// The command that its health check runs in a container; nothing where there is none.
    #[must_use]
    pub fn health_command(&self) -> Option<Vec<String>> {
        let (kind, command) = self.health_check.split_first()?;
        match kind.as_str() {
            "CMD" if !command.is_empty() => Some(command.to_vec()),
            "CMD-SHELL" => {
                let shell: Vec<String> = match self.shell.is_empty() {
                    true => ["/bin/sh", "-c"].map(str::to_owned).to_vec(),
                    false => self.shell.clone(),
                };
                Some(shell.into_iter().chain(command.iter().cloned()).collect())
            }
            _ => None,
        }
    }
}

#[derive(Deserialize)]
struct File {
    config: Option<Config>,
    history: Option<Vec<Step>>,
}

#[derive(Deserialize)]
struct Step {
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    empty_layer: bool,
}

/// Newer engines leave out what is empty.
#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Config {
    user: Option<String>,
    exposed_ports: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    volumes: Option<BTreeMap<String, serde::de::IgnoredAny>>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    shell: Option<Vec<String>>,
    healthcheck: Option<Check>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Check {
    test: Option<Vec<String>>,
    /// In nanoseconds.
    timeout: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_does_is_read() {
        let text = r#"{"config":{"User":"10001","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin","A=b=c"],"Entrypoint":["/app"],
            "Cmd":["serve"],"WorkingDir":"/opt","Volumes":{"/data":{}},"Healthcheck":{"Test":["CMD-SHELL","curl x || exit 1"],"Timeout":90000000000}},
            "history":[{"created_by":"ADD x"},{"created_by":"ENV a","empty_layer":true},{"created_by":"RUN y"}]}"#;
        let config = ImageConfig::read(text.as_bytes(), 2).expect("readable");
        assert_eq!(config.program(), ["/app", "serve"]);
        assert_eq!(
            (config.ports.as_slice(), config.volumes.as_slice()),
            (&["80/tcp".to_owned()][..], &["/data".to_owned()][..])
        );
        assert_eq!((config.variable("A"), config.variable("B")), (Some("b=c"), None));
        assert_eq!(config.health_command().expect("one"), ["/bin/sh", "-c", "curl x || exit 1"]);
        assert_eq!(config.health_timeout, Some(Duration::from_secs(90)));
        assert_eq!(config.made_by, ["ADD x", "RUN y"]);
        assert_eq!(ImageConfig::read(text.as_bytes(), 3).expect("readable").made_by.len(), 0);
        assert_eq!(ImageConfig::read(b"{}", 0).expect("empty"), ImageConfig::default());
        assert!(ImageConfig::read(b"[]", 0).is_err());
    }
}
