use camino::Utf8Path;

/// A pattern of this many parts matches nothing that anybody has; each part costs a pass over the path.
const SEGMENTS_MAX: usize = 100;

/// One pattern of a CODEOWNERS file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
    reach: Reach,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// `**`: any number of folders.
    AnyFolders,
    /// A name with `*` and `?`.
    Name(Vec<char>),
}

/// What is matched by the whole pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// A file, or everything below a folder.
    FileOrBelow,
    /// Everything below a folder: the pattern ends in `/`.
    Below,
    /// A file: the pattern's last part is `*`.
    File,
}

/// Why a pattern is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// It begins with `!`.
    #[error("`!` negates nothing here: GitHub skips the line")]
    Negation,
    /// It has `[` or `]`.
    #[error("GitHub knows no character ranges and skips the line")]
    Range,
    /// It has a `\` that is not before a blank.
    #[error("`\\` is understood before a blank only")]
    Backslash,
    /// It names nothing.
    #[error("it names nothing")]
    Empty,
    /// It has an empty part, `.` or `..`.
    #[error("`//`, `.` and `..` match nothing")]
    DotPart,
    /// It has too many parts.
    #[error("it has more than {SEGMENTS_MAX} parts")]
    TooLong,
}

impl Pattern {
    /// Reads one pattern, in which blanks are written as `\ `.
    ///
    /// # Errors
    /// When GitHub would not understand it, or it could never match.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.starts_with('!') {
            return Err(PatternError::Negation);
        }
        if text.contains(['[', ']']) {
            return Err(PatternError::Range);
        }
        let plain = text.replace("\\ ", " ").replace("\\\t", "\t");
        if plain.contains('\\') {
            return Err(PatternError::Backslash);
        }
        let (body, below) = match plain.strip_suffix('/') {
            Some(body) => (body, true),
            None => (plain.as_str(), false),
        };
        // A slash before the end ties the pattern to the root.
        let anchored = body.contains('/');
        let body = body.strip_prefix('/').unwrap_or(body);
        if body.is_empty() {
            return Err(PatternError::Empty);
        }
        let mut segments = if anchored { Vec::new() } else { vec![Segment::AnyFolders] };
        for part in body.split('/') {
            segments.push(match part {
                "" | "." | ".." => return Err(PatternError::DotPart),
                part if part.len() > 1 && part.bytes().all(|b| b == b'*') => Segment::AnyFolders,
                part => Segment::Name(part.chars().collect()),
            });
        }
        if segments.len() > SEGMENTS_MAX {
            return Err(PatternError::TooLong);
        }
        let reach = match segments.last() {
            _ if below => Reach::Below,
            Some(Segment::Name(name)) if name.as_slice() == ['*'] => Reach::File,
            _ => Reach::FileOrBelow,
        };
        Ok(Self { text: text.to_owned(), segments, reach })
    }

    /// The pattern as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// Whether it matches every file there may be: `*`, `**`, `/**`.
    #[must_use]
    pub fn is_catch_all(&self) -> bool {
        let all = |segment: &Segment| match segment {
            Segment::AnyFolders => true,
            Segment::Name(name) => name.as_slice() == ['*'],
        };
        self.reach != Reach::Below
            && self.segments.first() == Some(&Segment::AnyFolders)
            && self.segments.iter().all(all)
            && self.segments.iter().filter(|one| **one != Segment::AnyFolders).count() <= 1
    }

    /// Whether it matches a file, given by its path from the repository's root with `/` between its parts.
    #[must_use]
    pub fn matches(&self, path: &Utf8Path) -> bool {
        let parts: Vec<Vec<char>> = path.as_str().split('/').map(|part| part.chars().collect()).collect();
        // `reached[n]`: the segments so far match the first `n` parts.
        let mut reached = vec![false; parts.len() + 1];
        reached[0] = true;
        let last = self.segments.len() - 1;
        for (index, segment) in self.segments.iter().enumerate() {
            let mut next = vec![false; parts.len() + 1];
            for n in 0..=parts.len() {
                next[n] = match segment {
                    // Behind a folder, `**` stands for something in it.
                    Segment::AnyFolders if index == last => n > 0 && (next[n - 1] || reached[n - 1]),
                    Segment::AnyFolders => reached[n] || (n > 0 && next[n - 1]),
                    Segment::Name(name) => n > 0 && reached[n - 1] && name_matches(name, &parts[n - 1]),
                };
            }
            reached = next;
        }
        let file = reached[parts.len()];
        let folder = reached[1..parts.len()].contains(&true);
        match self.reach {
            Reach::File => file,
            Reach::Below => folder,
            Reach::FileOrBelow => file || folder,
        }
    }
}

/// Whether a name fits a pattern with `*` and `?`. Only the last `*` is ever tried again, so that no pattern takes long.
pub(super) fn name_matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut retry = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match retry {
                Some((star, taken)) => {
                    retry = Some((star, taken + 1));
                    (p, n) = (star + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern).expect(pattern).matches(path.into())
    }

    #[test]
    fn patterns_match_as_githubs_documentation_says() {
        for (pattern, yes, no) in [
            ("*", "a/b/c.js", ""),
            ("*.js", "deep/a.js", "a.jsx"),
            ("/build/logs/", "build/logs/x/y", "src/build/logs/x"),
            ("docs/*", "docs/getting-started.md", "docs/build-app/troubleshooting.md"),
            ("docs/*/", "docs/build-app/troubleshooting.md", "docs/getting-started.md"),
            ("apps/", "x/apps/y/z", "apps"),
            ("/apps/", "apps/y", "x/apps/y"),
            ("/docs/", "docs/a", "x/docs/a"),
            ("/scripts/", "scripts/x", "scripts"),
            ("**/logs", "build/logs/x", "build/logs2/x"),
            ("**/logs", "logs/x", "mylogs/x"),
            ("/apps/github", "apps/github/x", "x/apps/github"),
            ("/apps/github", "apps/github", "apps/github2"),
            ("a/**/b", "a/b", "a/x/c"),
            ("a/**/b", "a/x/y/b", "x/a/b"),
            ("a/**", "a/x/y", "a"),
            ("/**", "a", ""),
            ("foo/bar", "foo/bar/baz", "x/foo/bar"),
            ("/*Dockerfile", "deps.Dockerfile", "x/Dockerfile"),
            ("r?q*.txt", "x/requires.txt", "rq.txt"),
            ("My\\ file", "x/My file", "My"),
            ("Readme", "Readme", "README"),
            ("a*b*c", "axbxbc", "axbxb"),
        ] {
            assert!(matches(pattern, yes), "{pattern} should match {yes}");
            assert!(no.is_empty() || !matches(pattern, no), "{pattern} should not match {no}");
        }
    }

    #[test]
    fn what_github_skips_is_an_error() {
        for (text, error) in [
            ("!a", PatternError::Negation),
            ("a[bc]", PatternError::Range),
            ("\\#a", PatternError::Backslash),
            ("a\\*", PatternError::Backslash),
            ("", PatternError::Empty),
            ("/", PatternError::Empty),
            ("a//b", PatternError::DotPart),
            ("./a", PatternError::DotPart),
            ("a/../b", PatternError::DotPart),
        ] {
            assert_eq!(Pattern::parse(text), Err(error), "{text}");
        }
        assert_eq!(Pattern::parse(&"a/".repeat(101)), Err(PatternError::TooLong));
    }

    #[test]
    fn catch_alls_are_known() {
        for all in ["*", "**", "/**", "**/*", "/**/*"] {
            assert!(Pattern::parse(all).expect(all).is_catch_all(), "{all}");
        }
        for some in ["/*", "*.rs", "a/**", "**/a", "*/", "*/**", "**/*/*"] {
            assert!(!Pattern::parse(some).expect(some).is_catch_all(), "{some}");
        }
    }

    #[test]
    fn no_pattern_takes_long() {
        let path = "a".repeat(2_000) + "/" + &"b/".repeat(1_000) + "x";
        assert!(!matches(&("*a".repeat(500) + "b"), &path));
        assert!(!matches(&("**/b/".repeat(49) + "y"), &path));
    }
}
