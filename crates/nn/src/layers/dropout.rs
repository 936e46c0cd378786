//! Dropout.

use wengert_core::{Float, Random, Shape, ShapeError, UnaryOps, Var, params_generic};

use crate::Module;

/// In training each element is 0 with probability `p`, else scaled by `1 / (1 - p)`; in evaluation the
/// identity. The draws are a function of the tape's key and the place on it:
/// `seeded(key).gradients(..)`, with another key for each step.
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
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html>, <https://jmlr.org/papers/v15/srivastava14a.html>.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    p: f64,
}

/// [`Dropout`] of whole channels: each plane of `[n, c, h, w]` is dropped or kept as a whole.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout2d.html>
#[derive(Clone, Copy, Debug)]
pub struct Dropout2d {
    p: f64,
}

/// `x` times a mask of this shape in training, `x` in evaluation.
#[track_caller]
fn dropped<F: Float>(x: Var<'_, F>, p: f64, mask: Shape) -> Var<'_, F> {
    if !x.tape().is_training() || p == 0.0 {
        x
    } else if p == 1.0 {
        x.mul_scalar(0.0)
    } else {
        x * x.tape().random(mask, Random::Bernoulli(1.0 - p)).mul_scalar((1.0 - p).recip())
    }
}

macro_rules! dropouts {
    ($($Layer:ident |$shape:ident| $mask:expr;)*) => {$(
        impl $Layer {
            /// Drops with probability `p`.
            ///
            /// # Panics
            /// If `p` is not from 0 to 1.
            #[track_caller]
            pub fn new(p: f64) -> Self {
                let layer = stringify!($Layer);
                assert!((0.0..=1.0).contains(&p), "{layer}: p must be from 0 to 1, not {p}");
                Self { p }
            }
        }

        params_generic! { plain $Layer {; p } }

        impl<F: Float> Module<F> for $Layer {
            #[track_caller]
            fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
                let _layer = x.tape().layer(stringify!($Layer));
                let $shape = x.shape();
                dropped(x, self.p, $mask)
            }
        }
    )*};
}

dropouts! {
    Dropout |shape| shape;
    Dropout2d |shape| match shape.rank() {
        4 => shape.with(2, 1).with(3, 1),
        _ => ShapeError::new(format!("{shape:?} is not [n, c, h, w]")).in_operation("Dropout2d").raise(),
    };
}
