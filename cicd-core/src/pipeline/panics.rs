use std::any::Any;
use std::cell::RefCell;
use std::io::{self, Write as _};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, Once, PoisonError};

use super::redacted::TEXT_BYTES_MAX;
use crate::formats::Harmless;
use crate::process::Redactor;

thread_local! {
    /// Set while this thread runs a step: where the last panic happened, once there was one.
    static PLACE: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// What is shown of a panic of a thread that a step started: as much as of one of the step's own.
const PANIC_BYTES_MAX: usize = TEXT_BYTES_MAX;

static HOOK: Once = Once::new();

/// What the runs of this process know of secrets: a thread that a step started panics without knowing whose it is.
static REDACTORS: Mutex<Vec<Redactor>> = Mutex::new(Vec::new());

/// Lets no panic of any thread show what `redactor` knows, until the guard is dropped.
pub(super) fn redact_with(redactor: &Redactor) -> RedactedPanics {
    install();
    let mut redactors = REDACTORS.lock().unwrap_or_else(PoisonError::into_inner);
    redactors.push(redactor.clone());
    RedactedPanics(redactor.clone())
}

#[derive(Debug)]
pub(super) struct RedactedPanics(Redactor);

impl Drop for RedactedPanics {
    fn drop(&mut self) {
        let mut redactors = REDACTORS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = redactors.iter().position(|redactor| redactor.is_same(&self.0)) {
            redactors.remove(place);
        }
    }
}

/// Runs `work`; a panic becomes an error with its message and place, and prints nothing. Also within itself.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    install();
    let outer = PLACE.replace(Some(None));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let place = PLACE.replace(outer).flatten();
    result.map_err(|panic| match place {
        Some(place) => format!("{} at {place}", text(panic)),
        None => text(panic),
    })
}

fn install() {
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let ours = PLACE.with_borrow_mut(|place| match place {
                Some(place) => {
                    *place = info.location().map(ToString::to_string);
                    true
                }
                None => false,
            });
            if ours {
                return;
            }
            let redactors = REDACTORS.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let told = info.to_string();
            let hidden = start(&told, &redactors);
            let mut shown = Vec::new();
            // Writing into memory does not fail, and nobody is left to tell that standard error is closed.
            let _ = writeln!(Harmless::new(&mut shown), "{hidden}");
            if redactors.iter().any(Redactor::knows_any) || shown.trim_ascii_end() != told.as_bytes().trim_ascii_end() {
                let _ = io::stderr().write_all(&shown);
            } else {
                previous(info);
            }
        }));
    });
}

/// The start of a text as it may be shown. Each secret of all runs is looked for at once: where the text is cut, none is left in part.
fn start(text: &str, redactors: &[Redactor]) -> String {
    match redactors {
        [one] => one.redact_start(text, PANIC_BYTES_MAX),
        more => {
            let all = Redactor::new();
            more.iter().flat_map(Redactor::secrets).for_each(|secret| all.learn(&secret));
            all.redact_start(text, PANIC_BYTES_MAX)
        }
    }
}

/// What a step panicked with. A value that is no text is forgotten: its `Drop` is code of a step too, and nobody would catch what that
/// panics with.
fn text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => match panic.downcast::<&str>() {
            Ok(text) => (*text).to_owned(),
            Err(panic) => {
                std::mem::forget(panic);
                "a value that is not text".to_owned()
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Secret;

    #[test]
    fn no_panic_of_any_thread_is_shown_without_end_or_with_a_part_of_a_secret() {
        let known = |text: &str| {
            let redactor = Redactor::new();
            redactor.learn(&Secret::env("TOKEN").read(text.as_bytes().to_vec()).expect("a secret"));
            redactor
        };
        let (one, two) = (known("CANARY-one-0123456789"), known("CANARY-two-9876543210"));
        for (redactors, secret) in [
            (vec![], ""),
            (vec![one.clone()], "CANARY-one-0123456789"),
            (vec![one.clone(), two.clone()], "CANARY-two-9876543210"),
            (vec![two, one], "CANARY-one-0123456789"),
        ] {
            for before in [0, PANIC_BYTES_MAX - 7, PANIC_BYTES_MAX - 1] {
                let text = format!("{}{secret}{}", "x".repeat(before), "y".repeat(10 << 20));
                let shown = start(&text, &redactors);
                assert!(shown.len() < PANIC_BYTES_MAX + 100, "{} bytes", shown.len());
                assert!(!shown.contains("CANARY"), "{before}");
                assert!(shown.contains(&format!("({} bytes in all)", text.len())));
            }
        }
        assert_eq!(start("short", &[]), "short");
    }

    #[test]
    fn a_panic_becomes_its_message_and_place() {
        let line = line!() + 1;
        let error = super::contained(|| panic!("the disk is on fire")).expect_err("it panicked");
        assert_eq!(
            error.split(':').take(2).collect::<Vec<_>>().join(":"),
            format!("the disk is on fire at {}:{line}", file!())
        );
        assert_eq!(super::contained(|| 7), Ok(7));
    }

    #[test]
    fn the_place_is_that_of_the_panic_which_was_not_contained_further_in() {
        let line = line!() + 3;
        let error = super::contained(|| {
            super::contained(|| panic!("inner")).expect_err("it panicked");
            panic!("outer");
        })
        .expect_err("it panicked");
        assert!(error.starts_with(&format!("outer at {}:{line}:", file!())), "{error}");
    }
}
