//! What `docker build --progress plain` prints: one numbered vertex for each piece of work.

use std::collections::BTreeMap;

/// A build, as its log tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BuildLog {
    /// Every vertex by its number.
    pub vertices: BTreeMap<u32, Vertex>,
    /// The id after `writing image`, if the engine wrote one.
    pub written_image: Option<String>,
}

/// One piece of work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    /// Its name, such as `[builder 2/3] RUN make`.
    pub name: String,
    /// How it ended, as far as the log says.
    pub end: VertexEnd,
    /// The builder's error, if it told one.
    pub error: Option<String>,
}

/// Where an instruction stands, as the builder counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepPlace<'a> {
    /// The name of its stage; nothing where there is but one.
    pub stage: Option<&'a str>,
    /// Its place in the stage, from 1.
    pub number: usize,
    /// How many places the stage has.
    pub total: usize,
}

/// An instruction whose command ended with an exit code other than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedCommand<'a> {
    /// The number of its vertex.
    pub vertex: u32,
    /// The instruction, such as `RUN make`.
    pub instruction: &'a str,
    /// Its place in the Dockerfile.
    pub place: Option<StepPlace<'a>>,
    /// What its command ended with.
    pub exit_code: i32,
}

/// How a vertex ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VertexEnd {
    /// Its result was taken from the cache.
    Cached,
    /// It failed or was cancelled.
    Failed,
    /// It was worked on to its end.
    Done,
    /// It was worked on, and the log does not tell its end: output without a final line feed hides the `DONE` after it.
    Started,
}

/// What kind of work a vertex is, from its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VertexKind<'a> {
    /// Work of the builder itself: reading the Dockerfile, sending the context, looking images up.
    Internal,
    /// An image that a stage starts from; the value is its reference. Its content is named by a digest or an id, so that
    /// finding it in the engine says nothing about the freshness of what is built on it.
    Base(&'a str),
    /// An instruction, such as `RUN` or `COPY`.
    Instruction,
    /// Writing the result.
    Export,
    /// Anything else, such as a download for `ADD`.
    Other,
}

impl Vertex {
    /// What kind of work it is.
    #[must_use]
    pub fn kind(&self) -> VertexKind<'_> {
        let name = self.name.as_str();
        if let Some((place, instruction)) = name.strip_prefix('[').and_then(|rest| rest.split_once("] ")) {
            return match instruction.strip_prefix("FROM ") {
                _ if matches!(place, "internal" | "auth") => VertexKind::Internal,
                Some(base) => VertexKind::Base(base.trim()),
                None => VertexKind::Instruction,
            };
        }
        if name.starts_with("exporting to ") {
            VertexKind::Export
        } else if FRONTENDS.iter().any(|start| name.starts_with(start)) {
            VertexKind::Internal
        } else {
            VertexKind::Other
        }
    }
}

const IMAGE_SCHEME: &str = "docker-image://";
/// How the builder says that it looks up, and then runs, another program to read the Dockerfile.
const FRONTENDS: [&str; 2] = ["resolve image config for ", IMAGE_SCHEME];

/// How the builder words the end of a command, as the start and the end of its error: Docker 20.10, then newer ones.
const COMMAND_ENDS: [(&str, &str); 2] =
    [("executor failed running [", "]: exit code: "), ("process \"", "\" did not complete successfully: exit code: ")];

impl Vertex {
    /// The exit code of its command. Nothing where something else failed it: the engine, the network, a file that is not there.
    fn exit_code(&self) -> Option<i32> {
        let error = self.error.as_deref()?;
        let code = COMMAND_ENDS.iter().find_map(|(start, end)| {
            let (_, code) = error.strip_prefix(start)?.rsplit_once(end)?;
            Some(code)
        });
        code?.parse().ok()
    }

    /// `[builder 2/3] RUN make` in two parts.
    fn place(&self) -> Option<(Option<StepPlace<'_>>, &str)> {
        let (place, instruction) = self.name.strip_prefix('[')?.split_once("] ")?;
        let mut words = place.split(' ').rev();
        let counted = words.next().and_then(|count| {
            let (number, total) = count.split_once('/')?;
            Some((number.parse().ok()?, total.parse().ok()?))
        });
        // A platform may stand before the name of the stage.
        let stage = words.next().filter(|word| !word.contains('/'));
        Some((counted.map(|(number, total)| StepPlace { stage, number, total }), instruction))
    }
}

impl BuildLog {
    /// The instruction whose own command failed the build; nothing where anything else failed as well, apart from what was
    /// cancelled because of it.
    #[must_use]
    pub fn failed_command(&self) -> Option<FailedCommand<'_>> {
        let told = |vertex: &Vertex| vertex.error.as_deref().is_some_and(|error| !error.ends_with("context canceled"));
        let mut failed = self.vertices.iter().filter(|(_, vertex)| told(vertex));
        let ((&number, vertex), None) = (failed.next()?, failed.next()) else { return None };
        let exit_code = vertex.exit_code().filter(|_| vertex.kind() == VertexKind::Instruction)?;
        let (place, instruction) = vertex.place()?;
        Some(FailedCommand { vertex: number, instruction, place, exit_code })
    }

    /// The last `count` lines that the command of a vertex printed, without the times before them.
    #[must_use]
    pub fn last_output(log: &[u8], vertex: u32, count: usize) -> Vec<String> {
        let lines = log.split(|&byte| byte == b'\n').rev().map(String::from_utf8_lossy);
        let output = lines.filter_map(|line| {
            let (_, rest) = numbered(&line).filter(|(number, rest)| *number == vertex && is_output(rest))?;
            Some(rest.split_once(' ').map_or("", |(_, text)| text).to_owned())
        });
        let mut last: Vec<String> = output.take(count).collect();
        last.reverse();
        last
    }

    /// Reads a log. Lines that are not the builder's own are passed over: whatever a command prints is prefixed by the number
    /// of its vertex and a time, so it cannot pass for a line of the builder.
    #[must_use]
    pub fn parse(log: &[u8]) -> Self {
        let mut read = Self::default();
        for line in log.split(|&byte| byte == b'\n') {
            let line = String::from_utf8_lossy(line);
            if let Some((index, rest)) = numbered(&line) {
                read.take(index, rest);
            }
        }
        read
    }

    fn take(&mut self, index: u32, rest: &str) {
        if is_output(rest) || rest == "..." || is_digest_line(rest) {
            return;
        }
        let Some(vertex) = self.vertices.get_mut(&index) else {
            self.vertices.insert(index, Vertex { name: rest.to_owned(), end: VertexEnd::Started, error: None });
            return;
        };
        if rest == "CACHED" {
            vertex.end = VertexEnd::Cached;
        } else if rest == "CANCELED" {
            vertex.end = VertexEnd::Failed;
        } else if let Some(error) = rest.strip_prefix("ERROR: ") {
            vertex.end = VertexEnd::Failed;
            vertex.error = Some(error.to_owned());
        } else if rest.starts_with("DONE ") {
            vertex.end = VertexEnd::Done;
        } else if vertex.kind() == VertexKind::Export
            && let Some(id) = rest.strip_prefix("writing image ")
        {
            self.written_image = Some(id.split(' ').next().unwrap_or(id).to_owned());
        }
    }

    /// The references for which the builder asked what they are: every image that is not a stage of the Dockerfile.
    pub fn looked_up(&self) -> impl Iterator<Item = &str> {
        let name = |vertex: &'_ Vertex| vertex.name.starts_with("[internal] load metadata for ");
        self.vertices.values().filter(move |vertex| name(vertex)).filter_map(|vertex| vertex.name.rsplit(' ').next())
    }

    /// The references of the programs that read the Dockerfile, as the builder itself names them. Nothing in a Dockerfile has the
    /// builder run one without a word of it here.
    pub fn frontends(&self) -> impl Iterator<Item = &str> {
        self.vertices.values().filter_map(|vertex| {
            let name = FRONTENDS.iter().find_map(|start| vertex.name.strip_prefix(start))?;
            Some(name.strip_prefix(IMAGE_SCHEME).unwrap_or(name).trim())
        })
    }

    /// Whether the log goes on to the end of a build, where the image has been exported.
    #[must_use]
    pub fn exported(&self) -> bool {
        self.vertices.values().any(|vertex| vertex.kind() == VertexKind::Export && vertex.end == VertexEnd::Done)
    }
}

/// Splits `#12 rest`.
fn numbered(line: &str) -> Option<(u32, &str)> {
    let (index, rest) = line.strip_prefix('#')?.split_once(' ')?;
    Some((index.parse().ok().filter(|_| index.bytes().all(|b| b.is_ascii_digit()))?, rest))
}

/// A line that a command printed: `0.195 text`. Seconds are cut to five characters, so `1234. text` is one too.
fn is_output(rest: &str) -> bool {
    let time = rest.split(' ').next().unwrap_or(rest);
    time.contains('.')
        && time.starts_with(|c: char| c.is_ascii_digit())
        && time.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// The digest of the vertex, which Docker 20.10 prints after its name, or the progress of a layer.
fn is_digest_line(rest: &str) -> bool {
    rest.starts_with("sha256:")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH_HOSTILE: &[u8] = include_bytes!("../../tests/data/docker/build-fresh-hostile.log");
    const CACHED: &[u8] = include_bytes!("../../tests/data/docker/build-cached.log");
    const FAILED: &[u8] = include_bytes!("../../tests/data/docker/build-failed.log");
    const FAILED_STAGE: &[u8] = include_bytes!("../../tests/data/docker/build-failed-stage.log");
    const FAILED_BESIDE: &[u8] = include_bytes!("../../tests/data/docker/build-failed-beside.log");
    const BUILDX: &[u8] = include_bytes!("../../tests/data/docker/build-buildx-style.log");

    fn ends(log: &BuildLog, kind: VertexKind<'_>) -> Vec<(u32, VertexEnd)> {
        log.vertices.iter().filter(|(_, v)| v.kind() == kind).map(|(&index, v)| (index, v.end)).collect()
    }

    #[test]
    fn what_commands_print_cannot_pass_for_the_builders_own_lines() {
        let log = BuildLog::parse(FRESH_HOSTILE);
        let instructions = ends(&log, VertexKind::Instruction);
        let [hidden, done] = [VertexEnd::Started, VertexEnd::Done];
        assert_eq!(instructions, [(5, hidden), (6, hidden), (7, done), (9, done)]);
        assert_eq!(log.vertices.len(), 10);
        assert!(log.exported());
        assert_eq!(
            log.written_image.as_deref(),
            Some("sha256:aeae8db3cef9d4f4b9742cc227ba151c56bad8999e0e29579c7e95b1ca3174ba")
        );
        assert_eq!(log.looked_up().collect::<Vec<_>>(), ["docker.io/library/cicd-base:plain"]);
    }

    #[test]
    fn cached_instructions_are_told_from_a_base_that_is_there() {
        let log = BuildLog::parse(CACHED);
        let instructions = ends(&log, VertexKind::Instruction);
        assert_eq!(instructions, [5, 6, 7, 9].map(|index| (index, VertexEnd::Cached)));
        let fresh = BuildLog::parse(FRESH_HOSTILE);
        let base = VertexKind::Base("docker.io/library/cicd-base:plain");
        assert_eq!(ends(&fresh, base), [(4, VertexEnd::Cached)]);
    }

    #[test]
    fn a_failed_build_exports_nothing() {
        let log = BuildLog::parse(FAILED);
        assert!(!log.exported());
        assert_eq!(ends(&log, VertexKind::Instruction), [(5, VertexEnd::Failed)]);
    }

    #[test]
    fn a_command_that_failed_is_told_from_everything_else() {
        let log = BuildLog::parse(FAILED_STAGE);
        let place = StepPlace { stage: Some("builder"), number: 4, total: 4 };
        let failed = log.failed_command().expect("a failed command");
        assert_eq!((failed.vertex, failed.place, failed.exit_code), (7, Some(place), 7));
        assert!(failed.instruction.starts_with("RUN echo"), "{failed:?}");
        assert_eq!(BuildLog::last_output(FAILED_STAGE, 7, 2), ["oops", "last"]);
        let beside = BuildLog::parse(FAILED_BESIDE);
        assert_eq!(beside.failed_command().map(|failed| failed.exit_code), Some(3));

        let text = String::from_utf8_lossy(FAILED);
        let with = |error: &str| {
            let error = format!("#5 ERROR: {error}\n");
            let text = text
                .replace("#5 ERROR: executor failed running [/bin/sh -c echo oops; exit 7]: exit code: 7\n", &error);
            BuildLog::parse(text.as_bytes()).failed_command().map(|failed| failed.exit_code)
        };
        assert_eq!(with("process \"/bin/sh -c exit 9\" did not complete successfully: exit code: 9"), Some(9));
        for other in [
            "executor failed running [/bin/sh -c exit 7]: runc did not terminate successfully",
            "failed to compute cache key: \"/nothing\" not found: not found",
            "Get \"http://x/\": dial tcp: lookup x: no such host",
            "executor failed running [/bin/sh -c exit 7]: exit code: ",
            "context canceled",
        ] {
            assert_eq!(with(other), None, "{other}");
        }
        let two = format!("{text}#9 [x 2/2] COPY a b\n#9 ERROR: no space left on device\n");
        assert_eq!(BuildLog::parse(two.as_bytes()).failed_command(), None, "two things failed");
    }

    #[test]
    fn newer_logs_are_read_alike() {
        let log = BuildLog::parse(BUILDX);
        assert_eq!(ends(&log, VertexKind::Instruction), [(7, VertexEnd::Done), (8, VertexEnd::Cached)]);
        assert!(log.exported());
    }

    #[test]
    fn every_cut_of_a_log_is_read_without_a_false_export() {
        for cut in 0..FRESH_HOSTILE.len() - "DONE 0.0s\n".len() {
            assert!(!BuildLog::parse(&FRESH_HOSTILE[..cut]).exported(), "cut at {cut}");
        }
    }

    #[test]
    fn noise_is_passed_over() {
        for noise in ["", "#", "# ", "#x y", "#99999999999 name", "#-1 name", "#+1 name", "\u{0}\u{fffd}", "CACHED"] {
            assert_eq!(BuildLog::parse(noise.as_bytes()), BuildLog::default(), "{noise:?}");
        }
        assert_eq!(BuildLog::parse(b"#1 CACHED\n").vertices.len(), 1);
    }
}
