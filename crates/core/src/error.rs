//! Shape mistakes: what is wrong, and how it reaches the caller.

use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Description of shapes that do not fit an operation.
///
/// [`Op::shape`](crate::Op::shape) returns it. Applying the operation then panics at the caller's line;
/// inside [`eval_shape`](crate::eval_shape) the error is returned instead.
///
/// ```
/// use wengert_core::{Shape, ShapeError};
///
/// let error = Shape::from([2, 3]).axis(2).unwrap_err();
/// assert_eq!(error.to_string(), "axis 2 does not exist in [2, 3]");
/// assert_eq!(error.in_operation("sum").to_string(), "sum: axis 2 does not exist in [2, 3]");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ShapeError(Box<str>);

impl ShapeError {
    /// Creates an error with this message, which should name both shapes and the axis that disagrees.
    #[cold]
    pub fn new(message: impl Into<Box<str>>) -> Self {
        Self(message.into())
    }

    /// Puts the name of the operation in front of the message.
    #[cold]
    pub fn in_operation(self, name: &str) -> Self {
        Self(format!("{name}: {}", self.0).into())
    }

    /// Panics with this message at the caller's line. Layers and functions that check shapes
    /// themselves call it. Inside [`eval_shape`](crate::eval_shape) the error is returned instead.
    ///
    /// # Panics
    /// Always.
    #[cold]
    #[track_caller]
    pub fn raise(self) -> ! {
        if CATCHING.get() {
            // Unwinds past the panic hook: nothing is printed, because the error is about to be returned.
            resume_unwind(Box::new(self));
        }
        panic!("{self}")
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Prints the message, so that `fn main() -> Result<(), ShapeError>` reports it readably.
impl fmt::Debug for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ShapeError {}

thread_local! {
    /// Whether this thread is inside [`catch_shape_error`].
    static CATCHING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` and returns the first shape mistake raised in it. Other panics continue.
pub(crate) fn catch_shape_error<R>(f: impl FnOnce() -> R) -> Result<R, ShapeError> {
    let outer = CATCHING.replace(true);
    let result = catch_unwind(AssertUnwindSafe(f));
    CATCHING.set(outer);
    result.map_err(|panic| match panic.downcast::<ShapeError>() {
        Ok(error) => *error,
        Err(other) => resume_unwind(other),
    })
}

/// The name of the enclosing function, for messages. A macro, because a function cannot see its caller's name.
macro_rules! function_name {
    () => {{
        fn here() {}
        $crate::error::enclosing_function(std::any::type_name_of_val(&here))
    }};
}

/// Unwraps a `Result<_, ShapeError>`; an error panics under the name of the enclosing function, at the line of
/// that function's caller.
macro_rules! expect_shape {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(error) => error.in_operation($crate::error::function_name!()).raise(),
        }
    };
}

/// Panics like [`expect_shape`] unless the condition holds, with a message made as by `format!`.
macro_rules! ensure_shape {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            $crate::error::expect_shape!(Err($crate::ShapeError::new(format!($($message)+))))
        }
    };
}

pub(crate) use {ensure_shape, expect_shape, function_name};

/// The function's name in the path of an item inside it: `sum_axes` in `ops::ReduceOps::sum_axes::here`.
#[cold]
pub(crate) fn enclosing_function(path_of_item: &'static str) -> &'static str {
    let mut names = path_of_item.rsplit("::").skip(1);
    names.find(|name| *name != "{{closure}}").unwrap_or(path_of_item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_macro_knows_the_function_around_it() {
        assert_eq!(function_name!(), "a_macro_knows_the_function_around_it");
        let inside = || function_name!();
        assert_eq!(inside(), "a_macro_knows_the_function_around_it");
    }

    #[test]
    fn shape_mistakes_are_caught_and_other_panics_continue() {
        let error = catch_shape_error(|| ShapeError::new("wrong").raise());
        assert_eq!(error, Err::<(), _>(ShapeError::new("wrong")));
        let other = catch_unwind(|| catch_shape_error(|| resume_unwind(Box::new(7))));
        assert_eq!(other.unwrap_err().downcast_ref(), Some(&7));
        assert!(!CATCHING.get());
    }
}
