//! Panics of user code: caught, with their message and place; the executor lives on.
//!
//! User code is more than closures: values of users' types are dropped, added and decoded, wherever that happens.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work`; a panic in it becomes a text: message, file and line. Nothing is printed for it, as it is reported instead.
pub(crate) fn catch<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    install();
    let was = CATCHING.replace(true);
    let ended = panic::catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        let place = PLACE.take().unwrap_or_else(|| "an unknown place".to_owned());
        let text = format!("panicked at {place}: {}", message(&*payload));
        // The payload may be a value of the user's, too. One that panics when it is dropped is left where it is.
        if let Err(again) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(again);
        }
        text
    });
    CATCHING.set(was);
    ended
}

/// Drops what users' values may be part of. A panic of theirs is nobody's failure: it is logged, and they count as gone.
pub(crate) fn discard<T>(what: &str, value: T) {
    if let Err(text) = catch(|| drop(value)) {
        tracing::error!("while {what} went: {text}");
    }
}

fn message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return (*text).to_owned();
    }
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| "a value that is no text".to_owned())
}

/// Adds to the process's panic hook, once, what notes the place of panics in tasks; all others go on as before.
fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if CATCHING.get() {
                PLACE.set(info.location().map(ToString::to_string));
            } else {
                others(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_its_message_and_place() {
        let text = catch(|| -> () { panic!("no {} today", "luck") }).unwrap_err();
        assert!(text.starts_with("panicked at ") && text.contains("task/panic.rs:"), "{text}");
        assert!(text.ends_with(": no luck today"), "{text}");
        assert_eq!(catch(|| 7), Ok(7));
    }

    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("as it was dropped");
        }
    }

    #[test]
    fn a_payload_that_panics_itself_and_a_catch_within_a_catch() {
        let text = catch(|| std::panic::panic_any(Bomb)).unwrap_err();
        assert!(text.contains("task/panic.rs:") && text.ends_with(": a value that is no text"), "{text}");
        let outer = catch(|| {
            discard("a bomb", Bomb);
            catch(|| panic!("inside")).unwrap_err();
            panic!("outside")
        });
        let text = outer.unwrap_err();
        assert!(text.contains("task/panic.rs:") && text.ends_with(": outside"), "{text}");
        assert!(!CATCHING.get());
    }
}
