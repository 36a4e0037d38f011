use super::Does;

/// Words beside which another one may stand.
const KEYWORDS: [&str; 32] = [
    "and", "as", "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except",
    "finally", "for", "from", "global", "if", "import", "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise",
    "return", "try", "while", "with", "yield",
];
/// Those with which a line may end.
const ENDING: [&str; 6] = ["break", "continue", "pass", "raise", "return", "yield"];
/// Words that are keywords only where a statement begins.
const SOFT_KEYWORDS: [&str; 4] = ["match", "case", "type", "lazy"];
/// How a line begins that may end in a colon.
const COMPOUND: [&str; 14] = [
    "async", "case", "class", "def", "elif", "else", "except", "finally", "for", "if", "match", "try", "while", "with",
];
/// What runs what it is given.
const RUNNING: [&str; 2] = ["eval", "exec"];
/// Names of Python alone, through which a text without any import reaches what can run others.
const REACHING: [&str; 5] = ["__build_class__", "__builtins__", "__import__", "__loader__", "__spec__"];
/// Letters that Python takes for an underscore inside of a name.
const UNDERSCORES: [char; 6] = ['\u{FE33}', '\u{FE34}', '\u{FE4D}', '\u{FE4E}', '\u{FE4F}', '\u{FF3F}'];
/// What may stand directly before the quote of a string, in small letters.
const PREFIXES: [&str; 11] = ["b", "br", "f", "fr", "r", "rb", "rf", "rt", "t", "tr", "u"];
/// Operators that stand between two operands, the longest first. Of these `=` may follow a comma, as in `a, = f()`, and so may `/`.
const BETWEEN: [&str; 31] = [
    "**=", "//=", "<<=", ">>=", "->", ":=", "==", "!=", "<=", ">=", "<>", "+=", "-=", "*=", "/=", "%=", "&=", "|=",
    "^=", "@=", "//", "<<", ">>", "=", "<", ">", "/", "%", "|", "^", "&",
];
/// A tab leads to the next column that is a multiple of this.
const TAB: usize = 8;

fn is_among(word: &[u8], words: &[&str]) -> bool {
    words.iter().any(|one| one.as_bytes() == word)
}

/// What the last word was, as far as it says what may follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// None yet on this line.
    Start,
    Name,
    Number,
    Text,
    /// A bracket that was closed.
    Closed,
    Ellipsis,
    Keyword,
    /// One of [`ENDING`].
    Ending,
    /// One of [`SOFT_KEYWORDS`], or a name.
    Soft,
    /// `class`, `def`, and `import` that begins a statement: a name has to follow.
    Naming,
    /// The `import` of `from x import`.
    Import,
    /// A bracket that was opened.
    Opened,
    Comma,
    Colon,
    Semicolon,
    /// `*` and `**`.
    Star,
    Dot,
    /// Any other; something has to follow it.
    Operator,
}

/// A string with fields in it: `f"{x}"`, `t"{x}"`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quote {
    pub(super) letter: u8,
    /// One or three.
    pub(super) count: usize,
    pub(super) is_raw: bool,
}

/// What is open.
#[derive(Debug, Clone, Copy)]
pub(super) enum Open {
    /// A bracket, by what closes it.
    Bracket(u8),
    /// The letters of a string with fields.
    Letters(Quote),
    /// A field of it.
    Field,
    /// How a field is to be written.
    Format,
}

/// What is known of the statement that is being read.
#[derive(Debug, Clone, Copy, Default)]
struct Statement {
    /// Whether there is a word of it.
    is_begun: bool,
    /// Whether it began with `from`.
    is_from: bool,
    has_import: bool,
    has_lambda: bool,
    /// Whether an operator or a colon stands outside of its brackets: nothing is annotated behind them.
    has_operator: bool,
}

/// Takes a text apart, word by word.
pub(super) struct Reader<'a> {
    pub(super) text: &'a [u8],
    /// How far it has read.
    pub(super) at: usize,
    pub(super) open: Vec<Open>,
    pub(super) last: Last,
    /// Where this line begins; nothing where a line was joined to another one before its first word.
    line_start: Option<usize>,
    /// The columns of the last line's first word, with a tab as wide as it can be and as one blank.
    indent: Option<(usize, usize)>,
    /// Whether the last line ended in a colon, so that this one is further in.
    is_headed: bool,
    /// Whether a colon may end this line.
    is_compound: bool,
    statement: Statement,
    pub(super) does: Does,
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn has_two_underscores(word: &[u8]) -> bool {
    let is_plain = word.is_ascii() && !word.contains(&b'_');
    !is_plain && String::from_utf8_lossy(word).replace(UNDERSCORES, "_").contains("__")
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            open: Vec::new(),
            last: Last::Start,
            line_start: Some(0),
            indent: Some((0, 0)),
            is_headed: false,
            is_compound: false,
            statement: Statement::default(),
            does: Does::Nothing,
        }
    }

    /// The letter here, or so many further on; behind the end there are line ends.
    pub(super) fn peek(&self, ahead: usize) -> u8 {
        self.text.get(self.at + ahead).copied().unwrap_or(b'\n')
    }

    /// Takes the letters that are such.
    pub(super) fn take(&mut self, is_such: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.text.get(self.at..).unwrap_or(&[]);
        let length = rest.iter().position(|&byte| !is_such(byte)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// Reads all of it; nothing where no Python accepts it.
    pub(super) fn read(&mut self) -> Option<()> {
        while self.at < self.text.len() {
            match self.open.last().copied() {
                Some(Open::Letters(quote)) => self.letters(quote)?,
                Some(Open::Format) => self.format(),
                _ => self.word()?,
            }
        }
        self.end_line()?;
        (self.open.is_empty() && !self.is_headed).then_some(())
    }

    fn word(&mut self) -> Option<()> {
        let byte = self.peek(0);
        let in_field = matches!(self.open.last(), Some(Open::Field));
        match byte {
            b' ' | b'\t' | 0x0C => self.at += 1,
            b'\n' => {
                self.at += 1;
                if self.open.is_empty() {
                    self.end_line()?;
                }
            }
            // Old ones end a line at a zero byte.
            b'#' | 0 => {
                let rest = &self.text[self.at..];
                self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            }
            b'\\' if self.peek(1) == b'\n' => {
                self.at += 2;
                if self.last == Last::Start {
                    self.line_start = None;
                }
            }
            b'!' if in_field && self.peek(1) != b'=' => {
                self.at += 1;
                self.take(is_name);
            }
            b':' if in_field => {
                self.at += 1;
                self.open.pop();
                self.open.push(Open::Format);
            }
            _ => {
                if self.last == Last::Start {
                    self.first_word()?;
                }
                match byte {
                    b'"' | b'\'' => self.string(b"")?,
                    b'0'..=b'9' => self.number()?,
                    b'.' if self.peek(1).is_ascii_digit() => self.number()?,
                    _ if is_name(byte) => self.name()?,
                    b'(' => self.opened(b')')?,
                    b'[' => self.opened(b']')?,
                    b'{' => self.opened(b'}')?,
                    b')' | b']' | b'}' => self.closed(byte)?,
                    _ => self.operator()?,
                }
            }
        }
        Some(())
    }

    /// A line is further in than the last one if that one ended in a colon, and only then.
    fn first_word(&mut self) -> Option<()> {
        let indent = self.line_start.map(|start| {
            self.text[start..self.at].iter().fold((0, 0), |(wide, narrow), byte| match byte {
                b'\t' => ((wide / TAB + 1) * TAB, narrow + 1),
                0x0C => (0, 0),
                _ => (wide + 1, narrow + 1),
            })
        });
        if let (Some(here), Some(before)) = (indent, self.indent) {
            let (wider, longer) = (here.0 > before.0, here.1 > before.1);
            if (self.is_headed && !wider && !longer) || (!self.is_headed && wider && longer) {
                return None;
            }
        }
        self.indent = indent;
        self.is_headed = false;
        Some(())
    }

    fn end_line(&mut self) -> Option<()> {
        if matches!(self.last, Last::Operator | Last::Dot | Last::Keyword | Last::Naming | Last::Import) {
            return None;
        }
        if self.last == Last::Colon {
            self.is_compound.then_some(())?;
            self.is_headed = true;
        }
        self.last = Last::Start;
        self.line_start = Some(self.at);
        self.is_compound = false;
        self.statement = Statement::default();
        Some(())
    }

    /// What was read is the last word now.
    fn follow(&mut self, last: Last) {
        self.last = last;
        self.statement.is_begun = true;
    }

    /// Nothing where this operand may not stand behind the last word.
    pub(super) fn operand(&mut self, last: Last) -> Option<()> {
        let is_name = matches!(last, Last::Name | Last::Soft);
        let may_follow = match self.last {
            Last::Name | Last::Number | Last::Closed => false,
            Last::Text => last == Last::Text,
            Last::Naming | Last::Import | Last::Dot => is_name,
            _ => is_name || !self.statement.has_import,
        };
        self.follow(last);
        may_follow.then_some(())
    }

    fn name(&mut self) -> Option<()> {
        let word = self.take(is_name);
        if matches!(self.peek(0), b'"' | b'\'') && is_among(&word.to_ascii_lowercase(), &PREFIXES) {
            return self.string(word);
        }
        if self.last == Last::Start && is_among(word, &COMPOUND) {
            self.is_compound = true;
        }
        if is_among(word, &KEYWORDS) {
            return self.keyword(word);
        }
        if is_among(word, &RUNNING) && self.text[self.at..].trim_ascii_start().starts_with(b"(") {
            self.does = Does::Imports;
        }
        if has_two_underscores(word) {
            self.does = self.does.max(self.hook(word));
        }
        let is_soft = !self.statement.is_begun && is_among(word, &SOFT_KEYWORDS);
        self.operand(if is_soft { Last::Soft } else { Last::Name })
    }

    /// What a name with two underscores does. Operators, subscripts, attributes and fields of texts call methods without the brackets of a
    /// call, but each of these has such a name, and so has what they can be put into where nothing is imported or defined. Alone in its
    /// line, as in a list of folders, it does nothing.
    fn hook(&self, word: &[u8]) -> Does {
        let rest = self.text.get(self.at..).unwrap_or(&[]);
        let next = rest.iter().find(|byte| !matches!(byte, b' ' | b'\t' | 0x0C)).copied().unwrap_or(b'\n');
        match self.last {
            Last::Dot => Does::Imports,
            Last::Start if matches!(next, b'\n' | b'#') => Does::Nothing,
            _ if is_among(word, &REACHING) => Does::Imports,
            _ => Does::Calls,
        }
    }

    fn keyword(&mut self, word: &[u8]) -> Option<()> {
        let begins = !self.statement.is_begun || self.last == Last::Soft;
        let may_follow = match self.last {
            Last::Naming | Last::Import => false,
            Last::Dot => word == b"import",
            _ => word == b"as" || !self.statement.has_import,
        };
        may_follow.then_some(())?;
        let last = match word {
            b"import" if !begins && !self.statement.is_from => return None,
            b"import" => {
                self.statement.has_import = true;
                if begins { Last::Naming } else { Last::Import }
            }
            b"class" | b"def" => Last::Naming,
            _ if is_among(word, &ENDING) => Last::Ending,
            _ => Last::Keyword,
        };
        match word {
            b"from" => self.statement.is_from |= begins,
            b"lambda" => self.statement.has_lambda = true,
            _ => {}
        }
        if matches!(last, Last::Naming | Last::Import) {
            self.does = Does::Imports;
        }
        self.follow(last);
        Some(())
    }

    fn number(&mut self) -> Option<()> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || byte == b'_';
        if self.peek(0) == b'0' && matches!(self.peek(1), b'x' | b'X') {
            self.at += 2;
            self.take(|byte| byte.is_ascii_hexdigit() || byte == b'_');
        } else if self.peek(0) == b'0' && matches!(self.peek(1), b'b' | b'B' | b'o' | b'O') {
            self.at += 2;
            self.take(is_digit);
        } else {
            self.take(is_digit);
            if self.peek(0) == b'.' {
                self.at += 1;
                self.take(is_digit);
            }
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if matches!(self.peek(0), b'e' | b'E') && self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                self.take(is_digit);
            }
            if matches!(self.peek(0), b'j' | b'J') {
                self.at += 1;
            }
        }
        self.operand(Last::Number)
    }

    fn opened(&mut self, close: u8) -> Option<()> {
        self.at += 1;
        let may_follow = match self.last {
            Last::Naming | Last::Dot => false,
            Last::Import => close == b')',
            Last::Name | Last::Number | Last::Text | Last::Closed => close != b'}' && !self.statement.has_import,
            _ => true,
        };
        // Neither a number nor a text can be called, as in `3.0 (native)`.
        if close == b')' && matches!(self.last, Last::Name | Last::Closed | Last::Soft) {
            self.does = self.does.max(Does::Calls);
        }
        self.open.push(Open::Bracket(close));
        self.follow(Last::Opened);
        may_follow.then_some(())
    }

    fn closed(&mut self, byte: u8) -> Option<()> {
        self.at += 1;
        let is_half = matches!(self.last, Last::Operator | Last::Dot | Last::Keyword | Last::Naming | Last::Import);
        match self.open.pop()? {
            // `f"{x=}"`
            Open::Field if byte == b'}' => {}
            Open::Bracket(close) if close == byte && !is_half => {}
            _ => return None,
        }
        self.follow(Last::Closed);
        Some(())
    }

    fn operator(&mut self) -> Option<()> {
        let rest = &self.text[self.at..];
        let one = self.peek(0);
        if matches!(self.last, Last::Naming) || (self.last == Last::Import && one != b'*') {
            return None;
        }
        if rest.starts_with(b"...") {
            self.at += 3;
            self.follow(Last::Ellipsis);
            return (!self.statement.has_import).then_some(());
        }
        let before = self.last;
        // `**=` and the like come first, `**` before `*`.
        if let Some(operator) = BETWEEN.iter().find(|operator| rest.starts_with(operator.as_bytes())) {
            self.at += operator.len();
            let may_follow = match before {
                Last::Name | Last::Number | Last::Text | Last::Closed | Last::Ellipsis | Last::Soft => true,
                Last::Comma => matches!(*operator, "=" | "/"),
                _ => false,
            };
            // The slash of `def f(a, /)` may end what it stands in.
            self.apart(if *operator == "/" && before == Last::Comma { Last::Star } else { Last::Operator });
            return (may_follow && !self.statement.has_import).then_some(());
        }
        self.at += if rest.starts_with(b"**") { 2 } else { 1 };
        match one {
            b'*' if before == Last::Start && rest.starts_with(b"**") => None,
            b'*' => self.apart(Last::Star),
            b'+' | b'-' | b'~' | b'@' if !self.statement.has_import => self.apart(Last::Operator),
            _ if before == Last::Start => None,
            b'.' => self.then(Last::Dot),
            b',' => self.then(Last::Comma),
            b':' if !self.open.is_empty() => self.then(Last::Colon),
            b':' => self.colon(),
            b';' if self.open.is_empty() => {
                self.statement = Statement::default();
                self.last = Last::Semicolon;
                Some(())
            }
            _ => None,
        }
    }

    fn then(&mut self, last: Last) -> Option<()> {
        self.follow(last);
        Some(())
    }

    /// An operator that ends what may be annotated.
    fn apart(&mut self, last: Last) -> Option<()> {
        self.statement.has_operator |= self.open.is_empty();
        self.then(last)
    }

    /// A colon outside of brackets: behind the head of a compound statement, of `lambda`, or behind what is annotated.
    fn colon(&mut self) -> Option<()> {
        if self.statement.has_import {
            return None;
        }
        if self.is_compound {
            self.statement = Statement::default();
            self.last = Last::Colon;
            return Some(());
        }
        if self.statement.has_operator && !self.statement.has_lambda {
            return None;
        }
        self.apart(Last::Colon)
    }
}
