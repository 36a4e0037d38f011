use std::io::{self, BufRead, Read as _, Write};

/// An answer longer than this is not one.
const ANSWER_BYTES_MAX: u64 = 64;

/// Whether setup may change the machine.
pub enum Consent<'a> {
    /// It was given beforehand: `--yes`, or `CI` is set.
    Given,
    /// A person at a terminal is asked; the answer is read from here.
    Ask(Box<dyn BufRead + 'a>),
    /// Nobody can be asked.
    Impossible,
}

/// What the person said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    NobodyThere,
}

impl std::fmt::Debug for Consent<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Given => "Given",
            Self::Ask(_) => "Ask",
            Self::Impossible => "Impossible",
        })
    }
}

impl Consent<'_> {
    /// Asks, if there is somebody to ask. Only `y` and `yes` are a yes.
    pub(super) fn obtain(&mut self, out: &mut dyn Write) -> io::Result<Answer> {
        let Self::Ask(input) = self else {
            return Ok(if matches!(self, Self::Given) { Answer::Yes } else { Answer::NobodyThere });
        };
        write!(out, "do this? [y/N] ")?;
        out.flush()?;
        let mut line = String::new();
        input.by_ref().take(ANSWER_BYTES_MAX).read_line(&mut line)?;
        Ok(if matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes") { Answer::Yes } else { Answer::No })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        for (typed, answer) in [
            ("y\n", Answer::Yes),
            ("YES\n", Answer::Yes),
            ("\n", Answer::No),
            ("", Answer::No),
            ("n\n", Answer::No),
            ("yeah no\n", Answer::No),
        ] {
            let input = Box::new(typed.as_bytes());
            assert_eq!(Consent::Ask(input).obtain(&mut Vec::new()).expect("asked"), answer, "{typed:?}");
        }
        assert_eq!(Consent::Given.obtain(&mut Vec::new()).expect("asked"), Answer::Yes);
        assert_eq!(Consent::Impossible.obtain(&mut Vec::new()).expect("asked"), Answer::NobodyThere);
    }
}
