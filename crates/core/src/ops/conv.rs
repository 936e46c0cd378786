//! Convolution (as in PyTorch, a cross-correlation).
//!
//! Let `y` be the correlation of `x` with `w`. The sum of `y * g` is linear in each of `x`, `w` and `g`. Its
//! derivatives are the three operations of this file, so the derivatives of these three are again among them.

use super::broadcast::Sum;
use crate::kernels::{Correlation, Slide};
use crate::op::{Cotangent, Op, Value};
use crate::shape::Axes;
use crate::{Float, MAX_NUMEL, Shape, ShapeError, Tensor};

/// Zeros around the planes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Padding {
    /// No padding.
    Valid,
    /// Zeros that make the output as large as the input; needs stride 1. If their number is odd, the end gets one
    /// more.
    Same,
    /// Numbers of zeros on both sides of the rows and of the columns.
    By([usize; 2]),
}

impl From<usize> for Padding {
    fn from(both: usize) -> Self {
        Self::By([both; 2])
    }
}

impl From<[usize; 2]> for Padding {
    fn from(sides: [usize; 2]) -> Self {
        Self::By(sides)
    }
}

/// A number per axis of a window: one for both axes, or `[rows, columns]`. In one dimension the columns count.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither one number for both axes nor a pair",
    note = "write a `usize` (`2`) or an array (`[2, 3]`)"
)]
pub trait Pair {
    /// Returns rows and columns.
    fn pair(self) -> [usize; 2];
}

impl Pair for usize {
    fn pair(self) -> [usize; 2] {
        [self; 2]
    }
}

impl Pair for [usize; 2] {
    fn pair(self) -> [usize; 2] {
        self
    }
}

/// Returns a pair of distances, none of which is 0.
#[track_caller]
pub(super) fn nonzero(name: &str, pair: impl Pair) -> [usize; 2] {
    let pair = pair.pair();
    assert!(!pair.contains(&0), "{name} must be 1 or above, not {pair:?}");
    pair
}

/// Options of a convolution. Default: stride 1, no padding, dilation 1, one group.
///
/// ```
/// use wengert_core::{ConvOptions, Padding, Tensor, WindowOps};
///
/// let (x, w) = (Tensor::<f64>::ones([1, 2, 8, 8]), Tensor::ones([4, 1, 3, 3]));
/// let y = x.conv2d(&w, ConvOptions::new().stride(2).padding(1).groups(2));
/// assert_eq!(*y.shape(), [1, 4, 4, 4]);
/// let y = x.conv2d(&w, ConvOptions::new().padding(Padding::Same).groups(2));
/// assert_eq!(*y.shape(), [1, 4, 8, 8]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConvOptions {
    stride: [usize; 2],
    padding: Padding,
    dilation: [usize; 2],
    groups: usize,
}

impl ConvOptions {
    /// Creates the default options.
    pub fn new() -> Self {
        Self { stride: [1; 2], padding: Padding::Valid, dilation: [1; 2], groups: 1 }
    }

    /// Sets the distance from one window to the next.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: nonzero("ConvOptions: stride", stride), ..self }
    }

    /// Sets the zeros around the planes: a number, `[rows, columns]`, or a [`Padding`].
    pub fn padding(self, padding: impl Into<Padding>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// Sets the distance between neighbouring elements of the kernel.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn dilation(self, dilation: impl Pair) -> Self {
        Self { dilation: nonzero("ConvOptions: dilation", dilation), ..self }
    }

    /// Sets the number of groups into which the channels are divided, each with its own kernels.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Returns the number of groups.
    pub fn group_count(&self) -> usize {
        self.groups
    }

    /// The stride along rows and columns.
    pub(super) fn strides(&self) -> [usize; 2] {
        self.stride
    }

    /// The elements that a kernel reaches over along one axis (0 rows, 1 columns), and the zeros before the plane and
    /// on both sides of it.
    pub(super) fn reach(
        &self,
        axis: usize,
        input: usize,
        kernel: usize,
    ) -> Result<(usize, usize, usize), ShapeError> {
        if kernel == 0 || input == 0 {
            return Err(ShapeError::new(format!("kernel {kernel}, input {input}: none may be 0")));
        }
        // What is too large saturates, and is an error later or as a shape.
        let reach = self.dilation[axis].saturating_mul(kernel - 1).saturating_add(1);
        match self.padding {
            Padding::Valid => Ok((reach, 0, 0)),
            Padding::By(sides) => Ok((reach, sides[axis], sides[axis].saturating_mul(2))),
            Padding::Same if self.stride[axis] == 1 => Ok((reach, (reach - 1) / 2, reach - 1)),
            Padding::Same => {
                let stride = self.stride[axis];
                Err(ShapeError::new(format!("padding 'same' needs stride 1, not {stride}")))
            }
        }
    }

    /// The windows along one axis (0 rows, 1 columns).
    fn slide(&self, axis: usize, input: usize, kernel: usize) -> Result<Slide, ShapeError> {
        let (stride, dilation) = (self.stride[axis], self.dilation[axis]);
        let (reach, before, both) = self.reach(axis, input, kernel)?;
        let padded = input.saturating_add(both);
        if padded > MAX_NUMEL {
            return Err(ShapeError::new(format!(
                "input {input}, padding {before}: {padded} elements with padding are too many"
            )));
        }
        if reach > padded {
            return Err(ShapeError::new(format!(
                "kernel over {reach} elements does not fit into {padded} with padding"
            )));
        }
        let output = (padded - reach) / stride + 1;
        Ok(Slide { input, kernel, output, stride, dilation, before })
    }

    /// The correlation of an input and a weight, and the shape of the output.
    pub(super) fn plan(&self, x: Shape, w: Shape) -> Result<(Correlation, Shape), ShapeError> {
        let groups = self.groups;
        let mistake = |what: String| {
            ShapeError::new(format!("{x:?} with weight {w:?} in {groups} groups: {what}"))
        };
        let (x4, w4) = match (&*x, &*w) {
            (&[n, c, l], &[o, i, k]) => ([n, c, 1, l], [o, i, 1, k]),
            (&[n, c, h, l], &[o, i, kh, kw]) => ([n, c, h, l], [o, i, kh, kw]),
            _ => {
                let wanted =
                    "expected [n, channels, ..] and [out, channels / groups, ..], 3 or 4 axes each";
                return Err(mistake(wanted.into()));
            }
        };
        let ([images, channels, ..], [outputs, inputs, ..]) = (x4, w4);
        if groups == 0 || outputs % groups != 0 {
            return Err(mistake(format!("{outputs} output channels are not divisible")));
        }
        if inputs.checked_mul(groups) != Some(channels) {
            return Err(mistake(format!("channels differ ({channels} and {inputs} per group)")));
        }
        let outputs = outputs / groups;
        // One dimension is a plane of one row, to which neither padding nor stride applies.
        let rows = if x.rank() == 3 { Self::new() } else { *self };
        let along = |axis: usize, on: &Self| {
            on.slide(axis, x4[2 + axis], w4[2 + axis]).map_err(|error| mistake(error.to_string()))
        };
        let slides = [along(0, &rows)?, along(1, self)?];
        let [rows, columns] = slides.map(|slide| slide.output);
        let out = match x.rank() {
            3 => Shape::try_new(&[images, w[0], columns])?,
            _ => Shape::try_new(&[images, w[0], rows, columns])?,
        };
        let plan = Correlation { images, groups, inputs, outputs, slides };
        match plan.scratch::<f32>().max(plan.scratch_for_weight::<f32>()) {
            ..=MAX_NUMEL => Ok((plan, out)),
            _ => Err(mistake("the windows have too many elements".into())),
        }
    }

    /// The correlation of shapes that [`Op::shape`] has checked.
    fn planned(&self, x: Shape, w: Shape) -> Correlation {
        self.plan(x, w).unwrap_or_else(|_| unreachable!("checked by shape")).0
    }
}

impl Default for ConvOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The correlation of `x` `[n, c, h, w]` with weights `[out, c / groups, kh, kw]`, or of `[n, c, l]`
/// with `[out, c / groups, k]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv(pub ConvOptions);

/// The cotangent of the input of [`Conv`], from the cotangent of the output and the weight.
#[derive(Clone, Copy, Debug)]
pub struct ConvInput {
    /// The options of the convolution.
    pub options: ConvOptions,
    /// The shape of the input.
    pub input: Shape,
}

/// The cotangent of the weight of [`Conv`], from the input and the cotangent of the output.
#[derive(Clone, Copy, Debug)]
pub struct ConvWeight {
    /// The options of the convolution.
    pub options: ConvOptions,
    /// The shape of the weight.
    pub weight: Shape,
}

/// An error if a cotangent does not have the shape of the output.
fn agree(g: Shape, out: Shape) -> Result<(), ShapeError> {
    if g == out {
        return Ok(());
    }
    Err(ShapeError::new(format!("expected a cotangent of shape {out:?}, found {g:?}")))
}

/// Runs `f` with `len` elements of scratch memory from the pool.
fn with_scratch<F: Float>(len: usize, f: impl FnOnce(&mut [F])) {
    f(Tensor::scratch(Shape::from([len])).as_mut_slice());
}

impl Op<2> for Conv {
    crate::entry_points!(Op<2>);

    fn shape(&self, [x, w]: [Shape; 2]) -> Result<Shape, ShapeError> {
        Ok(self.0.plan(x, w)?.1)
    }
    fn forward<F: Float>(&self, [x, w]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        let plan = self.0.planned(x.shape(), w.shape());
        Tensor::written(out, |y| {
            with_scratch(plan.scratch::<F>(), |scratch| {
                plan.forward(x.as_slice(), w.as_slice(), y, scratch, false);
            });
        })
    }
    fn multiply_adds(&self, [_, w]: [Shape; 2], out: Shape) -> u64 {
        (out.numel() as u64).saturating_mul(w[1..].iter().product::<usize>() as u64)
    }
    fn vjp<V: Value>(&self, i: usize, [x, w]: [&V; 2], _: &V, g: &V) -> V {
        if i == 0 {
            V::apply(ConvInput { options: self.0, input: x.shape() }, [g, w])
        } else {
            V::apply(ConvWeight { options: self.0, weight: w.shape() }, [x, g])
        }
    }
    fn vjp_into<F: Float>(
        &self,
        i: usize,
        [x, w]: [&Tensor<F>; 2],
        _: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        let plan = self.0.planned(x.shape(), w.shape());
        let (x, w, g) = (x.as_slice(), w.as_slice(), g.as_slice());
        into.write(|out, accumulate| {
            if i == 0 {
                with_scratch(plan.scratch::<F>(), |s| plan.towards_input(g, w, out, s, accumulate));
            } else {
                let len = plan.scratch_for_weight::<F>();
                with_scratch(len, |s| plan.towards_weight(x, g, out, s, accumulate));
            }
        });
    }
}

impl Op<2> for ConvInput {
    crate::entry_points!(Op<2>);

    fn shape(&self, [g, w]: [Shape; 2]) -> Result<Shape, ShapeError> {
        agree(g, self.options.plan(self.input, w)?.1)?;
        Ok(self.input)
    }
    fn forward<F: Float>(&self, [g, w]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        let plan = self.options.planned(out, w.shape());
        Tensor::written(out, |x| {
            with_scratch(plan.scratch::<F>(), |scratch| {
                plan.towards_input(g.as_slice(), w.as_slice(), x, scratch, false);
            });
        })
    }
    fn multiply_adds(&self, [g, w]: [Shape; 2], _: Shape) -> u64 {
        (g.numel() as u64).saturating_mul(w[1..].iter().product::<usize>() as u64)
    }
    fn vjp<V: Value>(&self, i: usize, [g, w]: [&V; 2], _: &V, c: &V) -> V {
        if i == 0 {
            V::apply(Conv(self.options), [c, w])
        } else {
            V::apply(ConvWeight { options: self.options, weight: w.shape() }, [c, g])
        }
    }
}

impl Op<2> for ConvWeight {
    crate::entry_points!(Op<2>);

    fn shape(&self, [x, g]: [Shape; 2]) -> Result<Shape, ShapeError> {
        agree(g, self.options.plan(x, self.weight)?.1)?;
        Ok(self.weight)
    }
    fn forward<F: Float>(&self, [x, g]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        let plan = self.options.planned(x.shape(), out);
        Tensor::written(out, |w| {
            with_scratch(plan.scratch_for_weight::<F>(), |scratch| {
                plan.towards_weight(x.as_slice(), g.as_slice(), w, scratch, false);
            });
        })
    }
    fn vjp<V: Value>(&self, i: usize, [x, g]: [&V; 2], _: &V, c: &V) -> V {
        if i == 0 {
            V::apply(ConvInput { options: self.options, input: x.shape() }, [g, c])
        } else {
            V::apply(Conv(self.options), [x, c])
        }
    }
}

/// [`Conv`] with a bias `[out]` added to the output channels.
#[derive(Clone, Copy, Debug)]
pub struct ConvBias(pub ConvOptions);

impl Op<3> for ConvBias {
    crate::entry_points!(Op<3>);

    fn shape(&self, [x, w, bias]: [Shape; 3]) -> Result<Shape, ShapeError> {
        let out = self.0.plan(x, w)?.1;
        if *bias != [w[0]] {
            return Err(ShapeError::new(format!(
                "weight {w:?} and bias {bias:?}: output channels differ"
            )));
        }
        Ok(out)
    }
    fn forward<F: Float>(&self, [x, w, bias]: [&Tensor<F>; 3], out: Shape) -> Tensor<F> {
        let plan = self.0.planned(x.shape(), w.shape());
        let plane = out[2..].iter().product::<usize>();
        Tensor::written(out, |y| {
            let channels = bias.as_slice().iter().cycle();
            y.chunks_exact_mut(plane).zip(channels).for_each(|(y, &bias)| y.fill(bias));
            with_scratch(plan.scratch::<F>(), |scratch| {
                plan.forward(x.as_slice(), w.as_slice(), y, scratch, true);
            });
        })
    }
    fn multiply_adds(&self, [_, w, _]: [Shape; 3], out: Shape) -> u64 {
        (out.numel() as u64).saturating_mul(w[1..].iter().product::<usize>() as u64 + 1)
    }
    fn vjp<V: Value>(&self, i: usize, [x, w, _]: [&V; 3], y: &V, g: &V) -> V {
        if i < 2 {
            return Conv(self.0).vjp(i, [x, w], y, g);
        }
        let others: &[isize] = if g.shape().rank() == 3 { &[0, 2] } else { &[0, 2, 3] };
        let axes = Axes::of(g.shape(), others).unwrap_or_else(|_| unreachable!("three or four"));
        V::apply(Sum { axes, keepdim: false }, [g])
    }
    fn vjp_into<F: Float>(
        &self,
        i: usize,
        [x, w, bias]: [&Tensor<F>; 3],
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        if i < 2 {
            Conv(self.0).vjp_into(i, [x, w], y, g, into);
        } else {
            into.add(self.vjp(i, [x, w, bias], y, g));
        }
    }
}
