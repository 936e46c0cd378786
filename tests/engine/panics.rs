//! Panics that a test expects, with their message and their line.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

/// A caught panic: its message and location.
#[derive(Debug)]
pub(crate) struct Caught {
    pub(crate) message: String,
    pub(crate) file: String,
    pub(crate) line: u32,
}

thread_local! {
    static LAST: RefCell<Option<Option<Caught>>> = const { RefCell::new(None) };
}

/// Runs `f`, which must panic.
pub(crate) fn caught(f: impl FnOnce()) -> Caught {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let expected = LAST.with_borrow_mut(|last| {
                let last = last.as_mut()?;
                let text = info.payload().downcast_ref::<String>().cloned();
                let text =
                    text.or_else(|| info.payload().downcast_ref().copied().map(str::to_owned));
                let message = text.unwrap_or_default();
                let at = info.location().expect("a location");
                *last = Some(Caught { message, file: at.file().to_owned(), line: at.line() });
                Some(())
            });
            if expected.is_none() {
                usual(info);
            }
        }));
    });
    LAST.set(Some(None));
    let outcome = panic::catch_unwind(AssertUnwindSafe(f));
    let last = LAST.take().flatten();
    assert!(outcome.is_err(), "nothing panicked");
    last.expect("a panic that the hook saw")
}

/// `fails! { call, message }`: the call panics with this message and names its own line.
macro_rules! fails {
    ($call:expr, $message:expr) => {
        let caught = $crate::panics::caught(|| {
            let _ = $call;
        });
        assert_eq!(caught.message, $message);
        assert_eq!((&*caught.file, caught.line), (file!(), line!()), "{}", caught.message);
    };
}

pub(crate) use fails;
