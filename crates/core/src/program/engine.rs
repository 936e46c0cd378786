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

/// A way to run.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum How {
    /// There is no recording for such inputs and such a model yet.
    Record,
    /// The recording runs again.
    Replay,
    /// The closure is recorded again, to see whether it still records the same.
    Check,
}

/// All of a program that does not depend on the types of its closure.
pub(crate) struct Engine<F: Float> {
    /// The recordings, the one that ran last in front.
    pub(super) recorded: Vec<Recorded<F>>,
    pub(super) gradients: Gradients<F>,
    /// The gradients of each part of a batch, whose memory serves again.
    pub(super) parts: Vec<Gradients<F>>,
}

impl<F: Float> Engine<F> {
    pub(crate) fn new() -> Self {
        let gradients = Gradients::from_params(Vec::new());
        Self { recorded: Vec::new(), gradients, parts: Vec::new() }
    }

    /// The gradients of the last run.
    pub(crate) fn gradients(&self) -> &Gradients<F> {
        &self.gradients
    }

    #[track_caller]
    pub(super) fn run(&mut self, call: &Call<'_, F>) -> Outcome<F> {
        let how = self.choose(call);
        self.run_as(how, call)
    }

    /// Chooses how to run. The recording for this call, if there is one, is in front then, with the values loaded.
    pub(super) fn choose(&mut self, call: &Call<'_, F>) -> How {
        let Some(place) = self.recorded.iter_mut().position(|recorded| recorded.load(call)) else {
            return How::Record;
        };
        self.recorded[..=place].rotate_right(1);
        if self.recorded[0].is_checked_now() { How::Check } else { How::Replay }
    }

    #[track_caller]
    pub(super) fn run_as(&mut self, how: How, call: &Call<'_, F>) -> Outcome<F> {
        let value = match how {
            How::Replay => self.recorded[0].replay(call, &mut self.gradients),
            How::Check => {
                let mut again = Recorded::new(call);
                self.recorded[0].check_same(&again);
                self.recorded[0].unload();
                again.first_run(call.cotangent, &mut self.gradients)
            }
            How::Record => {
                let mut recorded = Recorded::new(call);
                let value = recorded.first_run(call.cotangent, &mut self.gradients);
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
