//! One variable or several, as closures return them.

use crate::{Float, Var};

/// What a closure of [`Tape::checkpoint`](crate::Tape::checkpoint) or [`Tape::temporarily`](crate::Tape::temporarily)
/// returns: a variable, an array, vector, option or tuple of them, or nothing.
///
/// ```
/// use wengert_core::{Tape, Tensor, UnaryOps};
///
/// let tape = Tape::<f64>::new();
/// let x = tape.variable(&Tensor::scalar(0.0));
/// let [sin, cos] = tape.checkpoint(|| [x.sin().exp(), x.cos().exp()]);
/// assert_eq!((sin.item(), cos.item()), (1.0, 1f64.exp()));
/// ```
pub trait Outputs<'t, F: Float>: Sized {
    /// Replaces each variable by another, in order.
    fn map_vars(self, f: &mut dyn FnMut(Var<'t, F>) -> Var<'t, F>) -> Self;
}

impl<'t, F: Float> Outputs<'t, F> for Var<'t, F> {
    fn map_vars(self, f: &mut dyn FnMut(Var<'t, F>) -> Var<'t, F>) -> Self {
        f(self)
    }
}

impl<'t, F: Float, O: Outputs<'t, F>, const N: usize> Outputs<'t, F> for [O; N] {
    fn map_vars(self, f: &mut dyn FnMut(Var<'t, F>) -> Var<'t, F>) -> Self {
        self.map(|part| part.map_vars(f))
    }
}

impl<'t, F: Float, O: Outputs<'t, F>> Outputs<'t, F> for Vec<O> {
    fn map_vars(self, f: &mut dyn FnMut(Var<'t, F>) -> Var<'t, F>) -> Self {
        self.into_iter().map(|part| part.map_vars(f)).collect()
    }
}

impl<'t, F: Float, O: Outputs<'t, F>> Outputs<'t, F> for Option<O> {
    fn map_vars(self, f: &mut dyn FnMut(Var<'t, F>) -> Var<'t, F>) -> Self {
        self.map(|part| part.map_vars(f))
    }
}

impl<'t, F: Float> Outputs<'t, F> for () {
    fn map_vars(self, _: &mut dyn FnMut(Var<'t, F>) -> Var<'t, F>) -> Self {}
}

impl<'t, F: Float, A: Outputs<'t, F>, B: Outputs<'t, F>> Outputs<'t, F> for (A, B) {
    fn map_vars(self, f: &mut dyn FnMut(Var<'t, F>) -> Var<'t, F>) -> Self {
        (self.0.map_vars(f), self.1.map_vars(f))
    }
}

impl<'t, F: Float, A, B, C> Outputs<'t, F> for (A, B, C)
where
    A: Outputs<'t, F>,
    B: Outputs<'t, F>,
    C: Outputs<'t, F>,
{
    fn map_vars(self, f: &mut dyn FnMut(Var<'t, F>) -> Var<'t, F>) -> Self {
        (self.0.map_vars(f), self.1.map_vars(f), self.2.map_vars(f))
    }
}
