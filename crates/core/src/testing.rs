//! Property tests of your own operations: random shapes and tensors as strategies of `proptest`.
//!
//! Needs the feature `proptest`. A strategy says which inputs to draw; the gradient checker says whether the
//! derivative is right at each of them. Draw inputs away from kinks and poles: finite differences are
//! meaningless where a step crosses one.
//!
//! ```
//! use proptest::prelude::*;
//! use wengert_core::{Float, UnaryOp, UnaryOps, Value, check_gradients, testing};
//!
//! /// `x^3`
//! #[derive(Clone, Debug)]
//! struct Cube;
//!
//! impl UnaryOp for Cube {
//!     fn value<F: Float>(&self, x: F) -> F {
//!         x * x * x
//!     }
//!     fn derivative<M: UnaryOps>(&self, x: &M, _: &M) -> M {
//!         x.square() * 3.0
//!     }
//! }
//!
//! // In a test module: proptest! { #[test] fn cube_differentiates(x in ..) { .. } }
//! proptest!(|(x in testing::tensor(testing::shape(), -2.0..2.0, &[]))| {
//!     check_gradients(|x| x[0].apply_op(Cube), &[x]).unwrap();
//! });
//!
//! // Operands that broadcast against each other; the divisor is far from 0.
//! proptest!(|([a, b] in testing::pair([-2.0..2.0, 0.5..2.0], false))| {
//!     check_gradients(|x| x[0] / x[1], &[a, b]).unwrap();
//! });
//!
//! // An operation with a kink at 0.
//! proptest!(|(x in testing::tensor(testing::shape(), -2.0..2.0, &[0.0]))| {
//!     check_gradients(|x| x[0].relu(), &[x]).unwrap();
//! });
//! ```

use std::ops::Range;

use proptest::prelude::*;

use crate::{Shape, Tensor};

/// Largest extent of a drawn shape.
const MAX_EXTENT: usize = 4;
/// Smallest distance of an element from a kink: more than the checker's largest step.
const CLEARANCE: f64 = 0.01;

/// Draws shapes of up to three axes with extents of 1 to 4. One extent in twenty is 0.
pub fn shape() -> impl Strategy<Value = Shape> {
    let extent = prop_oneof![19 => 1..=MAX_EXTENT, 1 => Just(0)];
    prop::collection::vec(extent, 0..=3).prop_map(|extents| Shape::new(&extents))
}

/// Draws two shapes that broadcast against each other. On either side leading axes may be missing, and
/// extents may be 1.
pub fn broadcastable() -> impl Strategy<Value = [Shape; 2]> {
    let keep = || prop::collection::vec(prop::bool::weighted(0.7), 3);
    (shape(), keep(), keep(), 0..=3usize, 0..=3usize).prop_map(|(out, a, b, drop_a, drop_b)| {
        let side = |keep: &[bool], drop: usize| {
            let extents = out.iter().zip(keep).map(|(&n, &keep)| if keep { n } else { 1 });
            extents.skip(drop / 2).collect::<Vec<_>>()
        };
        [Shape::new(&side(&a, drop_a)), Shape::new(&side(&b, drop_b))]
    })
}

/// Draws a shape, and a tensor of it with elements in `domain`. No element is closer than 0.01 to one of
/// `kinks`, where a finite difference would straddle two branches.
pub fn tensor<S: Strategy<Value = Shape>>(
    shape: S,
    domain: Range<f64>,
    kinks: &[f64],
) -> impl Strategy<Value = Tensor<f64>> + use<S> {
    let kinks = kinks.to_vec();
    shape.prop_flat_map(move |shape| tensor_of(shape, domain.clone(), &kinks))
}

/// Draws a tensor of a given shape with elements in `domain`, none closer than 0.01 to one of `kinks`.
pub fn tensor_of(
    shape: Shape,
    domain: Range<f64>,
    kinks: &[f64],
) -> impl Strategy<Value = Tensor<f64>> + use<> {
    let kinks = kinks.to_vec();
    prop::collection::vec(domain, shape.numel()).prop_map(move |mut data| {
        for x in &mut data {
            if let Some(kink) = kinks.iter().find(|&kink| (*x - kink).abs() < CLEARANCE) {
                *x = kink + if *x < *kink { -CLEARANCE } else { CLEARANCE };
            }
        }
        Tensor::from_vec(data, shape)
    })
}

/// Draws two tensors whose shapes broadcast, with elements in a domain each. With `apart`, no element of
/// one is closer than 0.05 to an element of the other, as comparisons and `maximum` need.
pub fn pair(domains: [Range<f64>; 2], apart: bool) -> impl Strategy<Value = [Tensor<f64>; 2]> {
    broadcastable().prop_flat_map(move |[a, b]| {
        let [first, second] = domains.clone();
        (tensor_of(a, first, &[]), tensor_of(b, second, &[])).prop_map(move |(a, b)| {
            if !apart {
                return [a, b];
            }
            // One tensor on a grid, the other halfway between its points.
            let grid = |x: &Tensor<f64>, offset: f64| {
                let x = x.as_slice();
                x.iter().map(|x| ((x / 0.1).floor() + offset) * 0.1).collect::<Vec<_>>()
            };
            [Tensor::from_vec(grid(&a, 0.0), a.shape()), Tensor::from_vec(grid(&b, 0.5), b.shape())]
        })
    })
}
