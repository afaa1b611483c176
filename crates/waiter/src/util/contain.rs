//! Runs user code, so that a panic in it stays its own affair.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many panics in a row from destructors of panic payloads are caught before a payload is leaked.
const MAX_PAYLOADS: u32 = 8;

/// Runs user code. Returns the message of its panic, if it panics.
pub(crate) fn contain<T>(user_code: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(user_code)).map_err(|payload| {
        let message = message(&*payload);
        discard(payload);
        message
    })
}

/// Drops a value of the user's, whose destructor may panic.
pub(crate) fn contain_drop<T>(value: T) {
    // The message has been printed by the panic hook; here it means nothing to any wait.
    let _ = contain(|| drop(value));
}

/// Drops a panic payload, whose destructor may panic with another one.
fn discard(payload: Box<dyn Any + Send>) {
    let mut next = payload;
    for _ in 0..MAX_PAYLOADS {
        match catch_unwind(AssertUnwindSafe(|| drop(next))) {
            Ok(()) => return,
            Err(payload) => next = payload,
        }
    }
    std::mem::forget(next);
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::panic_any;

    /// Panics when it is dropped, with another one of its kind as the payload.
    struct Chain(u32);

    impl Drop for Chain {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic_any(Self(self.0 - 1));
            }
        }
    }

    #[test]
    fn panics_and_the_destructors_of_their_payloads_are_contained() {
        assert_eq!(contain(|| 7), Ok(7));
        assert_eq!(contain(|| panic!("text")), Err::<(), _>("text".to_owned()));
        assert_eq!(contain(|| panic!("{}", 1)), Err::<(), _>("1".to_owned()));
        assert_eq!(contain(|| panic_any(Chain(3))), Err::<(), _>("(no message)".to_owned()));
        assert_eq!(contain(|| panic_any(Chain(1_000))), Err::<(), _>("(no message)".to_owned()));
        contain_drop(Chain(2));
    }
}
