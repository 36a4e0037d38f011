use std::any::Any;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Set while this thread runs a step: where the last panic happened, once there was one.
    static PLACE: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

static HOOK: Once = Once::new();

/// Runs `work`; a panic becomes an error with its message and place, and prints nothing.
pub(super) fn contained<T>(work: impl FnOnce() -> T) -> Result<T, String> {
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
            if !ours {
                previous(info);
            }
        }));
    });
    PLACE.set(Some(None));
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let place = PLACE.take().flatten();
    result.map_err(|panic| match place {
        Some(place) => format!("{} at {place}", text(&*panic)),
        None => text(&*panic),
    })
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a value that is not text".to_owned())
}

#[cfg(test)]
mod tests {
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
}
