//! Derivatives against finite differences, at orders one and two, on random shapes.
//!
//! The first tests visit the two tables row by row, so that a new row is tested at once; operations written by
//! hand follow. Each runs 256 cases; `PROPTEST_CASES` sets another number and `PROPTEST_RNG_SEED` other draws.

use crate::common::{derivative_is_zero, differentiates, of, property, spaced, tensors, with_axes};
use proptest::prelude::*;
use wengert::core::testing;
use wengert::f64::prelude::*;
use wengert::{BinaryOp, Op, UnaryOp, Value, ops};

struct Derivatives;

impl ops::Visitor for Derivatives {
    fn unary<E: UnaryOp>(&mut self, op: E, (low, high): (f64, f64), kinks: &[f64]) {
        let inputs = testing::tensor(testing::shape(), low..high, kinks);
        property(&format!("{op:?}"), inputs, |x| {
            differentiates(|x| x[0].apply_op(op.clone()), [x])
        });
    }

    fn binary<B: BinaryOp>(&mut self, op: B, [a, b]: [(f64, f64); 2], apart: bool) {
        let inputs = testing::pair([a.0..a.1, b.0..b.1], apart);
        property(&format!("{op:?}"), inputs, |inputs| {
            differentiates(|x| Value::apply(op.clone(), [&x[0], &x[1]]), inputs)
        });
    }
}

#[test]
fn every_row_of_the_elementwise_table() {
    ops::visit_unary(&mut Derivatives);
}

#[test]
fn every_row_of_the_binary_table() {
    ops::visit_binary(&mut Derivatives);
}

#[test]
fn steps_have_a_derivative_of_exactly_zero() {
    fn one(op: impl Op<1>) {
        let x = testing::tensor(testing::shape(), -4.0..4.0, &[]);
        property(&format!("{op:?}"), x, |x| derivative_is_zero(|x| x[0].apply_op(op.clone()), [x]));
    }
    one(ops::Step);
    one(ops::Sign);
    one(ops::Floor);
    one(ops::Ceil);
    one(ops::Round);
    fn two(op: impl Op<2>) {
        property(&format!("{op:?}"), testing::pair([-4.0..4.0, -4.0..4.0], false), |x| {
            derivative_is_zero(|x| Value::apply(op.clone(), [&x[0], &x[1]]), x)
        });
    }
    two(ops::GreaterHalf);
    two(ops::EqualNan);
    two(ops::Equal);
    two(ops::NotEqual);
    two(ops::Less);
    two(ops::LessEqual);
    two(ops::Greater);
    two(ops::GreaterEqual);
}

#[test]
fn selections_by_a_mask() {
    // Masks of two elements in front of pairs that broadcast, and the other way round.
    let mask = prop::collection::vec(any::<bool>(), 2)
        .prop_map(|bits| Tensor::from_fn([2, 1, 1, 1], |i| f64::from(u8::from(bits[i]))))
        .boxed();
    let inputs = (mask.clone(), testing::pair([-2.0..2.0, -2.0..2.0], false));
    property("Where", inputs, |(mask, inputs)| {
        differentiates(|x| x[0].tape().constant(&mask).where_cond(x[0], x[1]), inputs)
    });
    let inputs = (mask, of(&[2, 3, 1, 2]), of(&[2]));
    property("Where of a mask that is recorded", inputs, |(mask, a, b)| {
        let tape = Tape::new();
        let mask = tape.variable(&mask);
        let (a, b) = (tape.variable(&a), tape.variable(&b));
        let loss = mask.where_cond(a, b).sum();
        let computed = loss.backward().wrt(mask).is_some_and(|g| g.as_slice() != [0.0; 2]);
        if computed || grad(loss, &[mask])[0].value().as_slice() != [0.0; 2] {
            return Err("a mask is never differentiated".into());
        }
        Ok(())
    });
}

#[test]
fn sums_differences_and_products_of_cotangents() {
    fn holds(op: impl Op<2>) {
        property(&format!("{op:?}"), testing::pair([-2.0..2.0, -2.0..2.0], false), |inputs| {
            differentiates(|x| Value::apply(op.clone(), [&x[0], &x[1]]), inputs)
        });
    }
    holds(ops::Add);
    holds(ops::Sub);
    holds(ops::MulNoNan { either: false });
    holds(ops::MulNoNan { either: true });
}

#[test]
fn reductions() {
    property("Sum", with_axes(tensors()), |(x, axes, keepdim)| {
        differentiates(|x| x[0].sum_axes(&axes[..], keepdim), [x])
    });
    property("Sum of all", tensors(), |x| differentiates(|x| x[0].sum(), [x]));
    let filled = || tensors().prop_filter("a mean of nothing is NaN", |x| x.numel() > 0);
    property("a mean", with_axes(filled()), |(x, axes, keepdim)| {
        differentiates(|x| x[0].mean_axes(&axes[..], keepdim), [x])
    });
    property("a mean of all", filled(), |x| differentiates(|x| x[0].mean(), [x]));
    let distinct = spaced().prop_filter("no maximum", |x| x.numel() > 0).boxed();
    property("Max", with_axes(distinct.clone()), |(x, axes, keepdim)| {
        differentiates(|x| x[0].max_axes(&axes[..], keepdim), [x])
    });
    property("Max of all", distinct, |x| differentiates(|x| x[0].max(), [x]));
}

#[test]
fn rearrangements() {
    let expanded = testing::broadcastable().prop_flat_map(|[a, b]| {
        let to = a.broadcast(b).expect("a pair that broadcasts");
        (of(&a), Just(to))
    });
    property("Expand", expanded, |(x, to)| differentiates(|x| x[0].expand(to), [x]));
    property("Reshape", tensors(), |x| {
        let reversed = x.shape().iter().rev().copied().collect::<Vec<_>>();
        differentiates(|x| x[0].reshape(&*reversed), [x])
    });
    let orders = Just([0isize, 1, 2]).prop_shuffle();
    property("Permute", (of(&[2, 2, 2]), orders), |(x, order)| {
        differentiates(|x| x[0].permute(order), [x])
    });
    property("transpose", (of(&[2, 3, 2]), 0isize..3, -3isize..0), |(x, a, b)| {
        differentiates(|x| x[0].transpose(a, b), [x])
    });
    let parts = || (of(&[3, 4, 2]), 0usize..3, 0usize..=2, 0usize..=2);
    property("Narrow", parts(), |(x, axis, start, len)| {
        let len = len.min(x.shape()[axis].saturating_sub(start));
        differentiates(|x| x[0].narrow(axis as isize, start, len), [x])
    });
    property("PadZeros", parts(), |(x, axis, start, more)| {
        let extent = start + x.shape()[axis] + more;
        differentiates(|x| Value::apply(ops::PadZeros { axis, start, extent }, [&x[0]]), [x])
    });
    let inputs = (of(&[2, 3]), of(&[2, 2]), of(&[4, 3]), 0usize..3);
    property("PlaceSlices", inputs, |(a, b, c, start)| {
        let select = |axis| ops::IndexSelect { axis, skip: None };
        let slices = vec![
            ops::Slice::Narrow(ops::Narrow { axis: 0, start, len: 2 }),
            ops::Slice::Select(select(1), [2, 0].into()),
            ops::Slice::Select(select(0), [3, start, 1, start].into()),
        ];
        // The second slice is as long as the whole.
        let b = MovementOps::concat(&[&b, &b], 0);
        let place = ops::PlaceSlices { to: [4, 3].into(), slices };
        differentiates(|x| Value::apply_many(place.clone(), &[&x[0], &x[1], &x[2]]), [a, b, c])
    });
    // The cotangents of a long sequence are placed at once.
    property("PlaceSlices of many", of(&[12, 2]), |rows| {
        let narrow = |i: usize| ops::Narrow { axis: 0, start: i * 5 % 9, len: 2 };
        let slices = (0..6).map(|i| ops::Slice::Narrow(narrow(i))).chain((6..11).map(|i| {
            ops::Slice::Select(ops::IndexSelect { axis: 0, skip: None }, [i % 4, i - 1].into())
        }));
        let place = ops::PlaceSlices { to: [10, 2].into(), slices: slices.collect() };
        differentiates(
            |x| {
                let parts: Vec<_> =
                    (0..11).map(|i| x[0].narrow(0, i, 2) * (i as f64 - 2.5)).collect();
                Value::apply_many(place.clone(), &parts.iter().collect::<Vec<_>>())
            },
            [rows],
        )
    });
    let parts = (tensors(), 0usize..3, 0usize..=2, 0usize..=2).prop_flat_map(|(x, axis, m, n)| {
        let axis = axis.min(x.shape().rank().max(1) - 1);
        let shape = if x.shape().rank() == 0 { Shape::from([2]) } else { x.shape() };
        let part = |len| of(&shape.with(axis, len).expect("small"));
        (of(&shape), part(m), part(n), Just(axis as isize))
    });
    property("Concat", parts, |(a, b, c, axis)| {
        differentiates(|x| MovementOps::concat(&[x[0], x[1], x[2]], axis), [a, b, c])
    });
}

#[test]
fn rows_along_the_last_axis() {
    let rows = || tensors().prop_filter("a scalar has no last axis", |x| x.shape().rank() > 0);
    property("LogSoftmax", rows(), |x| differentiates(|x| x[0].log_softmax(), [x]));
    property("softmax", rows(), |x| differentiates(|x| x[0].softmax(), [x]));
    let picked = (testing::shape(), 1usize..=4).prop_flat_map(|(lead, n)| {
        let lead = Shape::new(&lead[..lead.rank().min(2)]);
        let positions = prop::collection::vec(0..n, lead.numel());
        (Just(lead), Just(n), positions.prop_map(move |at| Indices::from_vec(at, lead)))
    });
    let picked = picked.boxed();
    let pick = picked.clone().prop_flat_map(|(lead, n, at)| {
        (of(&lead.followed_by(&[n]).expect("three axes")), Just(at))
    });
    property("Pick", pick, |(x, at)| differentiates(|x| x[0].pick(&at), [x]));
    let place = picked.prop_flat_map(|(lead, n, at)| (of(&lead), Just(n), Just(at)));
    property("PlaceOneHot", place, |(x, n, at)| {
        differentiates(
            |x| Value::apply_indexed(ops::PlaceOneHot { n }, &x[0], &x[0].tape().indices(&at)),
            [x],
        )
    });
}

#[test]
fn matrix_products() {
    let extents = || (0usize..=3, 1usize..=3, 1usize..=3);
    for (transpose_a, transpose_b) in [(false, false), (false, true), (true, false), (true, true)] {
        let product = ops::Matmul { transpose_a, transpose_b };
        let operands = (batches(), extents()).prop_flat_map(move |([a, b], (m, k, n))| {
            let matrix = |batch: Shape, rows, columns, transposed| {
                let extents = if transposed { [columns, rows] } else { [rows, columns] };
                of(&batch.followed_by(&extents).expect("four axes"))
            };
            (matrix(a, m, k, transpose_a), matrix(b, k, n, transpose_b))
        });
        property(&format!("{product:?}"), operands, |(a, b)| {
            differentiates(|x| Value::apply(product, [&x[0], &x[1]]), [a, b])
        });
    }
    // A vector on either side, and batches against one matrix.
    let lead = prop::collection::vec(1usize..=2, 0..=3);
    let operands = (0..3, lead, 1usize..=3, 1usize..=3).prop_flat_map(|(case, lead, k, n)| {
        let (a, b) = match case {
            0 => ([&lead[..], &[k]].concat(), vec![k]),
            1 => (vec![k], [&lead[..], &[k, n]].concat()),
            _ => ([&lead[..], &[k]].concat(), vec![k, n]),
        };
        (of(&a), of(&b))
    });
    property("matmul", operands, |(a, b)| differentiates(|x| x[0].matmul(x[1]), [a, b]));
}

/// Draws two batches that broadcast, of up to two axes.
fn batches() -> impl Strategy<Value = [Shape; 2]> {
    testing::broadcastable()
        .prop_map(|pair| pair.map(|shape| Shape::new(&shape[shape.rank().saturating_sub(2)..])))
}

#[test]
fn linear_layers() {
    let operands = (prop::collection::vec(0usize..=3, 0..=3), 1usize..=3, 1usize..=4)
        .prop_flat_map(|(lead, inputs, outputs)| {
            let x = lead.into_iter().chain([inputs]).collect::<Vec<_>>();
            (of(&x), of(&[outputs, inputs]), of(&[outputs]))
        })
        .boxed();
    property("Linear", operands.clone(), |(x, weight, bias)| {
        differentiates(|x| x[0].linear(x[1], x[2]), [x, weight, bias])
    });
    property("matmul_transposed", operands, |(x, weight, _)| {
        differentiates(|x| x[0].matmul_transposed(x[1]), [x, weight])
    });
    property("matmul_transposed of a batch", (of(&[2, 3, 2]), of(&[2, 4, 2])), |(a, b)| {
        differentiates(|x| x[0].matmul_transposed(x[1]), [a, b])
    });
}
