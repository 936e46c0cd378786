//! Entry points of the optimizer for both precisions.
//!
//! A generic function is compiled anew in each crate that calls it. The methods of
//! [`Optimizer`](super::Optimizer) are therefore thin: they call the functions here through pointers,
//! and those are compiled with this crate.

use wengert_core::{Float, Gradients, Params, PerPrecision};

use super::driver::{Checked, Optimizer};
use super::ema::Values;
use super::minimize::Objective;
use super::recipe::Recipe;
use super::report::{LoadReport, RestoreError};
use super::state::OptimizerState;

/// Entry points in precision `F`.
#[expect(clippy::type_complexity, reason = "the signatures of the functions, written out once")]
pub(super) struct Compiled<F: Float> {
    pub(super) new: fn(Recipe) -> Optimizer<F>,
    pub(super) step: fn(&mut Optimizer<F>, &mut dyn Params<F>, &Gradients<F>) -> Checked<()>,
    pub(super) flush: fn(&mut Optimizer<F>, &mut dyn Params<F>) -> Checked<()>,
    pub(super) minimize: fn(&mut Optimizer<F>, &mut dyn Objective<F>) -> Checked<F>,
    pub(super) state: fn(&Optimizer<F>, &dyn Params<F>) -> OptimizerState<F>,
    pub(super) restore:
        fn(&mut Optimizer<F>, &dyn Params<F>, OptimizerState<F>) -> Result<(), RestoreError>,
    pub(super) restore_lenient:
        fn(&mut Optimizer<F>, &dyn Params<F>, OptimizerState<F>) -> LoadReport,
    pub(super) swap_ema: fn(&Optimizer<F>, &mut dyn Params<F>) -> Values<F>,
}

static SINGLE: Compiled<f32> = Compiled::entries();
static DOUBLE: Compiled<f64> = Compiled::entries();

impl<F: Float> Compiled<F> {
    const fn entries() -> Self {
        Compiled {
            new: Optimizer::made,
            step: Optimizer::try_step,
            flush: Optimizer::try_flush,
            minimize: Optimizer::try_minimize,
            state: Optimizer::state_of,
            restore: Optimizer::restore_from,
            restore_lenient: Optimizer::restore_what_fits,
            swap_ema: Optimizer::swap_ema,
        }
    }

    /// Returns the entry points in precision `F`.
    pub(super) fn of() -> &'static Self {
        F::run::<Entries>(())
    }
}

struct Entries;

impl PerPrecision<'_> for Entries {
    type Input<F: Float> = ();
    type Output<F: Float> = &'static Compiled<F>;
    fn f32(_: ()) -> &'static Compiled<f32> {
        &SINGLE
    }
    fn f64(_: ()) -> &'static Compiled<f64> {
        &DOUBLE
    }
}
