use super::DockerfileError;
use super::lines::{Instruction, split, split_word};

/// The instructions of a Dockerfile, to tell which of them made a layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSources {
    instructions: Vec<Instruction>,
}

impl LayerSources {
    /// Reads a Dockerfile.
    ///
    /// # Errors
    /// When a here-document in it has no end.
    pub fn parse(text: &str) -> Result<Self, DockerfileError> {
        Ok(Self { instructions: split(text)?.instructions })
    }

    /// The line, from 1, of the instruction that made the layer which the image's history says was `created_by`; of several equal
    /// ones the last, since the last stage is shipped.
    #[must_use]
    pub fn line_of(&self, created_by: &str) -> Option<u32> {
        let created_by = created_by.strip_suffix("# buildkit").unwrap_or(created_by);
        let (keyword, made) = split_word(created_by.trim());
        let made = plain(made);
        let made_it = |instruction: &&Instruction| {
            let written = plain(&instruction.rest);
            let same = match keyword {
                // The shell and the build arguments stand before the command.
                "RUN" => made.strip_suffix(&written).is_some_and(|shell| shell.is_empty() || shell.ends_with(" -c ")),
                _ => made == written,
            };
            instruction.keyword == keyword && !written.is_empty() && same
        };
        self.instructions.iter().rev().find(made_it).map(|instruction| instruction.line)
    }

    /// The line, from 1, of the `FROM` that the shipped stage starts with: where every layer comes from that no instruction made.
    #[must_use]
    pub fn base_line(&self) -> Option<u32> {
        self.instructions.iter().rev().find(|instruction| instruction.keyword == "FROM").map(|from| from.line)
    }

    /// The line, from 1, of the first instruction below `line`: what a comment there is about.
    #[must_use]
    pub fn line_after(&self, line: u32) -> Option<u32> {
        self.instructions.iter().map(|instruction| instruction.line).find(|&start| start > line)
    }
}

/// Without flags, and with one blank where there are several: the history keeps neither as they are written.
fn plain(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().skip_while(|word| word.starts_with("--")).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPENDENCIES: &str = include_str!("../../../../flask-app/deps.Dockerfile");
    const APPLICATION: &str = include_str!("../../../../flask-app/Dockerfile");

    fn line_starting(text: &str, start: &str) -> Option<u32> {
        text.lines().position(|line| line.starts_with(start)).and_then(|index| u32::try_from(index + 1).ok())
    }

    #[test]
    fn the_history_of_an_image_is_found_in_its_dockerfiles() {
        // As `docker history --no-trunc` tells it of an image of this repository.
        let apt = "RUN /bin/sh -c apt-get update     && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends         libpython3.11-stdlib=3.11.*         python3.11-minimal=3.11.*     && apt-get clean     && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log     && find / -xdev -type f -perm /6000 -exec chmod a-s {} + # buildkit";
        let run = "RUN |1 REVISION=f1c0420715eaa669d79823c52d45e534428665a2 /bin/sh -c printf '%s\\n' \"${REVISION}\" > REVISION     && chmod -R a+rX,go-w REVISION VERSION.txt gunicorn.conf.py myapplication     && python3.11 -m gunicorn --check-config # buildkit";
        let copy = "COPY myapplication myapplication # buildkit";
        let packages = "COPY /opt/app/site-packages /opt/app/site-packages # buildkit";
        let [dependencies, application] =
            [DEPENDENCIES, APPLICATION].map(|text| LayerSources::parse(text).expect("readable"));
        let shipped = DEPENDENCIES.rfind("RUN apt-get").expect("an instruction");
        let shipped = u32::try_from(DEPENDENCIES[..shipped].lines().count() + 1).expect("small");
        assert_eq!(dependencies.line_of(apt), Some(shipped));
        assert_eq!(dependencies.line_of(packages), line_starting(DEPENDENCIES, "COPY --from=builder"));
        assert_eq!(application.line_of(run), line_starting(APPLICATION, "RUN printf"));
        assert_eq!(application.line_of(copy), line_starting(APPLICATION, "COPY myapplication"));
        assert_eq!(application.line_of("WORKDIR /opt/app"), line_starting(APPLICATION, "WORKDIR"));
        for (sources, other) in [(&dependencies, copy), (&application, apt), (&application, ""), (&application, "RUN ")]
        {
            assert_eq!(sources.line_of(other), None, "{other}");
        }
        assert_eq!(application.base_line(), line_starting(APPLICATION, "FROM"));
        assert!(dependencies.base_line() > line_starting(DEPENDENCIES, "FROM"), "the last stage is shipped");
    }

    #[test]
    fn a_command_is_not_taken_for_the_end_of_another() {
        let sources = LayerSources::parse("FROM a\nRUN true\n").expect("readable");
        assert_eq!(sources.line_of("RUN /bin/bash -o pipefail -c true # buildkit"), Some(2));
        assert_eq!(sources.line_of("RUN /bin/sh -c false || true # buildkit"), None);
    }
}
