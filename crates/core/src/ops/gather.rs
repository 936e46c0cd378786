//! Elements and slices taken by index, and put by index.
//!
//! Taking and putting are each other's transposes. Where an index repeats, the elements put there add up.

use crate::kernels::broadcast2;
use crate::op::{Cotangent, IndexOp, Op, Value};
use crate::{Float, Indices, Shape, ShapeError, Tensor};

/// For each place of the index, the element at that place except along `axis`, where the index says which:
/// `y[i][j] = x[index[i][j]][j]` for axis 0. The index has as many axes as the input and, except along `axis`, no
/// larger extents.
#[derive(Clone, Copy, Debug)]
pub struct Gather {
    /// The axis that the indices run along.
    pub axis: usize,
}

impl IndexOp for Gather {
    crate::entry_points!(IndexOp);

    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        fits(x, index, self.axis)
    }
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
        let source = x.as_slice();
        Tensor::written(out, |y| {
            each_offset(x.shape(), index, self.axis, |i, at| y[i] = source[at]);
        })
    }
    fn vjp<V: Value>(&self, x: &V, index: &V::Index, _: &V, g: &V) -> V {
        V::apply_indexed(Scatter { axis: self.axis, to: x.shape() }, g, index)
    }
    // Touches the elements alone.
    fn vjp_into<F: Float>(
        &self,
        x: &Tensor<F>,
        index: &Indices,
        _: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        let scatter = Scatter { axis: self.axis, to: x.shape() };
        into.accumulate(|sum| scatter.add(index, g, sum));
    }
    fn reads_rows(&self) -> bool {
        self.axis == 0
    }
}

/// Each element added to zeros of shape `to`, at its own place except along `axis`, where the index says which:
/// the transpose of [`Gather`].
#[derive(Clone, Copy, Debug)]
pub struct Scatter {
    /// The axis that the indices run along.
    pub axis: usize,
    /// The shape of the result.
    pub to: Shape,
}

impl IndexOp for Scatter {
    crate::entry_points!(IndexOp);

    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        if x != index.shape() {
            let index = index.shape();
            return Err(ShapeError::new(format!("{x:?} and indices {index:?} must be equal")));
        }
        fits(self.to, index, self.axis)?;
        Ok(self.to)
    }
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
        Tensor::written(out, |y| {
            y.fill(F::ZERO);
            self.add(index, x, y);
        })
    }
    fn vjp<V: Value>(&self, _: &V, index: &V::Index, _: &V, g: &V) -> V {
        V::apply_indexed(Gather { axis: self.axis }, g, index)
    }
}

impl Scatter {
    /// Adds the elements of `x` to `y`, a tensor of shape `to`.
    fn add<F: Float>(&self, index: &Indices, x: &Tensor<F>, y: &mut [F]) {
        let x = x.as_slice();
        each_offset(self.to, index, self.axis, |i, at| y[at] += x[i]);
    }
}

/// The shape of the index, or an error where it does not fit `x`.
fn fits(x: Shape, index: &Indices, axis: usize) -> Result<Shape, ShapeError> {
    let at = index.shape();
    let inside = |(k, (&at, &extent))| k == axis || at <= extent;
    if at.rank() != x.rank() || axis >= x.rank() || !at.iter().zip(&*x).enumerate().all(inside) {
        return Err(ShapeError::new(format!(
            "{x:?} at indices {at:?}: as many axes are needed, none longer except axis {axis}"
        )));
    }
    index.check_below(x[axis])?;
    Ok(at)
}

/// Calls `visit` with the number of each index and the offset that it points to in a dense tensor of shape `x`. The
/// base of a row along the last axis is computed once.
#[inline]
fn each_offset(x: Shape, index: &Indices, axis: usize, mut visit: impl FnMut(usize, usize)) {
    let (strides, at) = (x.strides(), index.shape());
    let last = at.rank() - 1;
    let along = usize::from(axis != last);
    let width = at[last].max(1);
    for (row, indices) in index.as_slice().chunks_exact(width).enumerate() {
        let (mut base, mut rest) = (0, row);
        for k in (0..last).rev() {
            base += if k == axis { 0 } else { rest % at[k] * strides[k] };
            rest /= at[k];
        }
        for (j, &index) in indices.iter().enumerate() {
            visit(row * width + j, base + index * strides[axis] + along * j);
        }
    }
}

/// The slices at the indices along one axis, which is replaced by the axes of the index.
#[derive(Clone, Copy, Debug)]
pub struct IndexSelect {
    /// The axis that the indices run along.
    pub axis: usize,
    /// An index whose slices are zero instead.
    pub skip: Option<usize>,
}

impl IndexOp for IndexSelect {
    crate::entry_points!(IndexOp);

    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        let Some(&n) = x.get(self.axis) else {
            return Err(ShapeError::new(format!("axis {} does not exist in {x:?}", self.axis)));
        };
        index.check_below(n)?;
        let lead = x.leading(self.axis);
        lead.followed_by(&index.shape())?.followed_by(&x[self.axis + 1..])
    }
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
        let (outer, n, inner) = x.shape().around(self.axis..self.axis + 1);
        let (x, index) = (x.as_slice(), index.as_slice());
        Tensor::written(out, |y| {
            if y.is_empty() {
                return;
            }
            let mut slices = y.chunks_exact_mut(inner.max(1));
            for outer in 0..outer {
                for (&index, y) in index.iter().zip(&mut slices) {
                    if self.skip == Some(index) {
                        y.fill(F::ZERO);
                    } else {
                        y.copy_from_slice(&x[(outer * n + index) * inner..][..inner]);
                    }
                }
            }
        })
    }
    fn vjp<V: Value>(&self, x: &V, index: &V::Index, _: &V, g: &V) -> V {
        V::apply_indexed(self.transposed(x.shape()), g, index)
    }
    // Touches the slices alone: the gradient of a value that is read row by row costs one pass.
    fn vjp_into<F: Float>(
        &self,
        x: &Tensor<F>,
        index: &Indices,
        _: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        into.accumulate(|sum| self.transposed(x.shape()).add(x.shape(), index, g, sum));
    }
    fn reads_rows(&self) -> bool {
        self.axis == 0
    }
}

impl IndexSelect {
    /// The transpose, for an input of this shape.
    pub(super) fn transposed(&self, x: Shape) -> IndexAdd {
        IndexAdd { axis: self.axis, extent: x[self.axis], skip: self.skip }
    }
}

/// Slices added to zeros at the indices along one axis, which replaces the axes of the index: the transpose of
/// [`IndexSelect`].
#[derive(Clone, Copy, Debug)]
pub struct IndexAdd {
    /// The axis of the result, and the first axis of the index in the input.
    pub axis: usize,
    /// The extent of that axis.
    pub extent: usize,
    /// An index at which nothing is added.
    pub skip: Option<usize>,
}

impl IndexOp for IndexAdd {
    crate::entry_points!(IndexOp);

    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        let at = index.shape();
        let end = self.axis + at.rank();
        if x.get(self.axis..end) != Some(&*at) {
            let axis = self.axis;
            return Err(ShapeError::new(format!(
                "{x:?} and indices {at:?} differ from axis {axis} on"
            )));
        }
        index.check_below(self.extent)?;
        x.leading(self.axis).followed_by(&[self.extent])?.followed_by(&x[end..])
    }
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
        Tensor::written(out, |y| {
            y.fill(F::ZERO);
            self.add(out, index, x, y);
        })
    }
    fn vjp<V: Value>(&self, _: &V, index: &V::Index, _: &V, g: &V) -> V {
        V::apply_indexed(IndexSelect { axis: self.axis, skip: self.skip }, g, index)
    }
}

impl IndexAdd {
    /// Adds the slices of `x` to `y`, a tensor of shape `out`.
    pub(super) fn add<F: Float>(&self, out: Shape, index: &Indices, x: &Tensor<F>, y: &mut [F]) {
        let (outer, n, inner) = out.around(self.axis..self.axis + 1);
        if x.as_slice().is_empty() {
            return;
        }
        let mut slices = x.as_slice().chunks_exact(inner.max(1));
        for outer in 0..outer {
            for (&index, x) in index.as_slice().iter().zip(&mut slices) {
                if self.skip != Some(index) {
                    let y = &mut y[(outer * n + index) * inner..][..inner];
                    y.iter_mut().zip(x).for_each(|(y, &x)| *y += x);
                }
            }
        }
    }
}

/// Rows of a weight `[classes, width]` at tokens `[..]`, of shape `[.., width]`.
#[derive(Clone, Copy, Debug)]
pub struct Embedding {
    /// The row of the padding token, which receives no gradient.
    pub padding_idx: Option<usize>,
}

impl IndexOp for Embedding {
    crate::entry_points!(IndexOp);

    fn shape(&self, weight: Shape, tokens: &Indices) -> Result<Shape, ShapeError> {
        match *weight {
            [n, _] if self.padding_idx.is_some_and(|row| row >= n) => {
                let row = self.padding_idx.unwrap_or_default();
                Err(ShapeError::new(format!("padding_idx {row} is out of range (0..{n})")))
            }
            [_, _] => IndexSelect { axis: 0, skip: None }.shape(weight, tokens),
            _ => Err(ShapeError::new(format!("weight {weight:?} is not [classes, width]"))),
        }
    }
    fn forward<F: Float>(&self, weight: &Tensor<F>, tokens: &Indices, out: Shape) -> Tensor<F> {
        IndexSelect { axis: 0, skip: None }.forward(weight, tokens, out)
    }
    fn vjp<V: Value>(&self, weight: &V, tokens: &V::Index, y: &V, g: &V) -> V {
        IndexSelect { axis: 0, skip: self.padding_idx }.vjp(weight, tokens, y, g)
    }
    fn vjp_into<F: Float>(
        &self,
        weight: &Tensor<F>,
        tokens: &Indices,
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        IndexSelect { axis: 0, skip: self.padding_idx }.vjp_into(weight, tokens, y, g, into);
    }
    fn reads_rows(&self) -> bool {
        true
    }
}

/// `value` where the mask is not 0, the input elsewhere; both broadcast. The derivative with respect to the mask
/// is 0.
#[derive(Clone, Copy, Debug)]
pub struct MaskedFill {
    /// The value where the mask is not 0.
    pub value: f64,
}

impl Op<2> for MaskedFill {
    crate::entry_points!(Op<2>);

    fn shape(&self, [x, mask]: [Shape; 2]) -> Result<Shape, ShapeError> {
        x.broadcast(mask)
    }
    fn forward<F: Float>(&self, [x, mask]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        let strides = [x, mask].map(|operand| operand.shape().strides_in(&out));
        let value = F::of(self.value);
        let fill = |x, mask| if mask == F::ZERO { x } else { value };
        Tensor::written(out, |y| {
            broadcast2(y, &out, x.as_slice(), &strides[0], mask.as_slice(), &strides[1], fill);
        })
    }
    fn vjp<V: Value>(&self, i: usize, [_, mask]: [&V; 2], _: &V, g: &V) -> V {
        if i == 0 {
            V::apply(MaskedFill { value: 0.0 }, [g, mask])
        } else {
            mask.constant_like(g.shape(), 0.0)
        }
    }
}

/// One element of each row along the last axis, from `[.., n]` and indices `[..]` to `[..]`.
#[derive(Clone, Copy, Debug)]
pub struct Pick;

impl IndexOp for Pick {
    crate::entry_points!(IndexOp);

    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        match x.split_last() {
            Some((&n, rows)) if *rows == *index.shape() => {
                index.check_below(n)?;
                Ok(index.shape())
            }
            _ => {
                let index = index.shape();
                Err(ShapeError::new(format!(
                    "{x:?} at indices {index:?}: one index per row is needed"
                )))
            }
        }
    }
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
        let (n, x) = (x.shape()[out.rank()], x.as_slice());
        Tensor::written(out, |y| {
            for (row, (y, &index)) in y.iter_mut().zip(index.as_slice()).enumerate() {
                *y = x[row * n + index];
            }
        })
    }
    fn vjp<V: Value>(&self, x: &V, index: &V::Index, _: &V, g: &V) -> V {
        V::apply_indexed(PlaceOneHot { n: x.shape()[g.shape().rank()] }, g, index)
    }
}

/// Each element put into a row of `n` zeros at its index: the transpose of [`Pick`].
#[derive(Clone, Copy, Debug)]
pub struct PlaceOneHot {
    /// The length of the rows.
    pub n: usize,
}

impl IndexOp for PlaceOneHot {
    crate::entry_points!(IndexOp);

    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        if x != index.shape() {
            let index = index.shape();
            return Err(ShapeError::new(format!("{x:?} and indices {index:?} must be equal")));
        }
        index.check_below(self.n)?;
        x.followed_by(&[self.n])
    }
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
        Tensor::written(out, |y| {
            y.fill(F::ZERO);
            for (row, (&x, &index)) in x.as_slice().iter().zip(index.as_slice()).enumerate() {
                y[row * self.n + index] = x;
            }
        })
    }
    fn vjp<V: Value>(&self, _: &V, index: &V::Index, _: &V, g: &V) -> V {
        V::apply_indexed(Pick, g, index)
    }
}
