//! Panics of user code: caught, with their message and place; the executor lives on.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work`; a panic in it becomes a text: message, file and line. Nothing is printed for it, as it is reported instead.
pub(super) fn catch<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    install();
    CATCHING.set(true);
    let ended = panic::catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(false);
    ended.map_err(|payload| {
        let place = PLACE.take().unwrap_or_else(|| "an unknown place".to_owned());
        format!("panicked at {place}: {}", message(&*payload))
    })
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
}
