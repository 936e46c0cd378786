//! Positions in a sequence: added as waves, or applied as rotations of queries and keys.

use wengert_core::{Float, MovementOps, Tensor, Var, params_generic};

use super::{mismatch, refuse};
use crate::Module;

/// Sinusoidal positions: adds `sin(t / 10000^(2i / width))` to column `2i` of position `t`, and the
/// cosine of the same angle to column `2i + 1`.
///
/// * Input and output: `[.., time, width]`.
///
/// Vaswani et al. 2017, section 3.5, <https://arxiv.org/abs/1706.03762>.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{Module, SinusoidalPositions};
///
/// let positions = SinusoidalPositions::<f64>::new(100, 4);
/// let y = evaluate(|tape| positions.forward(tape.constant(&Tensor::zeros([2, 4]))));
/// assert_eq!(y.as_slice()[..4], [0.0, 1.0, 0.0, 1.0]);
/// assert_eq!(y.as_slice()[4], 1f64.sin());
/// ```
#[derive(Clone, Debug)]
pub struct SinusoidalPositions<F: Float = f32> {
    /// Shape `[length, width]`.
    table: Tensor<F>,
}

params_generic! { SinusoidalPositions {; table } }

impl<F: Float> SinusoidalPositions<F> {
    /// Returns positions for sequences of up to `length` positions of this width.
    pub fn new(length: usize, width: usize) -> Self {
        let table = Tensor::from_fn([length, width], |i| {
            let (t, column) = (i / width, i % width);
            let angle = t as f64 * frequency(10000.0, column / 2, width);
            F::of(if column % 2 == 0 { angle.sin() } else { angle.cos() })
        });
        Self { table }
    }

    /// Records the sum for a sequence that starts at position `offset`, for example after a cached prefix.
    ///
    /// # Panics
    /// If the width differs, or the sequence ends after `length`.
    #[track_caller]
    pub fn forward_at<'t>(&self, x: Var<'t, F>, offset: usize) -> Var<'t, F> {
        let _layer = x.tape().layer("SinusoidalPositions");
        let [length, width] = [0, 1].map(|axis| self.table.shape()[axis]);
        let time = expect_sequence("SinusoidalPositions", x, width, offset, length);
        x + &self.table.narrow(0, offset, time)
    }
}

impl<F: Float> Module<F> for SinusoidalPositions<F> {
    /// Records the sum for a sequence that starts at position 0.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        self.forward_at(x, 0)
    }
}

/// Rotary positions: rotates pairs of columns of queries and keys, pair `i` at position `t` by the angle
/// `t / base^(2i / width)`.
///
/// The product of a query and a key then depends on the distance between them, and not on their
/// positions. Column `i` is paired with column `i + width / 2`, as in GPT-NeoX and Llama;
/// [`RotaryPositions::interleaved`] pairs neighbors, as in the paper.
///
/// * Input and output: `[.., time, width]`.
///
/// Su et al. 2021, <https://arxiv.org/abs/2104.09864>.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{Module, RotaryPositions};
///
/// let positions = RotaryPositions::<f64>::new(100, 2);
/// let x = Tensor::from([[1.0, 0.0], [1.0, 0.0]]);
/// let y = evaluate(|tape| positions.forward(tape.constant(&x)));
/// assert_eq!(y, Tensor::from([[1.0, 0.0], [1f64.cos(), 1f64.sin()]]));
/// ```
#[derive(Clone, Debug)]
pub struct RotaryPositions<F: Float = f32> {
    /// Shape `[length, width / 2]`.
    cosines: Tensor<F>,
    /// Shape `[length, width / 2]`.
    sines: Tensor<F>,
    interleaved: bool,
}

params_generic! { RotaryPositions {; cosines, sines, interleaved } }

impl<F: Float> RotaryPositions<F> {
    /// Returns positions for sequences of up to `length` positions of this width, with base 10000.
    ///
    /// # Panics
    /// If the width is odd.
    #[track_caller]
    pub fn new(length: usize, width: usize) -> Self {
        Self::with_base(length, width, 10000.0)
    }

    /// Returns positions with another base.
    ///
    /// # Panics
    /// If the width is odd.
    #[track_caller]
    pub fn with_base(length: usize, width: usize, base: f64) -> Self {
        assert!(width.is_multiple_of(2), "RotaryPositions: width must be even, not {width}");
        let pairs = width / 2;
        let angle = |i: usize| (i / pairs) as f64 * frequency(base, i % pairs, width);
        Self {
            cosines: Tensor::from_fn([length, pairs], |i| F::of(angle(i).cos())),
            sines: Tensor::from_fn([length, pairs], |i| F::of(angle(i).sin())),
            interleaved: false,
        }
    }

    /// Pairs neighboring columns, `2i` and `2i + 1`.
    pub fn interleaved(self) -> Self {
        Self { interleaved: true, ..self }
    }

    /// Records the rotation of a sequence that starts at position `offset`, for example after a cached
    /// prefix.
    ///
    /// # Panics
    /// If the width differs, or the sequence ends after `length`.
    #[track_caller]
    pub fn forward_at<'t>(&self, x: Var<'t, F>, offset: usize) -> Var<'t, F> {
        let _layer = x.tape().layer("RotaryPositions");
        let (shape, [length, pairs]) = (x.shape(), [0, 1].map(|axis| self.cosines.shape()[axis]));
        let time = expect_sequence("RotaryPositions", x, 2 * pairs, offset, length);
        // The two columns of a pair lie along an axis of their own.
        let (axis, pair) = if self.interleaved { (-1, [pairs, 2]) } else { (-2, [2, pairs]) };
        let split = [&shape[..shape.rank() - 1], &pair].concat();
        let x = x.reshape(split.as_slice());
        let (a, b) = (x.narrow(axis, 0, 1), x.narrow(axis, 1, 1));
        let cosine = x.tape().constant(&self.cosines.narrow(0, offset, time).unsqueeze(axis));
        let sine = x.tape().constant(&self.sines.narrow(0, offset, time).unsqueeze(axis));
        Var::concat(&[a * cosine - b * sine, a * sine + b * cosine], axis).reshape(shape)
    }
}

impl<F: Float> Module<F> for RotaryPositions<F> {
    /// Records the rotation of a sequence that starts at position 0.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        self.forward_at(x, 0)
    }
}

/// Returns `base^(-2i / width)`.
fn frequency(base: f64, i: usize, width: usize) -> f64 {
    base.powf(-2.0 * i as f64 / width as f64)
}

/// Returns the number of positions of `[.., time, width]`, which must lie within the table.
#[track_caller]
fn expect_sequence<F: Float>(
    layer: &str,
    x: Var<'_, F>,
    width: usize,
    offset: usize,
    length: usize,
) -> usize {
    let shape = x.shape();
    if shape.rank() < 2 || shape[shape.rank() - 1] != width {
        mismatch(layer, x, format_args!("[.., time, {width}]"));
    }
    let time = shape[shape.rank() - 2];
    let end = offset.saturating_add(time);
    if end > length {
        let message =
            format!("input {shape:?} from position {offset} ends at {end}, after {length}");
        refuse(layer, x, message);
    }
    time
}
