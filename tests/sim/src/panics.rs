//! Panics of tasks, which a runtime swallows. In: nothing. Out: what was said by those of this thread.

use std::{cell::RefCell, panic, sync::Once};

thread_local! {
    static TAKEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static WATCHED: RefCell<bool> = const { RefCell::new(false) };
}

static HOOK: Once = Once::new();

/// From now on panics of this thread are kept, and not printed.
pub fn watch() {
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if WATCHED.with_borrow(|watched| *watched) {
                TAKEN.with_borrow_mut(|taken| taken.push(info.to_string()));
            } else {
                before(info);
            }
        }));
    });
    WATCHED.set(true);
    TAKEN.take();
}

/// The panics since then.
pub fn taken() -> Vec<String> {
    WATCHED.set(false);
    TAKEN.take()
}
