/// Words that stand between numbers, in small letters: constants, or names that no program has.
const CONSTANTS: [&str; 8] = ["false", "inf", "infinity", "na", "nan", "none", "null", "true"];
/// The longest of them has so many letters.
const CONSTANT_BYTES_MAX: usize = 8;

/// Reads what follows a text that does nothing as Python, for whether the whole still does nothing: numbers, constants and what stands
/// between them. There is nothing to be called, imported or defined, however long it is.
#[derive(Debug, Default)]
pub(in super::super) struct Numbers {
    in_comment: bool,
    /// The number or word that is being read, as far as it decides anything.
    word: Vec<u8>,
    has_constant: bool,
    has_bracket: bool,
}

impl Numbers {
    /// Whether this part, behind those before it, is only numbers.
    pub(in super::super) fn go_on(&mut self, part: &[u8]) -> bool {
        part.iter().all(|&byte| self.byte(byte))
    }

    fn byte(&mut self, byte: u8) -> bool {
        if self.in_comment {
            self.in_comment = !matches!(byte, b'\n' | b'\r');
            return true;
        }
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' {
            if self.word.len() <= CONSTANT_BYTES_MAX {
                self.word.push(byte.to_ascii_lowercase());
            }
            return true;
        }
        if !self.end_word() {
            return false;
        }
        match byte {
            b'#' => self.in_comment = true,
            b'(' => self.has_bracket = true,
            b'"' | b'\'' | b'@' | 0 | 0x80.. => return false,
            _ => {}
        }
        !(self.has_bracket && self.has_constant)
    }

    /// A word that begins with a letter is a name, an underscore or an attribute's dot another one.
    fn end_word(&mut self) -> bool {
        let first = self.word.iter().find(|byte| **byte != b'.').copied();
        let is_number = first.is_none_or(|byte| byte.is_ascii_digit());
        let is_constant = !is_number && CONSTANTS.iter().any(|known| known.as_bytes() == self.word);
        self.has_constant |= is_constant;
        self.word.clear();
        is_number || is_constant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_are_numbers() {
        for (text, expected) in [
            ("1,2.5e-3,.5,1_000,0x1f\n-3;4\r\n[5, {6: 7}]\n", true),
            ("(1, 2)\n(3, 4)\n", true),
            ("1,NaN,-inf,None\n", true),
            ("# import os\n1 # f(x)\n", true),
            ("1\nimport os\n", false),
            ("f(1)\n", false),
            ("nan(1)\n", false),
            ("(1)\nnan\n", false),
            ("'a'\n", false),
            ("1\n].x\n", false),
            ("_ = 1\n", false),
            ("é\n", false),
            ("abcdefghijklmnop\n", false),
            ("nullnullnull\n", false),
            ("@x\n", false),
        ] {
            for cut in 0..text.len() {
                let mut numbers = Numbers::default();
                let (one, other) = text.as_bytes().split_at(cut);
                assert_eq!(numbers.go_on(one) && numbers.go_on(other), expected, "{text} cut at {cut}");
            }
        }
    }
}
