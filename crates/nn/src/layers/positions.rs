//! Positions in a sequence: added as waves, or as turns of queries and keys.

use wengert_core::{Float, MovementOps, Shape, ShapeError, Tensor, Var, params_generic};

use crate::Module;

/// Adds to `[.., time, width]` at position `t` the waves `sin(t / 10000^(2i / width))` in column `2i`, and
/// their cosines in column `2i + 1`; Vaswani et al. 2017, section 3.5.
#[derive(Clone, Debug)]
pub struct SinusoidalPositions<F: Float = f32> {
    /// Shape `[length, width]`.
    table: Tensor<F>,
}

params_generic! { SinusoidalPositions {; table } }

impl<F: Float> SinusoidalPositions<F> {
    /// For sequences of at most this length.
    pub fn new(length: usize, width: usize) -> Self {
        let table = Tensor::from_fn([length, width], |i| {
            let (t, column) = (i / width, i % width);
            let angle = t as f64 * frequency(10000.0, column / 2, width);
            F::of(if column % 2 == 0 { angle.sin() } else { angle.cos() })
        });
        Self { table }
    }

    /// The same for a sequence whose first position is number `offset`.
    ///
    /// # Panics
    /// If the width is another, or the sequence goes on beyond the length.
    #[track_caller]
    pub fn forward_at<'t>(&self, x: Var<'t, F>, offset: usize) -> Var<'t, F> {
        let _layer = x.tape().layer("SinusoidalPositions");
        let [length, width] = [0, 1].map(|axis| self.table.shape()[axis]);
        let time = time_of("SinusoidalPositions", x.shape(), width, offset, length);
        x + &self.table.narrow(0, offset, time)
    }
}

impl<F: Float> Module<F> for SinusoidalPositions<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        self.forward_at(x, 0)
    }
}

/// Turns pairs of columns of queries and keys `[.., time, width]`: pair `i` at position `t` by the angle
/// `t / base^(2i / width)`. The product of a query and a key then depends on how far they are apart, and not
/// on where they are; Su et al. 2021, <https://arxiv.org/abs/2104.09864>.
///
/// Column `i` is paired with column `i + width / 2`, as in GPT-NeoX and Llama;
/// [`RotaryPositions::interleaved`] pairs neighbours, as the paper does.
#[derive(Clone, Debug)]
pub struct RotaryPositions<F: Float = f32> {
    /// Shape `[length, width / 2]`, as the sines.
    cosines: Tensor<F>,
    sines: Tensor<F>,
    interleaved: bool,
}

params_generic! { RotaryPositions {; cosines, sines, interleaved } }

impl<F: Float> RotaryPositions<F> {
    /// For sequences of at most this length, with base 10000.
    ///
    /// # Panics
    /// If the width is odd.
    #[track_caller]
    pub fn new(length: usize, width: usize) -> Self {
        Self::with_base(length, width, 10000.0)
    }

    /// The same with another base.
    ///
    /// # Panics
    /// If the width is odd.
    #[track_caller]
    pub fn with_base(length: usize, width: usize, base: f64) -> Self {
        assert!(width.is_multiple_of(2), "RotaryPositions: a width of {width} has no pairs");
        let pairs = width / 2;
        let angle = |i: usize| (i / pairs) as f64 * frequency(base, i % pairs, width);
        Self {
            cosines: Tensor::from_fn([length, pairs], |i| F::of(angle(i).cos())),
            sines: Tensor::from_fn([length, pairs], |i| F::of(angle(i).sin())),
            interleaved: false,
        }
    }

    /// With neighbours as pairs, columns `2i` and `2i + 1`.
    pub fn interleaved(self) -> Self {
        Self { interleaved: true, ..self }
    }

    /// The same for a sequence whose first position is number `offset`.
    ///
    /// # Panics
    /// If the width is another, or the sequence goes on beyond the length.
    #[track_caller]
    pub fn forward_at<'t>(&self, x: Var<'t, F>, offset: usize) -> Var<'t, F> {
        let _layer = x.tape().layer("RotaryPositions");
        let (shape, [length, pairs]) = (x.shape(), [0, 1].map(|axis| self.cosines.shape()[axis]));
        let time = time_of("RotaryPositions", shape, 2 * pairs, offset, length);
        // The two of a pair lie along an axis of their own.
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
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        self.forward_at(x, 0)
    }
}

/// `base^(-2i / width)`.
fn frequency(base: f64, i: usize, width: usize) -> f64 {
    base.powf(-2.0 * i as f64 / width as f64)
}

/// The number of positions of `[.., time, width]`.
#[track_caller]
fn time_of(layer: &str, shape: Shape, width: usize, offset: usize, length: usize) -> usize {
    if shape.rank() < 2 || shape[shape.rank() - 1] != width {
        let message = format!("input {shape:?} is not [.., time, {width}]");
        ShapeError::new(message).in_operation(layer).raise();
    }
    let time = shape[shape.rank() - 2];
    if offset + time > length {
        let message = format!(
            "input {shape:?} from position {offset} ends at {}, of {length}",
            offset + time
        );
        ShapeError::new(message).in_operation(layer).raise();
    }
    time
}
