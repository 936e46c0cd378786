//! Indexing: values against plain loops, derivatives against finite differences.

use crate::common::{Outcome, differentiates, mistake, near, of, property};
use proptest::prelude::*;
use wengert::f64::prelude::*;
use wengert::{Value, ops};

/// Draws extents of three axes, one of the axes, and indices along it, with as many axes and no larger extent
/// except along that axis. Indices repeat, because there are few.
fn gathered() -> impl Strategy<Value = (Vec<usize>, usize, Indices)> {
    (prop::collection::vec(1usize..=3, 1..=3), 0usize..3, 0usize..=4)
        .prop_flat_map(|(extents, axis, many)| {
            let axis = axis % extents.len();
            let at = extents.iter().map(|&n| 1..=n).collect::<Vec<_>>();
            (Just((extents, axis, many)), at)
        })
        .prop_flat_map(|((extents, axis, many), mut at)| {
            at[axis] = many;
            let numel = at.iter().product::<usize>();
            let positions = prop::collection::vec(0..extents[axis], numel);
            let index = positions.prop_map(move |positions| Indices::from_vec(positions, &*at));
            (Just(extents), Just(axis), index)
        })
}

/// The place in `x` that each index reads.
fn looked_up(x: &[usize], axis: usize, index: &Indices) -> Vec<Vec<usize>> {
    let shape = index.shape();
    (0..shape.numel())
        .map(|flat| {
            let mut place = vec![0; x.len()];
            let mut rest = flat;
            for k in (0..x.len()).rev() {
                place[k] = rest % shape[k];
                rest /= shape[k];
            }
            place[axis] = index.as_slice()[flat];
            place
        })
        .collect()
}

fn flat(extents: &[usize], place: &[usize]) -> usize {
    extents.iter().zip(place).fold(0, |flat, (n, p)| flat * n + p)
}

#[test]
fn gather_and_scatter() {
    let drawn = gathered().prop_flat_map(|(extents, axis, index)| {
        (of(&extents), of(&index.shape()), Just(axis), Just(index))
    });
    property("gather", drawn, |(x, src, axis, index)| {
        let places = looked_up(&x.shape(), axis, &index);
        let loops = places.iter().map(|place| x.at(place)).collect();
        let loops = Tensor::from_vec(loops, index.shape());
        near("gather", &x.gather(axis as isize, &index), &loops)?;
        let mut loops = x.to_vec();
        for (place, src) in places.iter().zip(src.as_slice()) {
            loops[flat(&x.shape(), place)] += src;
        }
        let loops = Tensor::from_vec(loops, x.shape());
        near("scatter_add", &x.scatter_add(axis as isize, &index, &src), &loops)?;
        let from_end = axis as isize - x.shape().rank() as isize;
        differentiates(|x| x[0].gather(from_end, &index), [x.clone()])?;
        differentiates(|x| x[0].scatter_add(axis as isize, &index, x[1]), [x, src])
    });
}

/// Draws a tensor, one of its axes, and indices along it in a shape of up to two axes.
fn selected() -> impl Strategy<Value = (Tensor, usize, Indices)> {
    let extents = prop::collection::vec(1usize..=3, 1..=3);
    (extents, 0usize..3, prop::collection::vec(0usize..=3, 0..=2)).prop_flat_map(
        |(extents, axis, at)| {
            let axis = axis % extents.len();
            let positions = prop::collection::vec(0..extents[axis], at.iter().product::<usize>());
            let index = positions.prop_map(move |positions| Indices::from_vec(positions, &*at));
            (of(&extents), Just(axis), index)
        },
    )
}

#[test]
fn index_select_and_index_add() {
    property("index_select", (selected(), any::<bool>()), |((x, axis, index), skips)| {
        let skip = skips.then_some(0);
        let select = ops::IndexSelect { axis, skip };
        let run = |x: Var<'_>| x.value();
        let tape = Tape::new();
        let at = tape.indices(&index);
        let y = run(Value::apply_indexed(select, &tape.constant(&x), &at));
        let (shape, rank) = (x.shape(), index.shape().rank());
        // Each element of the result comes from the index that its index axes name.
        let loops = Tensor::from_fn(y.shape(), |i| {
            let mut place = vec![0; y.shape().rank()];
            let mut rest = i;
            for k in (0..place.len()).rev() {
                place[k] = rest % y.shape()[k];
                rest /= y.shape()[k];
            }
            let position = index.as_slice()[flat(&index.shape(), &place[axis..axis + rank])];
            place.splice(axis..axis + rank, [position]);
            if skip == Some(position) { 0.0 } else { x.at(&place) }
        });
        near("index_select", &y, &loops)?;
        if !skips {
            near("index_select", &x.index_select(axis as isize, &index), &loops)?;
        }
        differentiates(
            |x| Value::apply_indexed(select, &x[0], &x[0].tape().indices(&index)),
            [x.clone()],
        )?;
        let add = ops::IndexAdd { axis, extent: shape[axis], skip };
        differentiates(
            |x| Value::apply_indexed(add, &x[0], &x[0].tape().indices(&index)),
            [y.clone()],
        )?;
        differentiates(|x| x[0].index_add(axis as isize, &index, x[1]), [x, y])
    });
}

#[test]
fn index_add_adds_up_repeated_indices() {
    let x = tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
    let src = tensor![[10.0, 20.0, 30.0, 40.0], [50.0, 60.0, 70.0, 80.0]];
    let y = x.index_add(1, [2, 0, 2, 2], &src);
    assert_eq!(y, tensor![[21.0, 2.0, 83.0], [64.0, 5.0, 206.0]]);
}

#[test]
fn masked_fill() {
    let drawn = wengert::core::testing::pair([-2.0..2.0, 0.0..2.0], false);
    property("masked_fill", drawn, |[x, mask]| {
        let mask = mask.greater_half(Tensor::scalar(1.0)).step();
        let out = x.shape().broadcast(mask.shape()).expect("a pair that broadcasts");
        let (wide, set) = (x.expand(out), mask.expand(out));
        let loops =
            Tensor::from_fn(
                out,
                |i| {
                    if set.as_slice()[i] == 1.0 { -7.5 } else { wide.as_slice()[i] }
                },
            );
        near("masked_fill", &x.masked_fill(&mask, -7.5), &loops)?;
        differentiates(|x| x[0].masked_fill(&mask, -7.5), [x.clone()])?;
        // A mask that is computed gets a cotangent of zero, in both sweeps.
        let tape = Tape::new();
        let m = tape.variable(&mask);
        let loss = tape.constant(&x).masked_fill(m, 2.0).sum();
        let computed = loss.backward();
        let zero = |g: &Tensor| g.as_slice().iter().all(|g| *g == 0.0);
        if !computed.wrt(m).is_none_or(zero) || !zero(&grad(loss, &[m])[0].value()) {
            return Err("the mask has a derivative".into());
        }
        Ok(())
    });
}

#[test]
fn nothing_leaks_through_a_mask() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![f64::NAN, 2.0, f64::INFINITY]);
    let y = x.masked_fill(&tensor![1.0, 0.0, 1.0], 0.0);
    assert_eq!(y.value(), tensor![0.0, 2.0, 0.0]);
    assert_eq!(*(y * y).sum().backward().wrt(x).unwrap(), tensor![0.0, 4.0, 0.0]);
}

#[test]
fn one_hot() {
    let labels = Indices::from_vec(vec![2, 0, 1, 2], [2, 2]);
    let rows = tensor![[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]];
    assert_eq!(Tensor::one_hot(&labels, 3), rows);
}

#[test]
fn embedding() {
    let tokens = prop::collection::vec(0usize..4, 6);
    property("embedding", (of(&[4, 3]), tokens), |(weight, tokens)| {
        let tokens = Indices::from_vec(tokens, [2, 3]);
        let looked_up = |i: usize| weight.at(&[tokens.as_slice()[i / 3], i % 3]);
        near(
            "embedding",
            &weight.embedding(&tokens, None),
            &Tensor::from_fn([2, 3, 3], looked_up),
        )?;
        differentiates(|x| x[0].embedding(&tokens, None), [weight.clone()])?;
        padded(&weight, &tokens)
    });
}

/// The row of the padding is read and gets no gradient, at either order.
fn padded(weight: &Tensor, tokens: &Indices) -> Outcome {
    let tape = Tape::new();
    let w = tape.variable(weight);
    let y = w.embedding(tokens, Some(1));
    near("embedding", &y.value(), &weight.embedding(tokens, None))?;
    let loss = (y * y * y).sum();
    let first = grad(loss, &[w])[0];
    let second = grad(first.sum(), &[w])[0];
    // Each use of a row adds 3 w^2 to the gradient and 6 w to the second derivative.
    let uses = |row| tokens.as_slice().iter().filter(|&&token| token == row).count() as f64;
    let expected = |f: &dyn Fn(f64) -> f64| {
        let w = weight.as_slice();
        Tensor::from_fn([4, 3], |i| if i / 3 == 1 { 0.0 } else { uses(i / 3) * f(w[i]) })
    };
    near("recorded", &first.value(), &expected(&|w| 3.0 * w * w))?;
    near("computed", loss.backward().wrt(w).unwrap(), &expected(&|w| 3.0 * w * w))?;
    near("second", &second.value(), &expected(&|w| 6.0 * w))
}

#[test]
#[rustfmt::skip] // one line each: the line is part of the claim
fn mistakes_name_the_index_and_the_line() {
    let x = Tensor::zeros([2, 3]);
    let v = |f: &dyn for<'t> Fn(Var<'t>)| f(Tape::new().variable(&x));
    mistake("gather: index 3 at place [1, 0] is out of range (0..3)", || { x.gather(1, Indices::from_vec(vec![2, 3], [2, 1])); });
    mistake("index_select: index 5 at place 1 is out of range (0..2)", || { v(&|x| { x.index_select(0, [1, 5]); }) });
    mistake("index_add: index 9 at place 0 is out of range (0..3)", || { x.index_add(-1, [9], Tensor::zeros([2, 1])); });
    mistake("scatter: index 2 at place [0, 0] is out of range (0..2)", || { x.scatter_add(0, Indices::from_vec(vec![2], [1, 1]), Tensor::zeros([1, 1])); });
    mistake("embedding: index 2 at place 0 is out of range (0..2)", || { x.embedding([2], None); });
    mistake("one_hot: index 4 at place 1 is out of range (0..4)", || { Tensor::one_hot([0, 4], 4); });
    mistake("embedding: padding_idx 2 is out of range (0..2)", || { v(&|x| { x.embedding([0], Some(2)); }) });
    mistake("gather: axis 2 does not exist in [2, 3]", || { x.gather(2, [0]); });
    mistake("gather: [2, 3] at indices [1]: as many axes", || { x.gather(0, [0]); });
    mistake("index_add: [3, 1] into [2, 3]", || { x.index_add(1, [0], Tensor::zeros([3, 1])); });
    mistake("do not broadcast", || { x.masked_fill(Tensor::zeros([4]), 0.0); });
}
