//! Shapes, slices, padding and triangles: values against plain indexing, derivatives of orders one and
//! two against finite differences, on random shapes.

use crate::common::{differentiates, has_elements, of, property, tensors};
use proptest::prelude::*;
use wengert::f64::prelude::*;
use wengert::{Value, ops};

/// Draws a tensor of three axes, each possibly empty.
fn cubes() -> impl Strategy<Value = Tensor> {
    prop::collection::vec(0usize..=3, 3).prop_flat_map(|shape| of(&shape))
}

/// Draws a tensor of three axes and one of them.
fn along_an_axis() -> impl Strategy<Value = (Tensor, usize)> {
    (cubes(), 0usize..3)
}

/// `at` with another index along one axis.
fn moved(at: &[usize], axis: usize, to: usize) -> Vec<usize> {
    let mut at = at.to_vec();
    at[axis] = to;
    at
}

#[test]
fn shapes_with_the_same_elements() {
    let element = |x: &Tensor, strides: &[usize], at: &[usize]| {
        x.as_slice()[at.iter().zip(strides).map(|(i, stride)| i * stride).sum::<usize>()]
    };
    property("flatten", cubes(), |x| {
        has_elements(&x.flatten(), &[x.numel()], |at| x.as_slice()[at[0]])?;
        let [a, b, c] = [x.shape()[0], x.shape()[1], x.shape()[2]];
        let ends = [([a * b, c], (0, -2)), ([a, b * c], (-2, 2))];
        for (to, (first, last)) in ends {
            let strides = Shape::from(to).strides();
            has_elements(&x.flatten_axes(first, last), &to, |at| element(&x, &strides, at))?;
        }
        differentiates(|x| x[0].flatten() + x[0].flatten_axes(0, -1), [x])
    });
    property("reshape with -1", (1usize..=3, 1usize..=3, 1usize..=3), |(a, b, c)| {
        let x = Tensor::from_fn([a, b, c], |i| (i as f64).sin());
        for (got, to) in [
            (x.reshape([-1, (b * c) as isize]), [a, b * c]),
            (x.reshape([c as isize, -1]), [c, a * b]),
            (x.reshape([(a * b) as isize, c as isize]), [a * b, c]),
        ] {
            has_elements(&got, &to, |at| element(&x, &Shape::from(to).strides(), at))?;
        }
        differentiates(|x| x[0].reshape([-1, b as isize]), [x])
    });
    property("unsqueeze and squeeze", (cubes(), 0usize..=3), |(x, axis)| {
        let mut longer = x.shape().to_vec();
        longer.insert(axis, 1);
        let got = x.unsqueeze(axis as isize);
        has_elements(&got, &longer, |at| {
            x.at(&at
                .iter()
                .enumerate()
                .filter(|(i, _)| *i != axis)
                .map(|(_, at)| *at)
                .collect::<Vec<_>>())
        })?;
        has_elements(&got.squeeze(axis as isize - 4), &x.shape(), |at| x.at(at))?;
        differentiates(|x| x[0].unsqueeze(axis as isize - 4).squeeze(axis as isize), [x])
    });
}

#[test]
fn slices() {
    let ranges = || (along_an_axis(), 0usize..=3, 0usize..=3, 1usize..=4);
    property("slice", ranges(), |((x, axis), a, b, step)| {
        let n = x.shape()[axis];
        let (start, end) = (a.min(b).min(n), a.max(b).min(n));
        let signed = axis as isize;
        let shape = |len| x.shape().with(axis, len).unwrap();
        let from = |at: &[usize], step| x.at(&moved(at, axis, start + step * at[axis]));
        let range = start as isize..end as isize;
        let got = x.slice(signed, range.clone());
        has_elements(&got, &shape(end - start), |at| from(at, 1))?;
        // The range counted from the end; a range up to the last index needs no end.
        let back = start as isize - n as isize..;
        if start < n {
            has_elements(&x.slice(signed - 3, back), &shape(n - start), |at| from(at, 1))?;
        }
        if start < end {
            let back = start as isize - n as isize..=end as isize - 1 - n as isize;
            has_elements(&x.slice(signed, back), &shape(end - start), |at| from(at, 1))?;
        }
        let got = x.slice_step(signed, range.clone(), step);
        has_elements(&got, &shape((end - start).div_ceil(step)), |at| from(at, step))?;
        differentiates(
            |x| {
                x[0].slice(signed, range.clone()).sum()
                    + x[0].slice_step(signed, range.clone(), step)
            },
            [x],
        )
    });
    property(
        "StridedSlice",
        (along_an_axis(), 1isize..=3, any::<bool>()),
        |((x, axis), step, back)| {
            let n = x.shape()[axis];
            let len = n.div_ceil(step as usize);
            let (start, step) = if back { (n.saturating_sub(1), -step) } else { (0, step) };
            differentiates(|x| x[0].apply_op(ops::StridedSlice { axis, start, step, len }), [x])
        },
    );
    property(
        "SliceScatter",
        (along_an_axis(), 1isize..=3, any::<bool>()),
        |((x, axis), step, back)| {
            let extent = x.shape()[axis] * step as usize + 1;
            let (start, step) = if back { (extent - 1, -step) } else { (1, step) };
            let op = ops::SliceScatter { axis, start, step, extent };
            has_elements(&x.apply_op(op), &x.shape().with(axis, extent).unwrap(), |at| {
                let place = (at[axis] as isize - start as isize) / step;
                let hit = place >= 0
                    && place < x.shape()[axis] as isize
                    && start as isize + place * step == at[axis] as isize;
                if hit { x.at(&moved(at, axis, place as usize)) } else { 0.0 }
            })?;
            differentiates(|x| x[0].apply_op(op), [x])
        },
    );
}

#[test]
fn parts_and_their_stacks() {
    property("split and chunk", (along_an_axis(), 1usize..=4), |((x, axis), count)| {
        let (n, signed) = (x.shape()[axis], axis as isize);
        let mut start = 0;
        let sizes = [n / 2, n - n / 2];
        for part in x.split(&sizes, signed).iter().chain(&x.chunk(count, signed - 3)) {
            if start == n {
                start = 0;
            }
            has_elements(part, &x.shape().with(axis, part.shape()[axis]).unwrap(), |at| {
                x.at(&moved(at, axis, start + at[axis]))
            })?;
            start += part.shape()[axis];
        }
        let size = n.div_ceil(count).max(1);
        let parts = x.chunk(count, signed);
        if start != n
            || parts.len() != n.div_ceil(size).max(1)
            || parts[0].shape()[axis] != size.min(n)
        {
            return Err(format!("{} parts for {count} of {:?}", parts.len(), x.shape()));
        }
        differentiates(
            |x| {
                let parts = x[0].chunk(count, signed);
                let split = x[0].split(&sizes, signed);
                parts[0] + split[0].sum() * split[1].sum()
            },
            [x],
        )
    });
    let pair = prop::collection::vec(0usize..=3, 0..=3)
        .prop_flat_map(|shape| (of(&shape), of(&shape), 0..=shape.len()));
    property("stack", pair, |(a, b, axis)| {
        let mut shape = a.shape().to_vec();
        shape.insert(axis, 2);
        let got = MovementOps::stack(&[a.clone(), b.clone()], axis as isize);
        has_elements(&got, &shape, |at| {
            let mut at = at.to_vec();
            if at.remove(axis) == 0 { a.at(&at) } else { b.at(&at) }
        })?;
        let signed = axis as isize - shape.len() as isize;
        differentiates(|x| MovementOps::stack(&[x[0], x[1]], signed), [a, b])
    });
}

#[test]
fn padding() {
    property("pad", (along_an_axis(), 0usize..=2, 0usize..=2), |((x, axis), before, after)| {
        let (n, signed) = (x.shape()[axis], axis as isize);
        let shape = x.shape().with(axis, before + n + after).unwrap();
        let padded = |value: f64| {
            let x = &x;
            move |at: &[usize]| {
                let inside = (before..before + n).contains(&at[axis]);
                if inside { x.at(&moved(at, axis, at[axis] - before)) } else { value }
            }
        };
        has_elements(&x.pad(signed, before, after, 0.0), &shape, padded(0.0))?;
        has_elements(&x.pad(signed, before, after, -1.5), &shape, padded(-1.5))?;
        let edge = |at: &[usize]| {
            x.at(&moved(at, axis, at[axis].saturating_sub(before).min(n.saturating_sub(1))))
        };
        if n > 0 {
            has_elements(&x.pad_replicate(signed - 3, before, after), &shape, edge)?;
        }
        if n > before.max(after) {
            has_elements(&x.pad_reflect(signed - 3, before, after), &shape, |at| {
                let from = at[axis].abs_diff(before);
                let from = if from < n { from } else { 2 * (n - 1) - from };
                x.at(&moved(at, axis, from))
            })?;
        }
        differentiates(
            |x| {
                let y = x[0].pad(signed, before, after, 0.0) * 2.0
                    + x[0].pad(signed, before, after, 0.5);
                let y = if n > 0 { y + x[0].pad_replicate(signed, before, after) } else { y };
                if n > before.max(after) { y * x[0].pad_reflect(signed, before, after) } else { y }
            },
            [x],
        )
    });
}

#[test]
fn elements_in_another_order_and_again() {
    property("flip", (cubes(), any::<[bool; 3]>()), |(x, along)| {
        let axes = (0..3).filter(|&axis| along[axis as usize]).collect::<Vec<isize>>();
        has_elements(&x.flip(&axes[..]), &x.shape(), |at| {
            let from = (0..3).map(|i| if along[i] { x.shape()[i] - 1 - at[i] } else { at[i] });
            x.at(&from.collect::<Vec<_>>())
        })?;
        differentiates(|x| x[0].flip(&axes[..]), [x])
    });
    property("roll", (along_an_axis(), -5isize..=5), |((x, axis), shift)| {
        let n = x.shape()[axis] as isize;
        has_elements(&x.roll(shift, axis as isize), &x.shape(), |at| {
            x.at(&moved(at, axis, (at[axis] as isize - shift).rem_euclid(n) as usize))
        })?;
        differentiates(|x| x[0].roll(shift, axis as isize - 3), [x])
    });
    let times = prop::array::uniform3(0usize..=2);
    property("repeat", (tensors(), times), |(x, times)| {
        let missing = 3 - x.shape().rank();
        let own = |axis: usize| if axis < missing { 1 } else { x.shape()[axis - missing] };
        let shape = [0, 1, 2].map(|axis| own(axis) * times[axis]);
        has_elements(&x.repeat(times), &shape, |at| {
            x.at(&(missing..3).map(|axis| at[axis] % own(axis)).collect::<Vec<_>>())
        })?;
        differentiates(|x| x[0].repeat(times), [x])
    });
}

#[test]
fn triangles_and_diagonals() {
    property("Triangle", (cubes(), -4isize..=4), |(x, diagonal)| {
        let above = |at: &[usize]| at[2] as isize - at[1] as isize - diagonal;
        let kept = |kept, at: &[usize]| if kept { x.at(at) } else { 0.0 };
        has_elements(&x.tril(diagonal), &x.shape(), |at| kept(above(at) <= 0, at))?;
        has_elements(&x.triu(diagonal), &x.shape(), |at| kept(above(at) >= 0, at))?;
        differentiates(|x| x[0].tril(diagonal) + x[0].triu(diagonal) * 2.0, [x])
    });
    let vectors = (0usize..=4).prop_flat_map(|n| of(&[n]));
    property("diag of a vector", (vectors, -2isize..=2), |(x, diagonal)| {
        let side = x.numel() + diagonal.unsigned_abs();
        has_elements(&x.diag(diagonal), &[side, side], |at| {
            let on = at[1] as isize - at[0] as isize == diagonal;
            if on { x.as_slice()[at[0].min(at[1])] } else { 0.0 }
        })?;
        differentiates(|x| x[0].diag(diagonal), [x])
    });
    let matrices = (0usize..=4, 0usize..=4).prop_flat_map(|(m, n)| of(&[m, n]));
    property("diag of a matrix", (matrices, -5isize..=5), |(x, diagonal)| {
        let (down, right) = ((-diagonal).max(0) as usize, diagonal.max(0) as usize);
        let on = (0..5).filter(|i| i + down < x.shape()[0] && i + right < x.shape()[1]);
        has_elements(&x.diag(diagonal), &[on.count()], |at| x.at(&[at[0] + down, at[0] + right]))?;
        differentiates(|x| x[0].diag(diagonal), [x])
    });
}
