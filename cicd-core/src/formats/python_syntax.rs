//! What the syntax of Python sources says, as `python/syntax.py` writes it down.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

/// Why a file is taken for Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Claim {
    /// It says so: by its name, or by the interpreter that its first line names.
    Said,
    /// Its text looks so. Whether it is Python, Python's own parser knows.
    Guessed,
}

/// What one Python file holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PythonSyntax {
    /// Every statement, in the order of the file.
    pub statements: Vec<Statement>,
    /// Every block of statements: the body of a function, the `else` of a condition.
    pub blocks: Vec<Block>,
    /// Every function that a runner of tests takes for a test.
    pub tests: Vec<TestFunction>,
    /// What changes how tests run, or what no measurement of lines can see.
    pub marks: Vec<Mark>,
    /// Every lambda and generator expression.
    pub deferred: Vec<Deferred>,
}

/// Code that runs later than its line, if ever, and shows in it alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u32, String, bool)", into = "(u32, u32, String, bool)")]
pub struct Deferred {
    /// Its first line.
    pub first: u32,
    /// Its last line.
    pub last: u32,
    /// What it is.
    pub what: String,
    /// Whether no other code that is entered by itself begins on its first line.
    pub alone: bool,
}

impl From<(u32, u32, String, bool)> for Deferred {
    fn from((first, last, what, alone): (u32, u32, String, bool)) -> Self {
        Self { first, last, what, alone }
    }
}

impl From<Deferred> for (u32, u32, String, bool) {
    fn from(one: Deferred) -> Self {
        (one.first, one.last, one.what, one.alone)
    }
}

/// One statement. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    from = "(u32, u32, u32, String, String, bool, u32, u32)",
    into = "(u32, u32, u32, String, String, bool, u32, u32)"
)]
pub struct Statement {
    /// Its first line, that of its first decorator.
    pub first: u32,
    /// The last line before its body.
    pub head: u32,
    /// Its last line.
    pub last: u32,
    /// What it is, as Python's `ast` calls it.
    pub kind: String,
    /// The qualified name of what it defines; empty where it defines nothing.
    pub name: String,
    /// Whether it does nothing or is never compiled, so that leaving it out hides nothing.
    pub inert: bool,
    /// How many ways there are at least out of its head.
    pub ways: u32,
    /// The line of its keyword, below its decorators.
    pub keyword: u32,
}

type RawStatement = (u32, u32, u32, String, String, bool, u32, u32);

impl From<RawStatement> for Statement {
    fn from((first, head, last, kind, name, inert, ways, keyword): RawStatement) -> Self {
        Self { first, head, last, kind, name, inert, ways, keyword }
    }
}

impl From<Statement> for RawStatement {
    fn from(one: Statement) -> Self {
        (one.first, one.head, one.last, one.kind, one.name, one.inert, one.ways, one.keyword)
    }
}

/// One block of statements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u32, u32, u32, u32, String)", into = "(u32, u32, u32, u32, String)")]
pub struct Block {
    /// The first line of what opens it.
    pub head_first: u32,
    /// The last line of what opens it.
    pub head_last: u32,
    /// Its first line.
    pub first: u32,
    /// Its last line.
    pub last: u32,
    /// Why leaving it out of a measurement hides nothing, if so.
    pub free: Option<Free>,
}

/// Why a block needs no measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Free {
    /// Imports for type checkers, and nothing else.
    Types,
    /// A function without a body: a docstring, `...` or `pass`.
    Stub,
}

type RawBlock = (u32, u32, u32, u32, String);

impl From<RawBlock> for Block {
    fn from((head_first, head_last, first, last, free): RawBlock) -> Self {
        let free = match free.as_str() {
            "types" => Some(Free::Types),
            "stub" => Some(Free::Stub),
            _ => None,
        };
        Self { head_first, head_last, first, last, free }
    }
}

impl From<Block> for RawBlock {
    fn from(one: Block) -> Self {
        let free = match one.free {
            Some(Free::Types) => "types",
            Some(Free::Stub) => "stub",
            None => "",
        };
        (one.head_first, one.head_last, one.first, one.last, free.to_owned())
    }
}

/// A function that is a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Vec<String>, u32, u32)", into = "(Vec<String>, u32, u32)")]
pub struct TestFunction {
    /// Its classes and its own name.
    pub names: Vec<String>,
    /// Its first line, that of its first decorator.
    pub first: u32,
    /// The line of its `def`.
    pub keyword: u32,
}

impl From<(Vec<String>, u32, u32)> for TestFunction {
    fn from((names, first, keyword): (Vec<String>, u32, u32)) -> Self {
        Self { names, first, keyword }
    }
}

impl From<TestFunction> for (Vec<String>, u32, u32) {
    fn from(one: TestFunction) -> Self {
        (one.names, one.first, one.keyword)
    }
}

/// Something on a line that is worth a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "(u32, MarkKind, String)", into = "(u32, MarkKind, String)")]
pub struct Mark {
    /// Its line, from 1.
    pub line: u32,
    /// Of which kind it is.
    pub kind: MarkKind,
    /// What it is, in words.
    pub what: String,
}

impl From<(u32, MarkKind, String)> for Mark {
    fn from((line, kind, what): (u32, MarkKind, String)) -> Self {
        Self { line, kind, what }
    }
}

impl From<Mark> for (u32, MarkKind, String) {
    fn from(one: Mark) -> Self {
        (one.line, one.kind, one.what)
    }
}

/// What a [`Mark`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// A hook of pytest.
    Hook,
    /// It reaches into pytest, the measurement or the interpreter.
    Reach,
    /// A name by which pytest leaves tests out or loads plugins.
    Assigned,
    /// A decorator that may replace a test.
    Decorator,
    /// A second test of one name.
    Shadow,
    /// A test whose call runs nothing of it.
    Idle,
    /// Code that is text.
    String,
    /// Code on the line of the condition that decides about it.
    Line,
    /// A lambda outside of functions. Where it is known which code was entered, that tells more.
    Lambda,
    /// `TYPE_CHECKING` is given a value, or hides more than imports.
    Checking,
}

impl MarkKind {
    /// Whether it can change which tests run, or how they are judged or measured.
    #[must_use]
    pub fn concerns_tests(self) -> bool {
        matches!(
            self,
            Self::Hook
                | Self::Reach
                | Self::Assigned
                | Self::Decorator
                | Self::Shadow
                | Self::Idle
                | Self::String
                // Said by the tests too: a failing test keeps the coverage gate from running.
                | Self::Checking
        )
    }

    /// Whether it keeps code from being measured.
    #[must_use]
    pub fn concerns_coverage(self) -> bool {
        matches!(self, Self::String | Self::Line | Self::Lambda | Self::Checking)
    }
}

impl PythonSyntax {
    /// The lines of statements that do something, from the first to the last line of each.
    #[must_use]
    pub fn code_lines(&self) -> BTreeSet<u32> {
        self.statements.iter().filter(|one| one.last >= one.first).flat_map(|one| one.first..=one.last).collect()
    }

    /// Whether there is anything to measure.
    #[must_use]
    pub fn has_code(&self) -> bool {
        self.statements.iter().any(|one| !one.inert)
    }
}

/// Python sources whose syntax could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PythonSyntaxError {
    /// What was written down about them is broken.
    #[error("it is not the answer of the reader of Python sources: {0}")]
    Malformed(String),
    /// One of them is no Python.
    #[error("{path}: {problem}")]
    NotPython {
        /// The file.
        path: Utf8PathBuf,
        /// What Python says.
        problem: String,
    },
    /// One of them is not in the answer.
    #[error("{path} is not in the answer of the reader of Python sources")]
    Absent {
        /// The file.
        path: Utf8PathBuf,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Error { error: String, refused: bool },
    Read(PythonSyntax),
}

/// Reads what `python/syntax.py` says of these files. One that only looked like Python, and that Python's parser refuses, is none, and
/// not in the answer.
///
/// # Errors
/// When it is broken, does not speak of one of them, or says of one that it could not be read.
pub fn read_python_syntax(
    bytes: &[u8],
    files: &BTreeMap<Utf8PathBuf, Claim>,
) -> Result<BTreeMap<Utf8PathBuf, PythonSyntax>, PythonSyntaxError> {
    let answers: BTreeMap<Utf8PathBuf, Answer> =
        serde_json::from_slice(bytes).map_err(|error| PythonSyntaxError::Malformed(error.to_string()))?;
    if let Some(absent) = files.keys().find(|path| !answers.contains_key(*path)) {
        return Err(PythonSyntaxError::Absent { path: absent.clone() });
    }
    answers
        .into_iter()
        .filter_map(|(path, answer)| match answer {
            Answer::Read(syntax) => Some(Ok((path, syntax))),
            Answer::Error { refused: true, .. } if files.get(&path) == Some(&Claim::Guessed) => None,
            Answer::Error { error, .. } => Some(Err(PythonSyntaxError::NotPython { path, problem: error })),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_not_read_is_an_error() {
        let files = BTreeMap::from([(Utf8PathBuf::from("a.py"), Claim::Said)]);
        let whole = br#"{"a.py": {"statements": [[1,1,1,"Expr","",true,0,1]], "blocks": [[1,1,2,2,"stub"]],
            "tests": [[["TestA","test_b"],3,4]], "marks": [[1,"hook","x"]], "deferred": [[1,2,"lambda",true]]}}"#;
        let read = read_python_syntax(whole, &files).expect("whole");
        assert!(!read[&Utf8PathBuf::from("a.py")].has_code());
        let again = serde_json::to_vec(&read).expect("written");
        assert_eq!(read_python_syntax(&again, &files).expect("read again"), read);
        for bad in [
            &b""[..],
            b"{}",
            b"null",
            br#"{"b.py": {"statements": [], "blocks": [], "tests": [], "marks": [], "deferred": []}}"#,
            br#"{"a.py": {"statements": [], "blocks": [], "tests": [], "marks": []}}"#,
            br#"{"a.py": {"statements": []}}"#,
            br#"{"a.py": {"error": "SyntaxError: x"}}"#,
            br#"{"a.py": {"error": "SyntaxError: x", "refused": true}}"#,
            br#"{"a.py": {"statements": [], "blocks": [], "tests": [], "marks": [[1, "other", ""]], "deferred": []}}"#,
        ] {
            assert!(read_python_syntax(bad, &files).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }

    #[test]
    fn what_only_looked_like_python_and_is_refused_is_none() {
        let files = BTreeMap::from([(Utf8PathBuf::from("a.ron"), Claim::Guessed)]);
        let refused = br#"{"a.ron": {"error": "SyntaxError: x", "refused": true}}"#;
        assert_eq!(read_python_syntax(refused, &files), Ok(BTreeMap::new()));
        let too_much = br#"{"a.ron": {"error": "RecursionError: x", "refused": false}}"#;
        assert!(read_python_syntax(too_much, &files).is_err());
    }
}
