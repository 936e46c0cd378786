//! Shape mistakes: what is wrong, and how it reaches the caller.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

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
        let is_caught = match CATCHING.get() {
            Catching::Nothing => false,
            Catching::LinesIn(folder) => Location::caller().file().starts_with(folder),
            Catching::All => true,
        };
        if is_caught {
            // Unwinds past the panic hook: nothing is printed, because the error goes on from where it is caught.
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

/// The shape mistakes that are caught on their way to the user.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Catching {
    Nothing,
    /// Those whose line is in this folder of sources.
    LinesIn(&'static str),
    All,
}

thread_local! {
    static CATCHING: Cell<Catching> = const { Cell::new(Catching::Nothing) };
}

/// Runs `f` and returns the first shape mistake raised in it. Other panics continue.
pub(crate) fn catch_shape_error<R>(f: impl FnOnce() -> R) -> Result<R, ShapeError> {
    catch(Catching::All, f)
}

fn catch<R>(what: Catching, f: impl FnOnce() -> R) -> Result<R, ShapeError> {
    let outer = CATCHING.replace(what);
    let result = catch_unwind(AssertUnwindSafe(f));
    CATCHING.set(outer);
    result.map_err(|panic| match panic.downcast::<ShapeError>() {
        Ok(error) => *error,
        Err(other) => resume_unwind(other),
    })
}

/// Runs `f`. A shape mistake raised in it at a line of a file in `folder` panics at the caller's line instead.
///
/// A call through `dyn` loses the line of its caller, so a mistake in a layer behind `Box<dyn Module>` would show
/// the line of that layer. A container wraps such calls, and passes the folder of the sources whose lines mean
/// nothing to its user. Lines elsewhere, such as those of the user's own layers, are shown as they are.
///
/// In a program built with `panic = "abort"` this just runs `f`.
///
/// ```should_panic
/// # use wengert_core::{Tensor, MatmulOps, at_caller};
/// // The name of this file, as the compiler knows it, without its end.
/// const FOLDER: &str = file!().split_at(file!().len() - 3).0;
/// let x = Tensor::<f32>::ones([2, 3]);
/// at_caller(FOLDER, || x.matmul(&x)); // Panics at this line.
/// ```
#[track_caller]
pub fn at_caller<R>(folder: &'static str, f: impl FnOnce() -> R) -> R {
    if cfg!(panic = "abort") || CATCHING.get() == Catching::All {
        return f();
    }
    match catch(Catching::LinesIn(folder), f) {
        Ok(result) => result,
        Err(mistake) => mistake.raise(),
    }
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

/// Continues a panic from inside an operation, at the caller's line. The message tells what was going on and which line
/// recorded the operation.
#[cold]
#[track_caller]
pub(crate) fn rethrow(
    panic: Box<dyn Any + Send>,
    doing: &str,
    op: &str,
    recorded: &Location<'_>,
) -> ! {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    let text = text.or_else(|| panic.downcast_ref::<ShapeError>().map(ShapeError::to_string));
    match text {
        Some(text) => panic!("{text}\n  while {doing} {op} recorded at {recorded}"),
        None => resume_unwind(panic),
    }
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
        assert_eq!(CATCHING.get(), Catching::Nothing);
    }
}
