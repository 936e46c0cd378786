//! Reductions and scans: values against plain loops, derivatives of orders one and two against finite
//! differences, on random shapes.

use crate::common::{
    Outcome, differentiates, has_elements, near, of, position, property, spaced, tensors, with_axes,
};
use proptest::prelude::*;
use wengert::core::testing;
use wengert::f64::prelude::*;
use wengert::{Value, ops};

/// The elements that are reduced to each element of the result, by a plain loop.
fn groups(x: &Tensor, axes: &[isize]) -> Vec<Vec<f64>> {
    let reduces = |axis: usize| axes.contains(&(axis as isize));
    let kept = (0..x.shape().rank()).filter(|&axis| !reduces(axis)).collect::<Vec<_>>();
    let count = kept.iter().map(|&axis| x.shape()[axis]).product();
    let mut groups = vec![Vec::new(); count];
    for (flat, &element) in x.as_slice().iter().enumerate() {
        let at = position(x.shape(), flat);
        let group = kept.iter().fold(0, |group, &axis| group * x.shape()[axis] + at[axis]);
        groups[group].push(element);
    }
    groups
}

/// Checks that `value` is `plain` of each group of elements of `x`, in the shape of a reduction.
fn reduces(
    value: &Tensor,
    x: &Tensor,
    axes: &[isize],
    keepdim: bool,
    plain: impl Fn(&[f64]) -> f64,
) -> Outcome {
    let shape = x.shape();
    let extents = shape.iter().enumerate().filter_map(|(axis, &n)| {
        let gone = axes.contains(&(axis as isize));
        if gone { keepdim.then_some(1) } else { Some(n) }
    });
    let extents = extents.collect::<Vec<_>>();
    let expected = groups(x, axes).iter().map(|group| plain(group)).collect::<Vec<_>>();
    let expected = Tensor::from_vec(expected, extents.as_slice());
    has_elements(value, &extents, |at| expected.at(at))
}

/// Checks the value and the derivatives of a reduction over any axes.
macro_rules! holds {
    ($name:expr, $inputs:expr, |$x:ident, $axes:ident, $keepdim:ident| $f:expr, $plain:expr) => {
        property($name, $inputs, |(x, axes, $keepdim)| {
            let $axes = &axes[..];
            let value = {
                let $x = &x;
                $f
            };
            reduces(&value, &x, $axes, $keepdim, $plain)?;
            differentiates(
                |x| {
                    let $x = x[0];
                    $f
                },
                [x],
            )
        });
    };
}

/// Draws tensors in which many elements are 0.
fn with_zeros() -> impl Strategy<Value = Tensor> {
    tensors().prop_map(|x| Tensor::from_fn(x.shape(), |i| zeroed(x.as_slice()[i])))
}

fn zeroed(x: f64) -> f64 {
    if x.abs() < 0.5 { 0.0 } else { x }
}

/// Draws tensors and axes with more than `least` elements along them.
fn longer_than(
    least: usize,
    tensors: impl Strategy<Value = Tensor>,
) -> impl Strategy<Value = (Tensor, Vec<isize>, bool)> {
    with_axes(tensors).prop_filter("too few elements", move |(x, axes, _)| {
        axes.iter().map(|&axis| x.shape()[axis as usize]).product::<usize>() > least
    })
}

fn variance(row: &[f64], correction: f64) -> f64 {
    let mean = row.iter().sum::<f64>() / row.len() as f64;
    row.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (row.len() as f64 - correction)
}

#[test]
fn products() {
    holds!("prod", with_axes(with_zeros()), |x, axes, keepdim| x.prod_axes(axes, keepdim), |row| {
        row.iter().product()
    });
    property("prod of all", with_zeros(), |x| {
        has_elements(&x.prod(), &[], |_| x.as_slice().iter().product())?;
        differentiates(|x| x[0].prod(), [x])
    });
}

#[test]
fn minima() {
    let filled = || longer_than(0, spaced());
    holds!("min", filled(), |x, axes, keepdim| x.min_axes(axes, keepdim), |row| row
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min));
    property("min of all", filled(), |(x, _, _)| {
        if x.numel() == 0 {
            return Ok(());
        }
        has_elements(&x.min(), &[], |_| x.as_slice().iter().copied().fold(9e9, f64::min))?;
        differentiates(|x| x[0].min(), [x])
    });
}

#[test]
fn indices_of_extremes() {
    let whole = tensors().prop_map(|x| Tensor::from_fn(x.shape(), |i| x.as_slice()[i].round()));
    let filled = whole.prop_filter("no axis to search", |x| x.shape().iter().all(|n| *n > 0));
    property("argmax and argmin", (filled, 0usize..3, any::<bool>()), |(x, axis, keepdim)| {
        if x.shape().rank() <= axis {
            return Ok(());
        }
        let axes = [axis as isize];
        let check = |positions: Indices, better: fn(f64, f64) -> bool| {
            let found = positions.as_slice().iter().map(|&i| i as f64).collect();
            let found = Tensor::from_vec(found, positions.shape());
            reduces(&found, &x, &axes, keepdim, |row| {
                let best = row.iter().copied().reduce(|a, b| if better(b, a) { b } else { a });
                row.iter().position(|x| Some(*x) == best).expect("the best of them") as f64
            })
        };
        check(x.argmax_axis(axis as isize, keepdim), |a, b| a > b)?;
        check(x.argmin_axis(axis as isize - x.shape().rank() as isize, keepdim), |a, b| a < b)
    });
}

#[test]
fn variances_and_standard_deviations() {
    for correction in [0, 1, 2] {
        let inputs = || longer_than(correction, spaced());
        holds!("var", inputs(), |x, axes, keepdim| x.var_axes(axes, correction, keepdim), |row| {
            variance(row, correction as f64)
        });
        holds!("std", inputs(), |x, axes, keepdim| x.std_axes(axes, correction, keepdim), |row| {
            variance(row, correction as f64).sqrt()
        });
    }
    let filled = || spaced().prop_filter("too few elements", |x| x.numel() > 1);
    property("var and std of all", filled(), |x| {
        has_elements(&x.var(1), &[], |_| variance(x.as_slice(), 1.0))?;
        has_elements(&x.std(1), &[], |_| variance(x.as_slice(), 1.0).sqrt())?;
        differentiates(|x| x[0].var(1) + x[0].std(1), [x])
    });
    property("Normalize", tensors(), |x| {
        let op = ops::Normalize { trailing: x.shape().rank(), eps: 0.3 };
        let (deviation, count) = (&x - &x.mean(), x.numel().max(1) as f64);
        let spread = (deviation.square().sum().item() / count + op.eps).sqrt();
        near("Normalize", &x.apply_op(op), &(deviation * spread.recip()))?;
        differentiates(|x| x[0].apply_op(op), [x])
    });
    property("SubtractMean", with_axes(tensors()), |(x, axes, _)| {
        let axes = wengert::Axes::of(x.shape(), &axes[..]).expect("axes");
        differentiates(|x| x[0].apply_op(ops::SubtractMean { axes }), [x])
    });
}

#[test]
fn norms() {
    // Far from the kink at 0: powers below 1 are steep near it.
    let clear = || {
        let away = |x: f64| if x < 0.0 { x - 0.5 } else { x + 0.5 };
        tensors().prop_map(move |x| Tensor::from_fn(x.shape(), |i| away(x.as_slice()[i])))
    };
    for p in [1.0, 2.0, 3.0, 1.5, 0.7] {
        holds!(
            &format!("norm {p}"),
            with_axes(clear()),
            |x, axes, keepdim| x.norm_axes(p, axes, keepdim),
            |row| row.iter().map(|x| x.abs().powf(p)).sum::<f64>().powf(1.0 / p)
        );
    }
    let distinct = || spaced().prop_map(|x| x + 2.1);
    holds!(
        "norm inf",
        longer_than(0, distinct()),
        |x, axes, keepdim| x.norm_axes(f64::INFINITY, axes, keepdim),
        |row| row.iter().fold(0.0, |most, x| x.abs().max(most))
    );
    property("norm of all", clear(), |x| {
        let plain = x.as_slice().iter().map(|x| x * x).sum::<f64>().sqrt();
        has_elements(&x.norm(2.0), &[], |_| plain)?;
        differentiates(|x| x[0].norm(2.0), [x])
    });
    let positive = || testing::tensor(testing::shape(), 0.3..3.0, &[]);
    for exponent in [0.5, 2.3] {
        property("NormPow", positive(), |x| {
            differentiates(|x| x[0].apply_op(ops::NormPow { exponent }), [x])
        });
    }
}

#[test]
fn logarithms_of_sums_of_exponentials() {
    let plain = |row: &[f64]| row.iter().map(|x| x.exp()).sum::<f64>().ln();
    // Of no elements it is -inf, whose finite difference is NaN.
    holds!(
        "LogSumExp",
        longer_than(0, tensors()),
        |x, axes, keepdim| x.logsumexp_axes(axes, keepdim),
        plain
    );
    let filled = tensors().prop_filter("no elements", |x| x.numel() > 0);
    property("LogSumExp of all", filled, |x| {
        has_elements(&x.logsumexp(), &[], |_| plain(x.as_slice()))?;
        differentiates(|x| x[0].logsumexp(), [x])
    });
}

/// Draws a tensor of three axes, each possibly empty, and one of them.
fn along_an_axis() -> impl Strategy<Value = (Tensor, usize)> {
    (prop::collection::vec(0usize..=4, 3).prop_flat_map(|shape| of(&shape)), 0usize..3)
}

/// Checks a scan: `plain` gets the elements up to an index along one axis, and all elements along it.
fn runs(value: &Tensor, x: &Tensor, axis: usize, plain: impl Fn(&[f64], &[f64]) -> f64) -> Outcome {
    has_elements(value, &x.shape(), |at| {
        let mut from = at.to_vec();
        let all = (0..x.shape()[axis]).map(|i| {
            from[axis] = i;
            x.at(&from)
        });
        let all = all.collect::<Vec<_>>();
        plain(&all[..=at[axis]], &all)
    })
}

#[test]
fn softmax_along_any_axis() {
    property("softmax along an axis", along_an_axis(), |(x, axis)| {
        let own = |before: &[f64], all: &[f64]| {
            before[before.len() - 1].exp() / all.iter().map(|x| x.exp()).sum::<f64>()
        };
        let signed = axis as isize - 3;
        runs(&x.softmax_axis(signed), &x, axis, own)?;
        runs(&x.log_softmax_axis(signed), &x, axis, |before, all| own(before, all).ln())?;
        differentiates(|x| x[0].log_softmax_axis(signed) + x[0].softmax_axis(signed), [x])
    });
}

#[test]
fn running_sums_and_products() {
    property("Cumsum", along_an_axis(), |(x, axis)| {
        let signed = axis as isize;
        runs(&x.cumsum(signed), &x, axis, |before, _| before.iter().sum())?;
        differentiates(|x| x[0].cumsum(signed), [x])
    });
    property("Cumsum from the end", along_an_axis(), |(x, axis)| {
        differentiates(|x| x[0].apply_op(ops::Cumsum { axis, reverse: true }), [x])
    });
    property("cumprod", along_an_axis(), |(x, axis)| {
        let x = Tensor::from_fn(x.shape(), |i| zeroed(x.as_slice()[i]));
        let signed = axis as isize;
        runs(&x.cumprod(signed), &x, axis, |before, _| before.iter().product())?;
        differentiates(|x| x[0].cumprod(signed), [x])
    });
    let pairs = prop::collection::vec(0usize..=4, 3)
        .prop_flat_map(|shape| (of(&shape), of(&shape), 0usize..3, any::<bool>()));
    property("Recurrence", pairs, |(a, b, axis, transposed)| {
        let op = ops::Recurrence { axis, transposed };
        differentiates(|x| Value::apply(op, [&x[0], &x[1]]), [a, b])
    });
}
