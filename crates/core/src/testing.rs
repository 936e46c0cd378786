//! Strategies for property tests of operations of one's own, on `proptest`.
//!
//! ```
//! use proptest::prelude::*;
//! use wengert_core::{UnaryOps, check_gradients, testing};
//!
//! proptest!(|(x in testing::tensor(testing::shape(), -4.0..4.0, &[]))| {
//!     check_gradients(|x| x[0].softplus(), &[x]).unwrap();
//! });
//! ```

use std::ops::Range;

use proptest::prelude::*;

use crate::{Shape, Tensor};

/// Extents up to this are drawn.
const MAX_EXTENT: usize = 4;
/// How clear of a kink tensors stay: more than the checker's largest step.
const CLEARANCE: f64 = 0.01;

/// Shapes of up to three axes, extents 1 to 4; now and then an extent is 0.
pub fn shape() -> impl Strategy<Value = Shape> {
    let extent = prop_oneof![19 => 1..=MAX_EXTENT, 1 => Just(0)];
    prop::collection::vec(extent, 0..=3).prop_map(|extents| Shape::new(&extents))
}

/// Pairs of shapes that broadcast against each other: leading axes are missing and extents are 1 on
/// either side.
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

/// Tensors of a drawn shape with elements in `domain` that stay clear of `kinks`, where a finite
/// difference would straddle two branches.
pub fn tensor<S: Strategy<Value = Shape>>(
    shape: S,
    domain: Range<f64>,
    kinks: &[f64],
) -> impl Strategy<Value = Tensor<f64>> + use<S> {
    let kinks = kinks.to_vec();
    shape.prop_flat_map(move |shape| tensor_of(shape, domain.clone(), &kinks))
}

/// As [`tensor`], of one shape.
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

/// Pairs of tensors whose shapes broadcast, with elements in two domains. With `apart`, no element of
/// the first lies close to one of the second.
pub fn pair(domains: [Range<f64>; 2], apart: bool) -> impl Strategy<Value = [Tensor<f64>; 2]> {
    broadcastable().prop_flat_map(move |[a, b]| {
        let [first, second] = domains.clone();
        (tensor_of(a, first, &[]), tensor_of(b, second, &[])).prop_map(move |(a, b)| {
            if !apart {
                return [a, b];
            }
            // The first on a grid, the second halfway between its points.
            let grid = |x: &Tensor<f64>, offset: f64| {
                let x = x.as_slice();
                x.iter().map(|x| ((x / 0.1).floor() + offset) * 0.1).collect::<Vec<_>>()
            };
            [Tensor::from_vec(grid(&a, 0.0), a.shape()), Tensor::from_vec(grid(&b, 0.5), b.shape())]
        })
    })
}
