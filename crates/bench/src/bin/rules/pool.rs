//! Definitions of max pooling and its derivatives: which element of each cell is the first of the largest.

use std::any::Any;

use wengert::core::Tensor;
use wengert::ops::{MaxPool, MaxPoolBackward, MaxPoolGather};
use wengert::{Float, Op, ReduceOps, Shape};

/// The value of an operation of max pooling, or none of another one.
pub(crate) fn definition<F: Float>(
    op: &dyn Any,
    x: &[(Shape, &[F])],
    out: Shape,
) -> Option<Vec<F>> {
    let (shape, elements) = x[0];
    let winners = |cells: Vec<Vec<usize>>| {
        let larger = |a: usize, &b: &usize| if elements[b] > elements[a] { b } else { a };
        cells.into_iter().map(move |cell| cell[1..].iter().fold(cell[0], larger))
    };
    if let Some(op) = op.downcast_ref::<MaxPool>() {
        let cells = cells(shape, out, |one, _| op.forward([one], out));
        return Some(winners(cells).map(|winner| elements[winner]).collect());
    }
    if let Some(op) = op.downcast_ref::<MaxPoolGather>() {
        let cells = cells(shape, out, |one, _| op.forward([one, one], out));
        return Some(winners(cells).map(|winner| x[1].1[winner]).collect());
    }
    let op = op.downcast_ref::<MaxPoolBackward>()?;
    let (pooled, cotangents) = x[1];
    let cells = cells(shape, pooled, |one, cell| {
        let back = op.forward([one, &one_at(pooled, cell)], shape);
        // The cotangent of the cell arrives at the 1 if that is in the cell.
        Tensor::full(pooled, (back * one).sum().item())
    });
    let mut sums = vec![F::ZERO; out.numel()];
    for (winner, cotangent) in winners(cells).zip(cotangents) {
        sums[winner] += *cotangent;
    }
    Some(sums)
}

fn one_at(shape: Shape, place: usize) -> Tensor<f64> {
    Tensor::from_fn(shape, |i| f64::from(u8::from(i == place)))
}

/// The elements of each cell: those which reach it alone, by what `pooled` says of a tensor with a single 1.
fn cells(
    input: Shape,
    output: Shape,
    pooled: impl Fn(&Tensor<f64>, usize) -> Tensor<f64>,
) -> Vec<Vec<usize>> {
    let reaches = |i: usize, cell: usize| pooled(&one_at(input, i), cell).as_slice()[cell] == 1.0;
    let of_cell = |cell| (0..input.numel()).filter(|&i| reaches(i, cell)).collect();
    (0..output.numel()).map(of_cell).collect()
}
