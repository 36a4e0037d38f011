use super::reader::{Last, Open, Quote, Reader};

impl Reader<'_> {
    /// A string whose first quote is here.
    pub(super) fn string(&mut self, prefix: &[u8]) -> Option<()> {
        self.operand(Last::Text)?;
        let letter = self.peek(0);
        let count = if self.peek(1) == letter && self.peek(2) == letter { 3 } else { 1 };
        self.at += count;
        let has = |letter: u8| prefix.iter().any(|byte| byte.to_ascii_lowercase() == letter);
        let quote = Quote { letter, count, is_raw: has(b'r') };
        if has(b'f') || has(b't') {
            self.open.push(Open::Letters(quote));
            return Some(());
        }
        loop {
            let rest = self.text.get(self.at..)?;
            let stop = match count {
                3 => memchr::memchr2(letter, b'\\', rest),
                _ => memchr::memchr3(letter, b'\\', b'\n', rest),
            };
            self.at += stop.unwrap_or(rest.len());
            match self.text.get(self.at)? {
                b'\\' => self.at += 2,
                b'\n' => return None,
                _ if self.ends(quote) => return Some(()),
                _ => self.at += 1,
            }
        }
    }

    /// Whether the string ends here; it is behind it then.
    fn ends(&mut self, quote: Quote) -> bool {
        let ends = self.peek(0) == quote.letter
            && (quote.count == 1 || (self.peek(1) == quote.letter && self.peek(2) == quote.letter));
        if ends {
            self.at += quote.count;
        }
        ends
    }

    /// Letters of a string with fields, up to its end or the next field.
    pub(super) fn letters(&mut self, quote: Quote) -> Option<()> {
        if self.ends(quote) {
            self.open.pop();
            self.last = Last::Text;
            return Some(());
        }
        match (self.peek(0), self.peek(1)) {
            (b'\n', _) if quote.count == 1 => return None,
            (b'\\', b'{' | b'}') => self.at += 1,
            (b'\\', b'N') if !quote.is_raw && self.peek(2) == b'{' => self.named(),
            (b'\\', _) | (b'{', b'{') => self.at += 2,
            (b'{', _) => self.field(),
            _ => self.at += 1,
        }
        Some(())
    }

    /// A letter by its name: `\N{EM DASH}`.
    fn named(&mut self) {
        self.take(|byte| byte != b'}');
        self.at += 1;
    }

    /// Whether a backslash is one in the string that is open.
    fn is_in_raw(&self) -> bool {
        let quote =
            self.open.iter().rev().find_map(|open| if let Open::Letters(quote) = open { Some(quote) } else { None });
        quote.is_some_and(|quote| quote.is_raw)
    }

    fn field(&mut self) {
        self.at += 1;
        self.open.push(Open::Field);
        self.last = Last::Opened;
    }

    pub(super) fn format(&mut self) {
        self.take(|byte| !matches!(byte, b'{' | b'}' | b'\\'));
        match self.peek(0) {
            b'\\' if !self.is_in_raw() && self.peek(1) == b'N' && self.peek(2) == b'{' => self.named(),
            b'\\' => self.at += 1,
            b'{' => self.field(),
            _ => {
                self.at += 1;
                self.open.pop();
            }
        }
    }
}
