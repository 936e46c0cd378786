//! Reshaping, broadcasting, and the sum that undoes a broadcast.

use super::pairs::sum_runs;
use crate::kernels;
use crate::op::{Cotangent, Gathered, Instruction, Op, Value};
use crate::shape::{Axes, Strides};
use crate::tensor::reduce::{Runs, runs, sum};
use crate::{Float, Shape, ShapeError, Tensor};

/// The elements in row-major order under another shape. The memory is shared.
#[derive(Clone, Copy, Debug)]
pub struct Reshape {
    /// The new shape.
    pub to: Shape,
}

impl Op<1> for Reshape {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let (to, before, after) = (self.to, x.numel(), self.to.numel());
        if before == after {
            return Ok(to);
        }
        Err(ShapeError::new(format!(
            "{x:?} to {to:?}: element counts differ ({before} and {after})"
        )))
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        x.with_shape(out)
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        V::apply(Reshape { to: x.shape() }, [g])
    }
    fn instruction<F: Float>(&self, _: [Shape; 1], _: Shape) -> Option<Box<dyn Instruction<F>>> {
        Some(Box::new(CopyAll))
    }
}

/// The instruction of [`Reshape`].
struct CopyAll;

impl<F: Float> Instruction<F> for CopyAll {
    fn forward(&self, x: &[&[F]], y: &mut [F]) {
        y.copy_from_slice(x[0]);
    }
    fn vjp(&self, _: usize, _: &[&[F]], _: &[F], g: &[F], into: Gathered<'_, F>) {
        into.fill(|out| out.copy_from_slice(g));
    }
}

/// The value repeated along axes of extent 1 and along new leading axes.
#[derive(Clone, Copy, Debug)]
pub struct Expand {
    /// The shape to broadcast to.
    pub to: Shape,
}

impl Op<1> for Expand {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        if x.expands_to(self.to) {
            return Ok(self.to);
        }
        Err(ShapeError::new(format!("{x:?} does not broadcast to {:?}", self.to)))
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        x.broadcast_to(out)
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        sum_to(g, x.shape())
    }
    fn instruction<F: Float>(
        &self,
        [x]: [Shape; 1],
        out: Shape,
    ) -> Option<Box<dyn Instruction<F>>> {
        let sums = runs(out, Axes::repeated(out, x));
        Some(Box::new(Repeat { out, strides: x.strides_in(&out), sums }))
    }
}

/// The instruction of [`Expand`].
struct Repeat {
    out: Shape,
    strides: Strides,
    /// The axes along which the operand repeats.
    sums: Runs,
}

impl<F: Float> Instruction<F> for Repeat {
    fn forward(&self, x: &[&[F]], y: &mut [F]) {
        kernels::broadcast1(y, &self.out, x[0], &self.strides);
    }
    fn vjp(&self, _: usize, _: &[&[F]], _: &[F], g: &[F], into: Gathered<'_, F>) {
        into.fill_with_scratch(|out, scratch| {
            let (all, next) = scratch.split_at_mut(scratch.len() / 2);
            all[..g.len()].copy_from_slice(g);
            sum_runs(&self.sums, all, next, out);
        });
    }
}

/// The sum over some axes.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// The axes summed over.
    pub axes: Axes,
    /// Whether they stay, with extent 1.
    pub keepdim: bool,
}

impl Op<1> for Sum {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(self.axes.reduced(x, self.keepdim))
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        sum(x, self.axes).with_shape(out)
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        spread(g, self.axes, x.shape())
    }
    fn vjp_into<F: Float>(
        &self,
        _: usize,
        [x]: [&Tensor<F>; 1],
        _: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        let to = x.shape();
        let strides = self.axes.kept(to).strides_in(&to);
        into.fill(|out| kernels::broadcast1(out, &to, g.as_slice(), &strides));
    }
    fn instruction<F: Float>(&self, [x]: [Shape; 1], _: Shape) -> Option<Box<dyn Instruction<F>>> {
        let run = match *runs(x, self.axes) {
            [] => (x.numel(), 1, 1),
            [run] => run,
            _ => return None,
        };
        Some(Box::new(SumRun { run, x, strides: self.axes.kept(x).strides_in(&x) }))
    }
}

/// The instruction of a [`Sum`] over neighbouring axes.
struct SumRun {
    /// The extents before, within and after the axes.
    run: (usize, usize, usize),
    x: Shape,
    /// The strides that repeat a sum along the axes.
    strides: Strides,
}

impl<F: Float> Instruction<F> for SumRun {
    fn forward(&self, x: &[&[F]], y: &mut [F]) {
        match self.run {
            (_, 1, _) => y.copy_from_slice(x[0]),
            (outer, n, inner) => kernels::sum(x[0], outer, n, inner, y, false),
        }
    }
    fn vjp(&self, _: usize, _: &[&[F]], _: &[F], g: &[F], into: Gathered<'_, F>) {
        into.fill(|out| match g {
            [g] => out.fill(*g),
            g => kernels::broadcast1(out, &self.x, g, &self.strides),
        });
    }
}

/// Repeats a reduced value along the axes that were reduced, back to shape `to`.
pub(super) fn spread<V: Value>(reduced: &V, axes: Axes, to: Shape) -> V {
    let kept = axes.kept(to);
    if reduced.shape() == kept {
        V::apply(Expand { to }, [reduced])
    } else {
        V::apply(Expand { to }, [&V::apply(Reshape { to: kept }, [reduced])])
    }
}

/// Sums a value back to a shape that was broadcast to its own.
pub(crate) fn sum_to<V: Value>(x: &V, to: Shape) -> V {
    let from = x.shape();
    if from == to {
        return x.clone();
    }
    let axes = Axes::repeated(from, to);
    let summed = V::apply(Sum { axes, keepdim: true }, [x]);
    if from.rank() == to.rank() { summed } else { V::apply(Reshape { to }, [&summed]) }
}
