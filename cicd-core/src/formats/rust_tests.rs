//! The tests that a Rust source declares, whatever `cfg` or macro stands around them.

use super::rust_tokens::tokens;

/// The last part of attributes that make a function a test.
const ATTRIBUTES: [&str; 6] = ["test", "rstest", "test_case", "quickcheck", "gtest", "wasm_bindgen_test"];

/// A function that a source says is a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RustTest {
    /// Its path inside the file, such as `tests::adds`.
    pub name: String,
    /// The line of its first attribute, from 0: comments stand above it.
    pub line: usize,
}

/// What a source says of tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RustTests {
    /// The tests, in their order.
    pub tests: Vec<RustTest>,
    /// The line of an attribute that takes the test harness away, from 0.
    pub no_main: Option<usize>,
}

/// The tests of a source. A module that is left out, and a macro that swallows what it is given, are read all the same; the body of
/// `macro_rules!` is not, as nothing in it is an item yet.
///
/// ```
/// use cicd_core::formats::rust_tests::rust_tests;
///
/// let found = rust_tests("#[cfg(any())]\nmod tests {\n    #[test]\n    fn adds() {}\n}\n");
/// assert_eq!((found.tests[0].name.as_str(), found.tests[0].line), ("tests::adds", 2));
/// ```
#[must_use]
pub fn rust_tests(source: &str) -> RustTests {
    let mut reader = Reader { tokens: tokens(source), ..Reader::default() };
    while reader.at < reader.tokens.len() {
        reader.step();
    }
    reader.found
}

#[derive(Default)]
struct Reader<'a> {
    tokens: Vec<(usize, &'a str)>,
    at: usize,
    found: RustTests,
    /// The open braces: the module that one opens, or nothing.
    open: Vec<Option<&'a str>>,
    /// The module whose brace comes next.
    module: Option<&'a str>,
    /// The first attribute of the item that comes next.
    attributes: Option<usize>,
    is_test: bool,
}

impl<'a> Reader<'a> {
    fn word(&self, offset: usize) -> &'a str {
        self.tokens.get(self.at + offset).map_or("", |(_, word)| word)
    }

    fn step(&mut self) {
        let Some(&(line, word)) = self.tokens.get(self.at) else { return };
        match (word, self.word(1), self.word(2)) {
            ("#", "[", _) => self.attribute(line, 2),
            ("#", "!", "[") => self.attribute(line, 3),
            ("macro_rules", "!", _) => {
                self.at += 3;
                self.skip_group();
            }
            ("mod", name, "{") => {
                self.module = Some(name);
                self.at += 2;
            }
            ("fn", name, _) => {
                if self.is_test && name.starts_with(|c: char| c == '_' || c.is_alphabetic()) {
                    let path: Vec<&str> = self.open.iter().flatten().copied().chain([name]).collect();
                    let line = self.attributes.unwrap_or(line);
                    self.found.tests.push(RustTest { name: path.join("::"), line });
                }
                self.forget();
                self.at += 2;
            }
            _ => {
                match word {
                    "{" => self.open.push(self.module.take()),
                    "}" => drop(self.open.pop()),
                    _ => {}
                }
                if matches!(word, "{" | "}" | ";") {
                    self.forget();
                }
                self.at += 1;
            }
        }
    }

    fn forget(&mut self) {
        self.attributes = None;
        self.is_test = false;
    }

    /// An attribute, whose first word stands `offset` further.
    fn attribute(&mut self, line: usize, offset: usize) {
        let is_inner = offset == 3;
        let start = self.at + offset;
        self.at = start - 1;
        self.skip_group();
        let inside = self.tokens.iter().take(self.at).skip(start);
        let words: Vec<&str> = inside.map(|(_, word)| *word).collect();
        if is_inner {
            if words.contains(&"no_main") {
                self.found.no_main.get_or_insert(line);
            }
            return;
        }
        self.attributes.get_or_insert(line);
        let conditional = words.first() == Some(&"cfg_attr");
        let ends = |at: usize| {
            matches!(words.get(at + 1).copied().unwrap_or("]"), "]" | "(" | ",")
                || (conditional && words.get(at + 1) == Some(&")"))
        };
        let begins = |at: usize| {
            at == 0
                || (conditional && matches!(words.get(at - 1), Some(&"," | &"::")))
                || words.get(at - 1) == Some(&"::")
        };
        let first = |at: usize| conditional || !words.iter().take(at).any(|word| *word == "(");
        let named = |at: usize, word: &&str| ATTRIBUTES.contains(word) && begins(at) && ends(at) && first(at);
        self.is_test |= words.iter().enumerate().any(|(at, word)| named(at, word));
    }

    /// Goes behind the next group, whatever its brackets.
    fn skip_group(&mut self) {
        let mut depth = 0_usize;
        while let Some(&(_, word)) = self.tokens.get(self.at) {
            self.at += 1;
            match word {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return;
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> Vec<(String, usize)> {
        rust_tests(source).tests.into_iter().map(|test| (test.name, test.line)).collect()
    }

    #[test]
    fn a_test_is_seen_whatever_stands_around_it() {
        for (source, expected) in [
            ("#[test]\nfn a() {}", vec![("a", 0)]),
            ("#[cfg(feature = \"x\")]\n#[test]\n#[ignore]\npub async fn a() {}", vec![("a", 0)]),
            ("#[tokio::test(flavor = \"multi_thread\")] async fn a() {}", vec![("a", 0)]),
            ("#[cfg_attr(any(), test)] fn a() {}", vec![("a", 0)]),
            ("#[cfg_attr(all(), tokio::test, ignore)] fn a() {}", vec![("a", 0)]),
            ("mod a { mod b { fn c() {} #[test] fn d() {} } }\n#[test] fn e() {}", vec![("a::b::d", 0), ("e", 1)]),
            ("swallow! { mod a { #[test] fn b() {} } }", vec![("a::b", 0)]),
            (
                "proptest! {\n #[test]\n fn a(x in 0..9) { let s = \"}\"; }\n}\n#[test] fn b() {}",
                vec![("a", 1), ("b", 4)],
            ),
            ("# [ core :: prelude :: v1 :: test ] unsafe extern \"C\" fn a() {}", vec![("a", 0)]),
            ("/* { */ mod a { // }\n#[test] fn b() {} }", vec![("a::b", 1)]),
            ("impl A { fn x(&self) {} }\n#[r#test] fn a() {}", vec![("a", 1)]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(name, line)| (name.to_owned(), line)).collect();
            assert_eq!(names(source), expected, "{source}");
        }
    }

    #[test]
    fn what_is_no_test_is_none() {
        for source in [
            "fn test() {}",
            "#[cfg(test)]\nfn helper() {}",
            "#[cfg(test)]\nmod tests { fn a() {} }",
            "// #[test]\nfn a() {}",
            "\"#[test]\"; fn a() {}",
            "macro_rules! m { ($n:ident) => { #[test] fn $n() {} #[test] fn fixed() {} } }",
            "#[test] use a; fn a() {}",
            "#[cfg_attr(test, derive(Debug))] fn a() {}",
            "#[derive(test)] struct A; fn a() {}",
        ] {
            assert_eq!(names(source), [], "{source}");
        }
        assert_eq!(rust_tests("#![cfg_attr(all(), no_main)]").no_main, Some(0));
        assert_eq!(rust_tests("#[no_main] fn a() {}").no_main, None);
    }
}
