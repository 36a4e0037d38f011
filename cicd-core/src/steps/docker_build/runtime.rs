use camino::Utf8Path;

use super::codes::ImageCode;
use crate::formats::ImageConfig;
use crate::formats::printable::printable;
use crate::model::{Finding, Level, Location, Severity, Target};

/// Below this, a port needs a right of root's.
const FIRST_PORT_OF_ALL: u32 = 1024;
/// Programs that read commands.
const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "ksh", "zsh", "busybox"];

/// What an image asks of whoever starts it.
pub(super) fn judge(config: &ImageConfig, dockerfile: &Utf8Path) -> Vec<Finding> {
    let warn = |code: ImageCode, message: String, target: &str| {
        Finding::new(code, message)
            .severity(Severity::Low)
            .level(Level::Warn)
            .at(Location::file(dockerfile))
            .target(Target::Name(printable(target)))
    };
    let mut findings = Vec::new();
    for port in &config.ports {
        let number = port.split('/').next().and_then(|number| number.parse::<u32>().ok());
        if number.is_some_and(|number| number < FIRST_PORT_OF_ALL) {
            let message = format!("it listens on port {}, for which it needs a right of root's", printable(port));
            findings.push(warn(ImageCode::Port, message, port));
        }
    }
    for volume in &config.volumes {
        let message = format!(
            "{} is kept outside the container, where nothing that was scanned says what it holds",
            printable(volume)
        );
        findings.push(warn(ImageCode::Volume, message, volume));
    }
    let program = config.program();
    let is_shell = |word: &&str| SHELLS.contains(&word.rsplit('/').next().unwrap_or(word));
    let reads_text = program.iter().any(|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'));
    // A shell that replaces itself by the program is none any more.
    let replaced = program.last().is_some_and(|text| text.trim_start().starts_with("exec "));
    if program.first().is_some_and(is_shell) && reads_text && !replaced {
        let message = format!("it is started by {}, which does not hand on signals", printable(program[0]));
        findings.push(warn(ImageCode::Shell, message, program[0]));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_asks_for_is_told() {
        let codes = |config: &ImageConfig| -> Vec<String> {
            judge(config, Utf8Path::new("Dockerfile")).iter().map(|finding| finding.code.to_string()).collect()
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let config = |ports: &[&str], volumes: &[&str], program: &[&str]| ImageConfig {
            ports: words(ports),
            volumes: words(volumes),
            entrypoint: words(program),
            ..ImageConfig::default()
        };
        assert_eq!(
            codes(&config(&["80/tcp"], &["/data"], &["/bin/sh", "-c", "app"])),
            ["IMG-020", "IMG-021", "IMG-022"]
        );
        assert_eq!(codes(&config(&["8080"], &[], &["/bin/sh", "-c", "exec app"])), Vec::<String>::new());
        assert_eq!(codes(&config(&["443/udp"], &[], &["bash", "-euc", "a; b"])), ["IMG-020", "IMG-022"]);
        assert_eq!(codes(&config(&[], &[], &["/app", "-c"])), Vec::<String>::new());
    }
}
