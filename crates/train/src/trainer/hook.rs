//! Hooks: code of a program that training calls.

use super::{Step, Trainer};

/// Code that runs after each step of a training.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::{Linear, optim::Optimizer};
/// use wengert_train::data::{Batches, Dataset, Targets};
/// use wengert_train::trainer::{Flow, Hook, Model, Step, Stop, Trainer};
///
/// /// Stops once the loss is small.
/// struct Enough(f32);
///
/// impl<M: Model> Hook<M> for Enough {
///     fn after_step(&mut self, _: &mut Trainer<M>, step: &Step) -> Flow {
///         if step.loss < self.0 { Flow::Stop } else { Flow::Continue }
///     }
/// }
///
/// let line = Linear::from_tensors(Tensor::from([[0.0]]), None);
/// let data = Dataset::new(Tensor::from([[1.0]]), Targets::Values(Tensor::from([[3.0]])));
/// let optimizer = Optimizer::from_toml("kind = 'sgd'\nlr = 0.1")?;
/// let mut trainer = Trainer::new(line, optimizer, data).epochs(1000);
/// let stop = trainer.run(&mut [&mut Enough(1e-3)])?;
/// assert_eq!(stop, Stop::Hook);
/// assert!(trainer.progress().step < 30);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Hook<M> {
    /// Sees a step that was made, and the trainer after it. Default: training continues.
    fn after_step(&mut self, trainer: &mut Trainer<M>, step: &Step) -> Flow {
        let _ = (trainer, step);
        Flow::Continue
    }
}

/// Decision of a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Training continues.
    Continue,
    /// Training stops after this step, and may be resumed.
    Stop,
}

/// Shows a person how a run is going. The library prints nothing by itself.
///
/// Every method does nothing by default.
pub trait Reporter {
    /// Tells that a training begins, or goes on after `step` of `total` steps.
    fn begin(&mut self, step: u64, total: u64) {
        let _ = (step, total);
    }

    /// Shows a step of `total`.
    fn step(&mut self, step: &Step, total: u64) {
        let _ = (step, total);
    }

    /// Says something that is no mistake of the user: a damaged checkpoint that was passed over, a file written.
    fn note(&mut self, text: &str) {
        let _ = text;
    }

    /// Tells that the training is over.
    fn end(&mut self) {}
}

/// Shows nothing.
impl Reporter for () {}
