//! The recordings of a program, and the choice between them.

use std::fmt::{self, Debug};
use std::marker::PhantomData;

use crate::float::PerPrecision;
use crate::program::call::{Call, Outcome};
use crate::program::recorded::Recorded;
use crate::tensor::pool;
use crate::{Float, Gradients};

/// Number of recordings that a program keeps; the one that was not used for the longest time goes first.
const KEPT: usize = 8;

/// All of a program that does not depend on the types of its closure.
pub(crate) struct Engine<F: Float> {
    /// The recordings, the one that ran last in front.
    pub(super) recorded: Vec<Recorded<F>>,
    gradients: Gradients<F>,
}

impl<F: Float> Engine<F> {
    pub(crate) fn new() -> Self {
        Self { recorded: Vec::new(), gradients: Gradients::from_params(Vec::new()) }
    }

    /// The gradients of the last run.
    pub(crate) fn gradients(&self) -> &Gradients<F> {
        &self.gradients
    }

    #[track_caller]
    pub(super) fn run(&mut self, call: &Call<'_, F>) -> Outcome<F> {
        let value = match self.recorded.iter_mut().position(|recorded| recorded.load(call)) {
            Some(place) => {
                self.recorded[..=place].rotate_right(1);
                let recorded = &mut self.recorded[0];
                if recorded.is_checked_now() {
                    // Recorded again, to see whether the closure still records the same.
                    let mut again = Recorded::new(call);
                    recorded.check_same(&again);
                    recorded.unload();
                    again.first_run(&mut self.gradients)
                } else {
                    recorded.replay(call, &mut self.gradients)
                }
            }
            None => {
                let mut recorded = Recorded::new(call);
                let value = recorded.first_run(&mut self.gradients);
                self.recorded.truncate(KEPT - 1);
                self.recorded.insert(0, recorded);
                value
            }
        };
        pool::end_step::<F>();
        value
    }
}

impl<F: Float> Debug for Engine<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} recordings, {}", self.recorded.len(), F::NAME)
    }
}

/// Job of [`Engine::run`], compiled once for each precision.
pub(crate) struct RunProgram<'x>(PhantomData<&'x ()>);

impl<'a> PerPrecision<'a> for RunProgram<'a> {
    type Input<F: Float> = (&'a mut Engine<F>, &'a Call<'a, F>);
    type Output<F: Float> = Outcome<F>;
    fn f32((engine, call): Self::Input<f32>) -> Outcome<f32> {
        engine.run(call)
    }
    fn f64((engine, call): Self::Input<f64>) -> Outcome<f64> {
        engine.run(call)
    }
}
