use super::expand::{Arguments, expand};
use super::lines::{Instruction, KEYWORDS, flag, split, split_word, unquoted};
use super::uncontrolled::{self, Uncontrolled};

/// A Dockerfile, with its arguments filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    /// Every image that is taken from outside, in the order of the file.
    pub images: Vec<ImageUse>,
    /// Its stages, in the order of the file; there is at least one.
    pub stages: Vec<Stage>,
    /// What its instructions take from elsewhere than images and files that are known, in the order of the file.
    pub uncontrolled: Vec<Uncontrolled>,
}

/// One use of an image from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUse {
    /// The reference, arguments filled in.
    pub reference: String,
    /// What it is used for.
    pub kind: ImageUseKind,
    /// The line, from 1.
    pub line: u32,
}

/// What an image from outside is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageUseKind {
    /// A stage starts from it.
    Stage,
    /// Files are copied or mounted from it.
    Files,
    /// It is the program that reads the Dockerfile (`# syntax=`).
    Frontend,
}

/// One stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name in lower case, if it has one.
    pub name: Option<String>,
    /// What it starts from: a reference, `scratch`, or the name of an earlier stage.
    pub from: String,
    /// The line of its `FROM`, from 1.
    pub line: u32,
    /// How many of its own instructions make files: `RUN`, `COPY` and `ADD`.
    pub instructions: usize,
    /// Its instructions that the builder counts, in order: `RUN`, `COPY`, `ADD` and `WORKDIR`.
    pub counted: Vec<Counted>,
    /// The earlier stages it needs, by their place in the file, from 0.
    pub needs: Vec<usize>,
}

/// One instruction that the builder counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// `RUN`, `COPY`, `ADD` or `WORKDIR`.
    pub keyword: String,
    /// The line where it begins, from 1.
    pub line: u32,
}

/// A Dockerfile that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DockerfileError {
    /// There is no `FROM`.
    #[error("it has no FROM")]
    NoStage,
    /// An instruction cannot be read.
    #[error("line {line}: {problem}")]
    Instruction {
        /// The line, from 1.
        line: u32,
        /// What is wrong with it.
        problem: String,
    },
    /// A here-document has no end.
    #[error("line {line}: the here-document has no line {end:?}")]
    HereDocument {
        /// The line, from 1.
        line: u32,
        /// The word that would end it.
        end: String,
    },
}

/// Larger files are not written by people, and are refused.
const BYTES_MAX: usize = 1 << 20;

impl Dockerfile {
    /// Reads a Dockerfile. `arguments` are the build arguments; they win over the defaults in the file.
    ///
    /// # Errors
    /// When it has no stage, or when an image reference in it cannot be made out.
    pub fn parse(text: &str, arguments: &Arguments) -> Result<Self, DockerfileError> {
        if text.len() > BYTES_MAX {
            return Err(problem(1, format!("it has {} bytes, more than the {BYTES_MAX} that are read", text.len())));
        }
        let lines = split(text)?;
        let mut reader = Reader {
            given: arguments,
            known: arguments.clone(),
            read: Self { images: Vec::new(), stages: Vec::new(), uncontrolled: Vec::new() },
        };
        for (reference, line) in lines.frontends {
            // The directive's first word is the image.
            let reference = split_word(&reference).0.to_owned();
            reader.read.images.push(ImageUse { reference, kind: ImageUseKind::Frontend, line });
        }
        for instruction in &lines.instructions {
            reader.take(instruction)?;
        }
        if reader.read.stages.is_empty() { Err(DockerfileError::NoStage) } else { Ok(reader.read) }
    }

    /// How many instructions that make files lead to `target`, or to the last stage. `None` when there is no such stage.
    #[must_use]
    pub fn instructions_to(&self, target: Option<&str>) -> Option<usize> {
        let target = self.target(target)?;
        let mut needed = vec![false; self.stages.len()];
        let mut open = vec![target];
        while let Some(index) = open.pop() {
            if !std::mem::replace(needed.get_mut(index)?, true) {
                open.extend(&self.stages[index].needs);
            }
        }
        Some(self.stages.iter().zip(needed).filter(|(_, needed)| *needed).map(|(stage, _)| stage.instructions).sum())
    }

    /// The image that the shipped files of `target`, or of the last stage, are laid upon; `None` for `scratch`.
    #[must_use]
    pub fn root_of(&self, target: Option<&str>) -> Option<&str> {
        let mut stage = self.stages.get(self.target(target)?)?;
        // A stage can only start from an earlier one, so this ends.
        while let Some(&parent) = stage.needs.first().filter(|_| self.stage_named(&stage.from, stage.line).is_some()) {
            stage = self.stages.get(parent)?;
        }
        Some(stage.from.as_str()).filter(|from| *from != SCRATCH)
    }

    /// The line of the instruction that the builder calls number `number` of `total` in a stage; `stage` is nothing where there is
    /// but one. `None` where that cannot be told for sure: a base image may bring instructions of its own.
    #[must_use]
    pub fn line_of(&self, stage: Option<&str>, number: usize, total: usize, keyword: &str) -> Option<u32> {
        let stage = match stage {
            None => self.stages.first().filter(|_| self.stages.len() == 1)?,
            Some(name) => {
                let unnamed = name.strip_prefix("stage-").and_then(|index| index.parse().ok());
                let named = |stage: &&Stage| stage.name.as_deref() == Some(&name.to_ascii_lowercase());
                let unnamed =
                    unnamed.and_then(|index: usize| self.stages.get(index)).filter(|stage| stage.name.is_none());
                self.stages.iter().rfind(named).or(unnamed)?
            }
        };
        let is_counted = stage.from != SCRATCH && self.stage_named(&stage.from, stage.line).is_none();
        let before = usize::from(is_counted);
        let counted = (stage.counted.len() + before == total).then_some(&stage.counted)?;
        let instruction = counted.get(number.checked_sub(1 + before)?)?;
        (instruction.keyword == keyword).then_some(instruction.line)
    }

    fn target(&self, target: Option<&str>) -> Option<usize> {
        match target {
            None => self.stages.len().checked_sub(1),
            Some(name) => self
                .stages
                .iter()
                .position(|stage| stage.name.as_deref() == Some(&name.to_ascii_lowercase()))
                .or_else(|| name.parse().ok().filter(|&index| index < self.stages.len())),
        }
    }

    /// The last stage of that name before `line`.
    fn stage_named(&self, name: &str, line: u32) -> Option<usize> {
        let name = name.to_ascii_lowercase();
        self.stages.iter().rposition(|stage| stage.line < line && stage.name.as_ref() == Some(&name))
    }
}

const SCRATCH: &str = "scratch";

struct Reader<'a> {
    given: &'a Arguments,
    /// The arguments known outside of stages.
    known: Arguments,
    read: Dockerfile,
}

impl Reader<'_> {
    fn take(&mut self, instruction: &Instruction) -> Result<(), DockerfileError> {
        match instruction.keyword.as_str() {
            "ARG" if self.read.stages.is_empty() => self.argument(instruction),
            "FROM" => self.from(instruction),
            "RUN" | "COPY" | "ADD" => {
                self.files(instruction)?;
                self.count(instruction);
                Ok(())
            }
            "WORKDIR" => {
                self.count(instruction);
                Ok(())
            }
            "ONBUILD" => self.on_build(instruction),
            keyword if KEYWORDS.contains(&keyword) => Ok(()),
            keyword => Err(problem(instruction.line, format!("there is no instruction {keyword}"))),
        }
    }

    fn argument(&mut self, instruction: &Instruction) -> Result<(), DockerfileError> {
        let mut rest = instruction.rest.as_str();
        while !rest.is_empty() {
            let (word, after) = split_word(rest);
            let (name, default) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
            if let (None, Some(default)) = (self.given.get(name), default) {
                let value = expand(unquoted(default), &self.known)
                    .ok_or_else(|| problem(instruction.line, format!("the default of {name} cannot be made out")))?;
                self.known.insert(name.to_owned(), value);
            }
            rest = after;
        }
        Ok(())
    }

    fn from(&mut self, instruction: &Instruction) -> Result<(), DockerfileError> {
        let line = instruction.line;
        let (written, rest) = split_word(&instruction.rest);
        let name = match rest.split_whitespace().collect::<Vec<_>>().as_slice() {
            [] => None,
            [word, name] if word.eq_ignore_ascii_case("as") => Some(name.to_ascii_lowercase()),
            _ => return Err(problem(line, "expected FROM <image> [AS <name>]")),
        };
        let from = self.reference(written, line)?;
        let mut needs = Vec::new();
        match self.read.stage_named(&from, line) {
            Some(stage) => needs.push(stage),
            None if from == SCRATCH => {}
            None => self.read.images.push(ImageUse { reference: from.clone(), kind: ImageUseKind::Stage, line }),
        }
        self.read.stages.push(Stage { name, from, line, instructions: 0, counted: Vec::new(), needs });
        Ok(())
    }

    fn count(&mut self, instruction: &Instruction) {
        if let Some(stage) = self.read.stages.last_mut() {
            stage.counted.push(Counted { keyword: instruction.keyword.clone(), line: instruction.line });
        }
    }

    fn files(&mut self, instruction: &Instruction) -> Result<(), DockerfileError> {
        let line = instruction.line;
        self.read.uncontrolled.extend(uncontrolled::of(instruction));
        let froms: Vec<String> = instruction.flags.iter().filter_map(|(name, value)| source(name, value)).collect();
        for written in froms {
            self.files_from(&written, line)?;
        }
        match self.read.stages.last_mut() {
            Some(stage) => stage.instructions += 1,
            None => return Err(problem(line, format!("{} before the first FROM", instruction.keyword))),
        }
        Ok(())
    }

    /// Files come from an earlier stage, by name or by number, or from an image.
    fn files_from(&mut self, written: &str, line: u32) -> Result<(), DockerfileError> {
        let from = self.reference(written, line)?;
        let numbered = from.parse().ok().filter(|&index: &usize| index + 1 < self.read.stages.len());
        match numbered.or_else(|| self.read.stage_named(&from, line)) {
            Some(own) if own + 1 == self.read.stages.len() => {
                return Err(problem(line, "a stage cannot take files from itself"));
            }
            Some(earlier) => {
                if let Some(stage) = self.read.stages.last_mut() {
                    stage.needs.push(earlier);
                }
            }
            None if from == SCRATCH => {}
            None => self.read.images.push(ImageUse { reference: from, kind: ImageUseKind::Files, line }),
        }
        Ok(())
    }

    /// What is put off to a later build may name an image too.
    fn on_build(&mut self, instruction: &Instruction) -> Result<(), DockerfileError> {
        let (keyword, mut rest) = split_word(&instruction.rest);
        let mut flags = Vec::new();
        while let Some((name, value, after)) = flag(rest) {
            if let Some(from) = source(&name, &value) {
                self.files_from(&from, instruction.line)?;
            }
            flags.push((name, value));
            rest = after;
        }
        let (keyword, rest, line) = (keyword.to_ascii_uppercase(), rest.to_owned(), instruction.line);
        self.read.uncontrolled.extend(uncontrolled::of(&Instruction { keyword, flags, rest, line }));
        Ok(())
    }

    fn reference(&self, written: &str, line: u32) -> Result<String, DockerfileError> {
        let reference = expand(unquoted(written), &self.known)
            .ok_or_else(|| problem(line, format!("the image {written:?} cannot be made out")))?;
        if reference.is_empty() || reference.contains(char::is_whitespace) {
            return Err(problem(
                line,
                format!("{written:?} gives {reference:?}, which names no image: is an ARG missing?"),
            ));
        }
        Ok(reference)
    }
}

/// The image or stage that a flag takes files from: `--from=…`, `--mount=type=bind,from=…`.
fn source(name: &str, value: &str) -> Option<String> {
    match name.to_ascii_lowercase().as_str() {
        "from" => Some(value.to_owned()),
        "mount" => value.split(',').find_map(|part| {
            Some(part.split_once('=').filter(|(key, _)| key.eq_ignore_ascii_case("from"))?.1.to_owned())
        }),
        _ => None,
    }
}

fn problem(line: u32, problem: impl Into<String>) -> DockerfileError {
    DockerfileError::Instruction { line, problem: problem.into() }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
