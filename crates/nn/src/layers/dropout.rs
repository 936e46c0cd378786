//! Dropout.

use wengert_core::{Float, Random, Shape, UnaryOps, Var, params_generic};

use super::mismatch;
use crate::{Module, validate};

/// Dropout: sets each element to 0 with probability `p` and multiplies the others by `1 / (1 - p)`.
///
/// This holds in training only; in evaluation the layer is the identity. The draws depend on the tape's key
/// and on the layer's place on the tape, so a training step passes a new key: `seeded(step).gradients(..)`.
///
/// * Input and output: any shape.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html>, Srivastava et al. 2014,
/// <https://jmlr.org/papers/v15/srivastava14a.html>.
///
/// ```
/// use wengert_core::{Tensor, evaluate, seeded};
/// use wengert_nn::{Dropout, Module};
///
/// let (drop, x) = (Dropout::new(0.5), Tensor::<f32>::ones([8]));
/// let tape = seeded(1).tape();
/// let y = drop.forward(tape.constant(&x)).value();
/// assert!(y.as_slice().iter().all(|&y| y == 0.0 || y == 2.0));
/// assert_eq!(evaluate(|tape| drop.forward(tape.constant(&x))), x);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    p: f64,
}

impl Dropout {
    /// Returns a layer that drops each element with probability `p`.
    ///
    /// # Panics
    /// If `p` is outside `0..=1`.
    #[track_caller]
    pub fn new(p: f64) -> Self {
        Self { p: validate::fraction("Dropout: p", p) }
    }
}

params_generic! { plain Dropout {; p } }

impl<F: Float> Module<F> for Dropout {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Dropout");
        apply_dropout("Dropout", x, self.p, x.shape())
    }
}

/// Dropout of whole channels: sets each plane of `[n, channels, height, width]` to 0 with probability `p`
/// and multiplies the others by `1 / (1 - p)`. In evaluation the layer is the identity.
///
/// * Input and output: `[n, channels, height, width]`.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout2d.html>
///
/// ```
/// use wengert_core::{Tensor, seeded};
/// use wengert_nn::{Dropout2d, Module};
///
/// let tape = seeded(1).tape();
/// let x = tape.constant(&Tensor::<f32>::ones([1, 3, 2, 2]));
/// let y = Dropout2d::new(0.5).forward(x).value();
/// assert!(y.as_slice().chunks(4).all(|plane| plane == [0.0; 4] || plane == [2.0; 4]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Dropout2d {
    p: f64,
}

impl Dropout2d {
    /// Returns a layer that drops each channel with probability `p`.
    ///
    /// # Panics
    /// If `p` is outside `0..=1`.
    #[track_caller]
    pub fn new(p: f64) -> Self {
        Self { p: validate::fraction("Dropout2d: p", p) }
    }
}

params_generic! { plain Dropout2d {; p } }

impl<F: Float> Module<F> for Dropout2d {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Dropout2d");
        let shape = x.shape();
        if shape.rank() != 4 {
            mismatch("Dropout2d", x, "[n, channels, height, width]");
        }
        apply_dropout("Dropout2d", x, self.p, [shape[0], shape[1], 1, 1].into())
    }
}

/// Multiplies `x` by a random mask of this shape in training, and returns it unchanged in evaluation.
#[track_caller]
fn apply_dropout<'t, F: Float>(layer: &str, x: Var<'t, F>, p: f64, mask: Shape) -> Var<'t, F> {
    let tape = x.tape();
    if !tape.is_training() || p == 0.0 {
        return x;
    }
    // Nothing is drawn, so no key is needed. The product lets a gradient of zeros arrive.
    if p == 1.0 {
        return x.mul_scalar(0.0);
    }
    assert!(
        tape.seed().is_some(),
        "{layer}: this tape has no key to draw from; record with `seeded(key).gradients(..)`, another \
         key for each step"
    );
    x * tape.random(mask, Random::Bernoulli(1.0 - p)).mul_scalar((1.0 - p).recip())
}
