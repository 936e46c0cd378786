//! Initial values of weights, drawn from a generator that the caller hands over.
//!
//! A weight has shape `[outputs, inputs, ..]`; what follows the first two extents is the window of a
//! convolution. Its fan-in is `inputs` times the window, its fan-out `outputs` times the window.

use rand::Rng;
use wengert_core::{Array, Elementary, Float, Shape};

/// Fan-in and fan-out of a weight of this shape.
///
/// # Panics
/// If the shape has fewer than two axes.
#[track_caller]
pub fn fans(shape: Shape) -> (usize, usize) {
    assert!(shape.rank() >= 2, "fans: {shape:?} has fewer than two axes");
    let window = shape[2..].iter().product::<usize>();
    (shape[1] * window, shape[0] * window)
}

/// Uniform between `-bound` and `bound`.
#[track_caller]
pub fn uniform<F: Float>(shape: impl Into<Shape>, bound: f64, rng: &mut impl Rng) -> Array<F> {
    Array::uniform(shape, -bound, bound, rng)
}

/// Normal with mean 0.
#[track_caller]
pub fn normal<F: Float>(shape: impl Into<Shape>, deviation: f64, rng: &mut impl Rng) -> Array<F> {
    Array::randn(shape, rng).scale(deviation)
}

/// Uniform within `sqrt(6 / (fan_in + fan_out))`; Glorot and Bengio 2010.
#[track_caller]
pub fn xavier_uniform<F: Float>(shape: impl Into<Shape>, rng: &mut impl Rng) -> Array<F> {
    let shape = shape.into();
    let (fan_in, fan_out) = fans(shape);
    uniform(shape, (6.0 / (fan_in + fan_out) as f64).sqrt(), rng)
}

/// Normal with variance `2 / (fan_in + fan_out)`; Glorot and Bengio 2010.
#[track_caller]
pub fn xavier_normal<F: Float>(shape: impl Into<Shape>, rng: &mut impl Rng) -> Array<F> {
    let shape = shape.into();
    let (fan_in, fan_out) = fans(shape);
    normal(shape, (2.0 / (fan_in + fan_out) as f64).sqrt(), rng)
}

/// Uniform within `sqrt(6 / fan_in)`, for layers before a ReLU; He et al. 2015.
#[track_caller]
pub fn kaiming_uniform<F: Float>(shape: impl Into<Shape>, rng: &mut impl Rng) -> Array<F> {
    let shape = shape.into();
    uniform(shape, (6.0 / fans(shape).0 as f64).sqrt(), rng)
}

/// Normal with variance `2 / fan_in`, for layers before a ReLU; He et al. 2015.
#[track_caller]
pub fn kaiming_normal<F: Float>(shape: impl Into<Shape>, rng: &mut impl Rng) -> Array<F> {
    let shape = shape.into();
    normal(shape, (2.0 / fans(shape).0 as f64).sqrt(), rng)
}
