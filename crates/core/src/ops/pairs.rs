//! Operations on pairs of elements: their loops, the sum, the difference, and the product of a cotangent and a
//! derivative.

use crate::kernels::{broadcast1, broadcast2, sum, zip2, zip3};
use crate::op::{Gathered, Instruction, Op, Value};
use crate::shape::{Axes, Strides};
use crate::tensor::reduce::{Runs, runs};
use crate::{Float, Shape, ShapeError, Tensor};

/// A function of two numbers that acts on each pair of elements independently.
pub(super) trait Pairwise: Clone + Send + Sync + 'static {
    /// Computes the function.
    fn of<F: Float>(&self, a: F, b: F) -> F;
    /// Computes the cotangent of argument `i` from that of the value.
    fn cotangent<F: Float>(&self, i: usize, a: F, b: F, g: F) -> F;
}

/// Computes a function of each pair of elements; the operands broadcast to `out`.
pub(super) fn combine<F: Float>(
    op: &impl Pairwise,
    [a, b]: [&Tensor<F>; 2],
    out: Shape,
) -> Tensor<F> {
    let strides = (a.shape() != b.shape()).then(|| strides_in(out, [a.shape(), b.shape()]));
    let (a, b) = (a.as_slice(), b.as_slice());
    Tensor::written(out, |y| match &strides {
        None => combine_equal(op, a, b, y),
        Some(strides) => combine_broadcast(op, a, b, &out, strides, y),
    })
}

// This and the next two have two callers each: inlining would compile the loops twice.
#[inline(never)]
fn combine_equal<F: Float>(op: &impl Pairwise, a: &[F], b: &[F], y: &mut [F]) {
    zip2(
        y,
        a,
        b,
        #[inline(always)]
        |y, a, b| *y = op.of(a, b),
    );
}

#[inline(never)]
fn combine_broadcast<F: Float>(
    op: &impl Pairwise,
    a: &[F],
    b: &[F],
    out: &Shape,
    [a_strides, b_strides]: &[Strides; 2],
    y: &mut [F],
) {
    broadcast2(
        y,
        out,
        a,
        a_strides,
        b,
        b_strides,
        #[inline(always)]
        |a, b| op.of(a, b),
    );
}

/// Computes the cotangents of operand `i`, for operands of the shape of the value.
#[inline(never)]
pub(super) fn combine_vjp<F: Float>(
    op: &impl Pairwise,
    i: usize,
    a: &[F],
    b: &[F],
    g: &[F],
    out: &mut [F],
) {
    zip3(
        out,
        a,
        b,
        g,
        #[inline(always)]
        |out, a, b, g| *out = op.cotangent(i, a, b, g),
    );
}

/// Makes the instruction of a function of two numbers.
pub(super) fn pair_instruction<F: Float>(
    op: &impl Pairwise,
    x: [Shape; 2],
    out: Shape,
) -> Box<dyn Instruction<F>> {
    let op = op.clone();
    if x[0] == x[1] {
        return Box::new(EqualPairs(op));
    }
    Box::new(BroadcastPairs { op, broadcast: Broadcast::new(x, out) })
}

/// A function of two operands of one shape.
struct EqualPairs<P>(P);

impl<P: Pairwise, F: Float> Instruction<F> for EqualPairs<P> {
    fn forward(&self, x: &[&[F]], y: &mut [F]) {
        combine_equal(&self.0, x[0], x[1], y);
    }
    fn vjp(&self, i: usize, x: &[&[F]], _: &[F], g: &[F], into: Gathered<'_, F>) {
        into.fill(|out| combine_vjp(&self.0, i, x[0], x[1], g, out));
    }
}

/// A function of two operands that broadcast.
struct BroadcastPairs<P> {
    op: P,
    broadcast: Broadcast,
}

impl<P: Pairwise, F: Float> Instruction<F> for BroadcastPairs<P> {
    fn forward(&self, x: &[&[F]], y: &mut [F]) {
        let Broadcast { out, strides, .. } = &self.broadcast;
        combine_broadcast(&self.op, x[0], x[1], out, strides, y);
    }
    fn vjp(&self, i: usize, x: &[&[F]], _: &[F], g: &[F], into: Gathered<'_, F>) {
        into.fill_with_scratch(|out, scratch| {
            let ([a, b], [all, next]) = self.broadcast.expand(x, g.len(), scratch);
            combine_vjp(&self.op, i, a, b, g, &mut all[..g.len()]);
            sum_runs(&self.broadcast.sums[i], all, next, out);
        });
    }
}

/// The way in which two operands broadcast.
struct Broadcast {
    out: Shape,
    strides: [Strides; 2],
    /// The axes along which each operand repeats.
    sums: [Runs; 2],
}

impl Broadcast {
    fn new(x: [Shape; 2], out: Shape) -> Self {
        let sums = x.map(|x| runs(out, Axes::repeated(out, x)));
        Self { out, strides: strides_in(out, x), sums }
    }

    /// Writes both operands in full, `len` elements each, into `scratch`. Returns them and the two halves of what is left.
    fn expand<'a, F: Float>(
        &self,
        x: &[&[F]],
        len: usize,
        scratch: &'a mut [F],
    ) -> ([&'a [F]; 2], [&'a mut [F]; 2]) {
        let part = scratch.len() / 4;
        let (operands, rest) = scratch.split_at_mut(2 * part);
        let (a, b) = operands.split_at_mut(part);
        let (a, b) = (&mut a[..len], &mut b[..len]);
        broadcast1(a, &self.out, x[0], &self.strides[0]);
        broadcast1(b, &self.out, x[1], &self.strides[1]);
        let (all, next) = rest.split_at_mut(part);
        ([a, b], [all, next])
    }
}

fn strides_in(out: Shape, x: [Shape; 2]) -> [Strides; 2] {
    x.map(|x| x.strides_in(&out))
}

/// Sums over each run of axes in turn: from `x` to `out`, by way of `next` and `x`.
pub(super) fn sum_runs<F: Float>(runs: &Runs, x: &mut [F], next: &mut [F], out: &mut [F]) {
    let Some((&(outer, n, inner), before)) = runs.split_last() else {
        return out.copy_from_slice(&x[..out.len()]);
    };
    let (mut x, mut next) = (x, next);
    for &(outer, n, inner) in before {
        sum(&x[..outer * n * inner], outer, n, inner, &mut next[..outer * inner], false);
        std::mem::swap(&mut x, &mut next);
    }
    sum(&x[..outer * n * inner], outer, n, inner, out, false);
}

/// `a + b`. Its derivatives are the cotangent itself: nothing is multiplied.
#[derive(Clone, Copy, Debug)]
pub struct Add;

impl Op<2> for Add {
    crate::entry_points!(Op<2>);

    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        a.broadcast(b)
    }
    fn forward<F: Float>(&self, x: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        combine(self, x, out)
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 2], _: &V, g: &V) -> V {
        g.clone()
    }
    fn instruction<F: Float>(&self, x: [Shape; 2], out: Shape) -> Option<Box<dyn Instruction<F>>> {
        Some(pair_instruction(self, x, out))
    }
}

impl Pairwise for Add {
    #[inline(always)]
    fn of<F: Float>(&self, a: F, b: F) -> F {
        a + b
    }
    #[inline(always)]
    fn cotangent<F: Float>(&self, _: usize, _: F, _: F, g: F) -> F {
        g
    }
}

/// `a - b`. Its derivatives are the cotangent and its negative.
#[derive(Clone, Copy, Debug)]
pub struct Sub;

impl Op<2> for Sub {
    crate::entry_points!(Op<2>);

    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        a.broadcast(b)
    }
    fn forward<F: Float>(&self, x: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        combine(self, x, out)
    }
    fn vjp<V: Value>(&self, i: usize, _: [&V; 2], _: &V, g: &V) -> V {
        if i == 0 { g.clone() } else { -g.clone() }
    }
    fn instruction<F: Float>(&self, x: [Shape; 2], out: Shape) -> Option<Box<dyn Instruction<F>>> {
        Some(pair_instruction(self, x, out))
    }
}

impl Pairwise for Sub {
    #[inline(always)]
    fn of<F: Float>(&self, a: F, b: F) -> F {
        a - b
    }
    #[inline(always)]
    fn cotangent<F: Float>(&self, i: usize, _: F, _: F, g: F) -> F {
        if i == 0 { g } else { -g }
    }
}

/// The product of a cotangent `a` and a derivative `b`: `a * b`, but 0 where `a` is 0, even if `b` is infinite or NaN.
///
/// A cotangent is 0 where a selection discarded a branch. A derivative of 0 has no such meaning: NaN times 0 stays
/// NaN, so that no NaN of the program is lost.
///
/// Its own derivatives are those of the plain product; a recorded selection in its place would silently break the
/// second order. The one with respect to `b` multiplies two cotangents, of which [either](Self::either) may be 0. So a
/// branch stays discarded in derivatives of any order.
#[derive(Clone, Copy, Debug)]
pub struct MulNoNan {
    /// Whether both operands are cotangents, so that the result is 0 where `b` is 0 as well.
    pub either: bool,
}

impl Op<2> for MulNoNan {
    crate::entry_points!(Op<2>);

    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        a.broadcast(b)
    }

    fn forward<F: Float>(&self, x: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        combine(self, x, out)
    }

    fn vjp<V: Value>(&self, i: usize, [a, b]: [&V; 2], _: &V, g: &V) -> V {
        let either = self.either || i == 1;
        V::apply(Self { either }, [g, if i == 0 { b } else { a }])
    }

    fn instruction<F: Float>(&self, x: [Shape; 2], out: Shape) -> Option<Box<dyn Instruction<F>>> {
        Some(pair_instruction(self, x, out))
    }
}

impl Pairwise for MulNoNan {
    #[inline(always)]
    fn of<F: Float>(&self, a: F, b: F) -> F {
        if self.either && b == F::ZERO { b } else { mul_no_nan(a, b) }
    }
    #[inline(always)]
    fn cotangent<F: Float>(&self, i: usize, a: F, b: F, g: F) -> F {
        Self { either: self.either || i == 1 }.of(g, if i == 0 { b } else { a })
    }
}

/// `a * b`, but 0 where `a` is 0.
#[inline(always)]
pub(super) fn mul_no_nan<F: Float>(a: F, b: F) -> F {
    if a == F::ZERO { F::ZERO } else { a * b }
}
