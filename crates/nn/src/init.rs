//! Initial values of weights, drawn from a generator that the caller passes.
//!
//! A weight has shape `[outputs, inputs, ..]`; the axes after the first two are the kernel of a
//! convolution. Its fan-in is `inputs` times the size of the kernel, its fan-out `outputs` times that
//! size.
//!
//! The short forms have PyTorch's defaults. The forms `.._with` take all settings. Source of the definitions:
//! <https://docs.pytorch.org/docs/stable/nn.init.html>.
//!
//! ```
//! use rand::{SeedableRng, rngs::ChaCha8Rng};
//! use wengert_core::{Tensor, UnaryOps, ReduceOps};
//! use wengert_nn::init;
//!
//! let rng = &mut ChaCha8Rng::seed_from_u64(0);
//! let weight: Tensor<f64> = init::xavier_uniform([2, 4], rng);
//! // Within sqrt(6 / (fan_in + fan_out)).
//! assert!(weight.abs().max().item() <= 1.0);
//! ```

use rand::{Rng, RngExt};
use wengert_core::{Float, MovementOps, Shape, Tensor, UnaryOps};

/// Returns fan-in and fan-out of a weight of this shape.
///
/// ```
/// // A convolution from 3 to 8 channels with a kernel of 5 x 5.
/// assert_eq!(wengert_nn::init::fans([8, 3, 5, 5].into()), (75, 200));
/// ```
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn fans(shape: Shape) -> (usize, usize) {
    assert!(shape.rank() >= 2, "fans: {shape:?} has fewer than two axes");
    let window = shape[2..].iter().product::<usize>();
    (shape[1] * window, shape[0] * window)
}

/// The fan that scales a Kaiming initializer. Default: `In`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fan {
    /// The fan-in, which keeps the variance of the values in the forward pass.
    #[default]
    In,
    /// The fan-out, which keeps the variance of the gradients in the backward pass.
    Out,
}

impl Fan {
    #[track_caller]
    fn of(self, shape: Shape) -> f64 {
        let (fan_in, fan_out) = fans(shape);
        (if self == Self::In { fan_in } else { fan_out }) as f64
    }
}

/// A nonlinearity that follows a layer, for [`calculate_gain`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Nonlinearity {
    /// The identity: another linear layer or convolution follows.
    Linear,
    /// The sigmoid.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// The rectified linear unit.
    Relu,
    /// The leaky rectified linear unit with this slope below 0.
    LeakyRelu(f64),
    /// The scaled exponential linear unit.
    Selu,
}

/// Returns the gain with which weights should be scaled so that the nonlinearity keeps the variance.
///
/// It is 1 for the identity and the sigmoid, 5/3 for tanh, `sqrt(2)` for ReLU, `sqrt(2 / (1 + slope^2))`
/// for leaky ReLU and 3/4 for SELU.
///
/// ```
/// use wengert_nn::init::{Nonlinearity, calculate_gain};
///
/// assert_eq!(calculate_gain(Nonlinearity::Tanh), 5.0 / 3.0);
/// ```
pub fn calculate_gain(nonlinearity: Nonlinearity) -> f64 {
    match nonlinearity {
        Nonlinearity::Linear | Nonlinearity::Sigmoid => 1.0,
        Nonlinearity::Tanh => 5.0 / 3.0,
        Nonlinearity::Relu => 2f64.sqrt(),
        Nonlinearity::LeakyRelu(slope) => (2.0 / (1.0 + slope * slope)).sqrt(),
        Nonlinearity::Selu => 0.75,
    }
}

/// Returns a tensor filled with `value`.
#[track_caller]
pub fn constant<F: Float>(shape: impl Into<Shape>, value: f64) -> Tensor<F> {
    Tensor::full(shape, F::of(value))
}

/// Draws from the uniform distribution between `-bound` and `bound`.
#[track_caller]
pub fn uniform<F: Float>(shape: impl Into<Shape>, bound: f64, rng: &mut impl Rng) -> Tensor<F> {
    Tensor::uniform(shape, -bound, bound, rng)
}

/// Draws from the normal distribution with mean 0 and this standard deviation.
#[track_caller]
pub fn normal<F: Float>(shape: impl Into<Shape>, std: f64, rng: &mut impl Rng) -> Tensor<F> {
    Tensor::randn(shape, rng).mul_scalar(std)
}

/// Draws from the normal distribution with this mean and standard deviation, conditioned on lying between
/// `low` and `high`: PyTorch's `trunc_normal_`, whose default is `[-2.0, 2.0]`.
///
/// The bounds are absolute, not multiples of the standard deviation.
///
/// # Panics
/// If `low` is not below `high`, or the standard deviation not above 0.
#[track_caller]
pub fn truncated_normal<F: Float>(
    shape: impl Into<Shape>,
    mean: f64,
    std: f64,
    [low, high]: [f64; 2],
    rng: &mut impl Rng,
) -> Tensor<F> {
    assert!(
        low < high && std > 0.0,
        "truncated_normal: expected low < high and std > 0, found low {low}, high {high}, std {std}"
    );
    let (below, above) = ((low - mean) / std, (high - mean) / std);
    // Rejection sampling from uniform draws, in units of the standard deviation. The density is largest
    // at `mode`. Nine standard deviations from there it is below the resolution of a draw of 53 bits.
    let mode = 0f64.clamp(below, above);
    let (below, above) = (below.max(mode - 9.0), above.min(mode + 9.0));
    Tensor::from_fn(shape, |_| {
        loop {
            let z = below + (above - below) * rng.random::<f64>();
            if rng.random::<f64>() < ((mode * mode - z * z) / 2.0).exp() {
                return F::of((mean + std * z).clamp(low, high));
            }
        }
    })
}

/// Draws from the uniform distribution within `sqrt(6 / (fan_in + fan_out))`; Glorot and Bengio 2010.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn xavier_uniform<F: Float>(shape: impl Into<Shape>, rng: &mut impl Rng) -> Tensor<F> {
    xavier_uniform_with(shape, 1.0, rng)
}

/// Draws from the uniform distribution within `gain * sqrt(6 / (fan_in + fan_out))`.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn xavier_uniform_with<F: Float>(
    shape: impl Into<Shape>,
    gain: f64,
    rng: &mut impl Rng,
) -> Tensor<F> {
    let shape = shape.into();
    let (fan_in, fan_out) = fans(shape);
    uniform(shape, gain * (6.0 / (fan_in + fan_out) as f64).sqrt(), rng)
}

/// Draws from the normal distribution with variance `2 / (fan_in + fan_out)`; Glorot and Bengio 2010.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn xavier_normal<F: Float>(shape: impl Into<Shape>, rng: &mut impl Rng) -> Tensor<F> {
    xavier_normal_with(shape, 1.0, rng)
}

/// Draws from the normal distribution with standard deviation `gain * sqrt(2 / (fan_in + fan_out))`.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn xavier_normal_with<F: Float>(
    shape: impl Into<Shape>,
    gain: f64,
    rng: &mut impl Rng,
) -> Tensor<F> {
    let shape = shape.into();
    let (fan_in, fan_out) = fans(shape);
    normal(shape, gain * (2.0 / (fan_in + fan_out) as f64).sqrt(), rng)
}

/// Draws from the uniform distribution within `sqrt(6 / fan_in)`, for layers before a ReLU; He et al. 2015.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn kaiming_uniform<F: Float>(shape: impl Into<Shape>, rng: &mut impl Rng) -> Tensor<F> {
    kaiming_uniform_with(shape, Fan::In, calculate_gain(Nonlinearity::Relu), rng)
}

/// Draws from the uniform distribution within `gain * sqrt(3 / fan)`.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn kaiming_uniform_with<F: Float>(
    shape: impl Into<Shape>,
    fan: Fan,
    gain: f64,
    rng: &mut impl Rng,
) -> Tensor<F> {
    let shape = shape.into();
    uniform(shape, gain * (3.0 / fan.of(shape)).sqrt(), rng)
}

/// Draws from the normal distribution with variance `2 / fan_in`, for layers before a ReLU; He et al. 2015.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn kaiming_normal<F: Float>(shape: impl Into<Shape>, rng: &mut impl Rng) -> Tensor<F> {
    kaiming_normal_with(shape, Fan::In, calculate_gain(Nonlinearity::Relu), rng)
}

/// Draws from the normal distribution with standard deviation `gain / sqrt(fan)`.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn kaiming_normal_with<F: Float>(
    shape: impl Into<Shape>,
    fan: Fan,
    gain: f64,
    rng: &mut impl Rng,
) -> Tensor<F> {
    let shape = shape.into();
    normal(shape, gain / fan.of(shape).sqrt(), rng)
}

/// Draws a weight with orthonormal rows, or with orthonormal columns if there are fewer columns; Saxe et al. 2013.
///
/// The axes after the first count as one. The draw is uniform among all such weights.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn orthogonal<F: Float>(shape: impl Into<Shape>, rng: &mut impl Rng) -> Tensor<F> {
    orthogonal_with(shape, 1.0, rng)
}

/// Draws an [`orthogonal`] weight and multiplies it by the gain.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn orthogonal_with<F: Float>(
    shape: impl Into<Shape>,
    gain: f64,
    rng: &mut impl Rng,
) -> Tensor<F> {
    let shape = shape.into();
    assert!(shape.rank() >= 2, "orthogonal: {shape:?} has fewer than two axes");
    let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
    let (count, length) = (rows.min(columns), rows.max(columns));
    let mut vectors = Tensor::<f64>::randn([count, length], rng);
    // Gram-Schmidt, twice for each vector, after which it is orthogonal to all digits. The diagonal of R
    // is positive, so the distribution is uniform without a correction of signs.
    for k in 0..count {
        let (before, rest) = vectors.as_mut_slice().split_at_mut(k * length);
        let vector = &mut rest[..length];
        for other in before.chunks_exact(length).chain(before.chunks_exact(length)) {
            let along = dot(vector, other);
            vector.iter_mut().zip(other).for_each(|(x, y)| *x -= along * y);
        }
        let norm = dot(vector, vector).sqrt();
        vector.iter_mut().for_each(|x| *x /= norm);
    }
    let matrix = if rows <= columns { vectors } else { vectors.transpose(0, 1) };
    matrix.mul_scalar(gain).reshape(shape).cast()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::ChaCha8Rng};
    use wengert_core::{MatmulOps, ReduceOps};

    use super::*;

    fn rng() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(0)
    }

    fn largest(x: &Tensor<f64>) -> f64 {
        x.abs().max().item()
    }

    /// Asserts a uniform distribution: the extremes of 20,000 draws come within a thousandth of the bound.
    fn assert_uniform_within(x: &Tensor<f64>, bound: f64) {
        assert!((0.999 * bound..bound).contains(&largest(x)), "{} of {bound}", largest(x));
        assert!((x.std(0).item() / (bound / 3f64.sqrt()) - 1.0).abs() < 0.02);
    }

    fn assert_normal(x: &Tensor<f64>, deviation: f64) {
        assert!(x.mean().item().abs() < 4.0 * deviation / (x.numel() as f64).sqrt());
        assert!((x.std(0).item() / deviation - 1.0).abs() < 0.02, "{}", x.std(0).item());
    }

    #[test]
    fn bounds_and_standard_deviations_are_those_of_pytorch() {
        // Fan-in 50 * 4 = 200, fan-out 100 * 4 = 400.
        let shape = [100, 50, 2, 2];
        let rng = &mut rng();
        assert_eq!(fans(shape.into()), (200, 400));
        assert_uniform_within(&xavier_uniform(shape, rng), 0.1);
        assert_uniform_within(&xavier_uniform_with(shape, 3.0, rng), 0.3);
        assert_normal(&xavier_normal_with(shape, 3.0, rng), 3.0 * (2f64 / 600.0).sqrt());
        assert_uniform_within(&kaiming_uniform(shape, rng), (6f64 / 200.0).sqrt());
        assert_uniform_within(
            &kaiming_uniform_with(shape, Fan::Out, 2.0, rng),
            2.0 * (3f64 / 400.0).sqrt(),
        );
        assert_normal(&kaiming_normal(shape, rng), 0.1);
        assert_normal(&kaiming_normal_with(shape, Fan::Out, 1.0, rng), 0.05);
        assert_eq!(constant::<f64>([2], 0.3).as_slice(), [0.3, 0.3]);
    }

    #[test]
    fn gains_are_those_of_pytorch() {
        // torch.nn.init.calculate_gain, as it prints them.
        let gain = calculate_gain;
        assert_eq!(gain(Nonlinearity::Linear), 1.0);
        assert_eq!(gain(Nonlinearity::Sigmoid), 1.0);
        assert_eq!(gain(Nonlinearity::Tanh), 1.6666666666666667);
        assert_eq!(gain(Nonlinearity::Relu), std::f64::consts::SQRT_2);
        assert_eq!(gain(Nonlinearity::LeakyRelu(0.2)), 1.3867504905630728);
        assert_eq!(gain(Nonlinearity::Selu), 0.75);
    }

    /// Mean, standard deviation and bounds; mean and standard deviation of the truncated distribution.
    const TRUNCATED: [(f64, f64, [f64; 2], [f64; 2]); 5] = [
        (0.0, 1.0, [-2.0, 2.0], [0.0, 0.879626]),
        (0.0, 0.02, [-2.0, 2.0], [0.0, 0.02]),
        (1.0, 2.0, [-1.0, 1.5], [0.342361, 0.699531]),
        (0.0, 1.0, [3.0, 50.0], [3.2831, 0.26563]),
        (-4.0, 1.0, [-2.0, 2.0], [-1.62678, 0.338051]),
    ];

    /// Mean and standard deviation of 40,000 draws, against numbers of scipy.stats.truncnorm.
    #[test]
    fn truncated_normals_have_their_moments() {
        for (mean, deviation, [low, high], expected) in TRUNCATED {
            let x = truncated_normal::<f64>([40_000], mean, deviation, [low, high], &mut rng());
            assert!(x.as_slice().iter().all(|x| (low..=high).contains(x)));
            let error = 4.0 * expected[1] / 200.0;
            assert!((x.mean().item() - expected[0]).abs() < error, "{mean}: {}", x.mean());
            assert!((x.std(0).item() / expected[1] - 1.0).abs() < 0.03, "{mean}: {}", x.std(0));
        }
    }

    #[test]
    fn orthogonal_weights_are_orthonormal_to_all_digits() {
        for shape in [&[40, 60][..], &[60, 40], &[8, 3, 2, 2], &[30, 30], &[1, 5]] {
            let w = orthogonal_with::<f64>(shape, 2.0, &mut rng());
            assert_eq!(*w.shape(), *shape);
            let (rows, columns) = (shape[0], shape[1..].iter().product::<usize>());
            let w = w.reshape([rows, columns]).mul_scalar(0.5);
            let t = w.transpose(0, 1);
            let gram = if rows <= columns { w.matmul(&t) } else { t.matmul(&w) };
            assert!(largest(&(gram - Tensor::eye(rows.min(columns)))) < 1e-13);
        }
        // No sign is preferred: the mean of a diagonal element over many draws is 0.
        let rng = &mut rng();
        let corner = |_| orthogonal::<f64>([2, 2], rng).as_slice()[0];
        let mean = (0..2000).map(corner).sum::<f64>() / 2000.0;
        assert!(mean.abs() < 4.0 * (0.5f64 / 2000.0).sqrt(), "{mean}");
    }
}
