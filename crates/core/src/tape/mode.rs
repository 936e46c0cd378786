//! The mode of a part of a model.

use crate::Float;
use crate::tape::record::{Mode, Tape};

/// # Modes
impl<F: Float> Tape<F> {
    /// Runs `f` with layers in evaluation mode, whatever the mode of the tape: batch norms use their running
    /// statistics and leave them as they are, and dropout changes nothing.
    ///
    /// Use it for a teacher beside a student that trains, or to fine-tune a model whose statistics stay. Only the
    /// mode changes: parameters inside still receive gradients unless they are frozen. PyTorch's
    /// `part.eval()`.
    ///
    /// ```
    /// use wengert_core::Tape;
    ///
    /// let tape = Tape::<f32>::new();
    /// assert!(tape.is_training());
    /// assert!(!tape.eval_mode(|| tape.is_training()));
    /// assert!(tape.is_training());
    /// ```
    pub fn eval_mode<R>(&self, f: impl FnOnce() -> R) -> R {
        let outer = self.mode.get();
        self.mode.set(Mode { training: false, ..outer });
        let _restore = Restore { tape: self, mode: outer };
        f()
    }
}

/// Gives the tape its mode back, also when `f` panics.
struct Restore<'t, F: Float> {
    tape: &'t Tape<F>,
    mode: Mode,
}

impl<F: Float> Drop for Restore<'_, F> {
    fn drop(&mut self) {
        self.tape.mode.set(self.mode);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::Tape;

    #[test]
    fn the_mode_is_restored_also_after_a_panic() {
        let tape = Tape::<f64>::new();
        tape.eval_mode(|| {
            tape.eval_mode(|| assert!(!tape.is_training()));
            assert!(!tape.is_training());
        });
        assert!(tape.is_training());
        let fails = || tape.eval_mode::<()>(|| panic!("a panic that is expected"));
        assert!(catch_unwind(AssertUnwindSafe(fails)).is_err());
        assert!(tape.is_training());
    }
}
