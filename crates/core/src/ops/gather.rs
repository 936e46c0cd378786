//! Elements taken and put by position along one axis.
//!
//! Taking and putting are each other's derivative. Where a position is named more than once, what is
//! put there adds up.

use crate::kernels::broadcast2;
use crate::op::{IndexOp, Op, Value};
use crate::shape::expect_shape;
use crate::{Float, Indices, Operand, Shape, ShapeError, Tensor, Var};

/// For each place of the index the element at that place, but at the position found there along
/// `axis`. The index has as many axes as the input and, but for `axis`, no larger extents.
#[derive(Clone, Copy, Debug)]
pub struct Gather {
    /// The axis that is looked up.
    pub axis: usize,
}

impl IndexOp for Gather {
    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        fits(x, index, self.axis)
    }
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
        let (from, source) = (places(x.shape(), index, self.axis), x.as_slice());
        Tensor::written(out, |y| y.iter_mut().zip(from).for_each(|(y, at)| *y = source[at]))
    }
    fn vjp<V: Value>(&self, x: &V, index: &V::Index, _: &V, g: &V) -> V {
        V::apply_indexed(Scatter { axis: self.axis, to: x.shape() }, g, index)
    }
}

/// Each element added to zeros of shape `to`, at its own place but for the position that the index
/// has there along `axis`: the transpose of [`Gather`].
#[derive(Clone, Copy, Debug)]
pub struct Scatter {
    /// The axis that positions count along.
    pub axis: usize,
    /// The shape of the result.
    pub to: Shape,
}

impl IndexOp for Scatter {
    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        if x != index.shape() {
            let index = index.shape();
            return Err(ShapeError::new(format!("{x:?} at {index:?} (the shapes must agree)")));
        }
        fits(self.to, index, self.axis)?;
        Ok(self.to)
    }
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
        Tensor::written(out, |y| {
            y.fill(F::ZERO);
            let places = places(out, index, self.axis);
            x.as_slice().iter().zip(places).for_each(|(&x, at)| y[at] += x);
        })
    }
    fn vjp<V: Value>(&self, _: &V, index: &V::Index, _: &V, g: &V) -> V {
        V::apply_indexed(Gather { axis: self.axis }, g, index)
    }
}

/// The index's shape, or how it does not go into `x`.
fn fits(x: Shape, index: &Indices, axis: usize) -> Result<Shape, ShapeError> {
    let at = index.shape();
    let inside = |(k, (&at, &extent))| k == axis || at <= extent;
    if at.rank() != x.rank() || axis >= x.rank() || !at.iter().zip(&*x).enumerate().all(inside) {
        return Err(ShapeError::new(format!(
            "{x:?} at {at:?} (as many axes are needed, and none longer but axis {axis})"
        )));
    }
    index.check_below(x[axis])?;
    Ok(at)
}

/// For each place of the index, in order, where in a dense array of shape `x` it points to.
fn places(x: Shape, index: &Indices, axis: usize) -> impl Iterator<Item = usize> {
    let (strides, at) = (x.strides(), index.shape());
    index.as_slice().iter().enumerate().map(move |(mut flat, &position)| {
        let mut place = position * strides[axis];
        for k in (0..at.rank()).rev() {
            let along = flat % at[k];
            flat /= at[k];
            place += if k == axis { 0 } else { along * strides[k] };
        }
        place
    })
}

/// Whole slices along one axis: the axis gives way to the axes of the index.
#[derive(Clone, Copy, Debug)]
pub struct IndexSelect {
    /// The axis that is looked up.
    pub axis: usize,
    /// A position whose slices are zero instead.
    pub skip: Option<usize>,
}

impl IndexOp for IndexSelect {
    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        let Some(&n) = x.get(self.axis) else {
            return Err(ShapeError::new(format!("axis {} does not exist in {x:?}", self.axis)));
        };
        index.check_below(n)?;
        let lead = Shape::new(&x[..self.axis]);
        lead.followed_by(&index.shape())?.followed_by(&x[self.axis + 1..])
    }
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
        let (outer, n, inner) = x.shape().around(self.axis..self.axis + 1);
        let (x, index) = (x.as_slice(), index.as_slice());
        Tensor::written(out, |y| {
            let mut slices = y.chunks_exact_mut(inner.max(1));
            for outer in 0..outer {
                for (&position, y) in index.iter().zip(&mut slices) {
                    if self.skip == Some(position) {
                        y.fill(F::ZERO);
                    } else {
                        y.copy_from_slice(&x[(outer * n + position) * inner..][..inner]);
                    }
                }
            }
        })
    }
    fn vjp<V: Value>(&self, x: &V, index: &V::Index, _: &V, g: &V) -> V {
        let Self { axis, skip } = *self;
        V::apply_indexed(IndexAdd { axis, extent: x.shape()[axis], skip }, g, index)
    }
}

/// MovementOps added to zeros along one axis, which replaces the axes of the index: the transpose of
/// [`IndexSelect`].
#[derive(Clone, Copy, Debug)]
pub struct IndexAdd {
    /// The axis of the result, and the first of those that belong to the index.
    pub axis: usize,
    /// The extent of that axis.
    pub extent: usize,
    /// A position at which nothing is added.
    pub skip: Option<usize>,
}

impl IndexOp for IndexAdd {
    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        let at = index.shape();
        let end = self.axis + at.rank();
        if x.get(self.axis..end) != Some(&*at) {
            let axis = self.axis;
            return Err(ShapeError::new(format!("{x:?} at {at:?} (must agree from axis {axis})")));
        }
        index.check_below(self.extent)?;
        Shape::new(&x[..self.axis]).followed_by(&[self.extent])?.followed_by(&x[end..])
    }
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
        let (outer, n, inner) = out.around(self.axis..self.axis + 1);
        Tensor::written(out, |y| {
            y.fill(F::ZERO);
            let mut slices = x.as_slice().chunks_exact(inner.max(1));
            for outer in 0..outer {
                for (&position, x) in index.as_slice().iter().zip(&mut slices) {
                    if self.skip != Some(position) {
                        let y = &mut y[(outer * n + position) * inner..][..inner];
                        y.iter_mut().zip(x).for_each(|(y, &x)| *y += x);
                    }
                }
            }
        })
    }
    fn vjp<V: Value>(&self, _: &V, index: &V::Index, _: &V, g: &V) -> V {
        V::apply_indexed(IndexSelect { axis: self.axis, skip: self.skip }, g, index)
    }
}

/// Rows of a table: from a weight `[classes, width]` and tokens `[..]` to `[.., width]`.
#[derive(Clone, Copy, Debug)]
pub struct Embedding {
    /// The row of the token that fills sequences up; it receives no gradient.
    pub padding: Option<usize>,
}

impl IndexOp for Embedding {
    fn shape(&self, weight: Shape, tokens: &Indices) -> Result<Shape, ShapeError> {
        match *weight {
            [n, _] if self.padding.is_some_and(|row| row >= n) => {
                let row = self.padding.unwrap_or_default();
                Err(ShapeError::new(format!("padding row {row} is out of range (0..{n})")))
            }
            [_, _] => IndexSelect { axis: 0, skip: None }.shape(weight, tokens),
            _ => Err(ShapeError::new(format!("weight {weight:?} is not [classes, width]"))),
        }
    }
    fn forward<F: Float>(&self, weight: &Tensor<F>, tokens: &Indices, out: Shape) -> Tensor<F> {
        IndexSelect { axis: 0, skip: None }.forward(weight, tokens, out)
    }
    fn vjp<V: Value>(&self, weight: &V, tokens: &V::Index, y: &V, g: &V) -> V {
        IndexSelect { axis: 0, skip: self.padding }.vjp(weight, tokens, y, g)
    }
}

/// `value` where the mask is not 0, the input elsewhere; both broadcast. The mask has a derivative of
/// zero.
#[derive(Clone, Copy, Debug)]
pub struct MaskedFill {
    /// What stands where the mask is set.
    pub value: f64,
}

impl Op<2> for MaskedFill {
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

#[track_caller]
fn gather<V: Value>(x: &V, axis: isize, index: &V::Index) -> V {
    let axis = expect_shape("gather", x.shape().axis(axis));
    V::apply_indexed(Gather { axis }, x, index)
}

#[track_caller]
fn scatter_add<V: Value>(x: &V, axis: isize, index: &V::Index, src: &V) -> V {
    let axis = expect_shape("scatter_add", x.shape().axis(axis));
    x.clone() + V::apply_indexed(Scatter { axis, to: x.shape() }, src, index)
}

#[track_caller]
fn index_select<V: Value>(x: &V, axis: isize, index: &V::Index) -> V {
    let axis = expect_shape("index_select", x.shape().axis(axis));
    V::apply_indexed(IndexSelect { axis, skip: None }, x, index)
}

#[track_caller]
fn index_add<V: Value>(x: &V, axis: isize, index: &V::Index, src: &V) -> V {
    let shape = x.shape();
    let axis = expect_shape("index_add", shape.axis(axis));
    let added = V::apply_indexed(IndexAdd { axis, extent: shape[axis], skip: None }, src, index);
    if added.shape() != shape {
        let src = src.shape();
        let error = format!("{src:?} into {shape:?} (differ in more than axis {axis})");
        expect_shape("index_add", Err::<(), _>(ShapeError::new(error)));
    }
    x.clone() + added
}

impl<'t, F: Float> Var<'t, F> {
    /// The elements at these positions along one axis, `y[i][j] = x[index[i][j]][j]` for axis 0: from
    /// `x` and an index of as many axes to the index's shape.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.gather.html).
    ///
    /// # Panics
    /// If the index has another number of axes, or along another axis than this one a larger extent;
    /// or if a position is out of range: the message names it, its place and the bound.
    #[track_caller]
    pub fn gather(self, axis: isize, index: impl Into<Indices>) -> Self {
        gather(&self, axis, &self.tape.indices(index))
    }

    /// `self`, and `src` added to it at these positions along one axis,
    /// `y[index[i][j]][j] += src[i][j]` for axis 0. Positions named twice add up. `src` has the
    /// index's shape, the result that of `self`.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_add_.html).
    ///
    /// # Panics
    /// If `src` has another shape than the index, and as [`Var::gather`].
    #[track_caller]
    pub fn scatter_add(
        self,
        axis: isize,
        index: impl Into<Indices>,
        src: impl Operand<'t, F>,
    ) -> Self {
        scatter_add(&self, axis, &self.tape.indices(index), &src.on(self.tape))
    }

    /// The slices at these positions along one axis, in this order: from `[.., n, ..]` and an index
    /// `[m]` to `[.., m, ..]`. An index of more axes or none puts its axes in the place of this one.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.index_select.html).
    ///
    /// # Panics
    /// If a position is out of range: the message names it, its place and the bound.
    #[track_caller]
    pub fn index_select(self, axis: isize, index: impl Into<Indices>) -> Self {
        index_select(&self, axis, &self.tape.indices(index))
    }

    /// `self`, and the slices of `src` added to it at these positions along one axis: `[.., n, ..]`
    /// with `src` `[.., m, ..]` and an index `[m]`. Positions named twice add up.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_add_.html).
    ///
    /// # Panics
    /// If the shapes disagree, or a position is out of range: the message names it, its place and the
    /// bound.
    #[track_caller]
    pub fn index_add(
        self,
        axis: isize,
        index: impl Into<Indices>,
        src: impl Operand<'t, F>,
    ) -> Self {
        index_add(&self, axis, &self.tape.indices(index), &src.on(self.tape))
    }

    /// `value` where the mask is not 0, this elsewhere; the shapes broadcast. The mask is not
    /// differentiated.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.Tensor.masked_fill_.html).
    ///
    /// # Panics
    /// If the shapes do not broadcast.
    #[track_caller]
    pub fn masked_fill(self, mask: impl Operand<'t, F>, value: f64) -> Self {
        Self::apply(MaskedFill { value }, [&self, &mask.on(self.tape)])
    }

    /// The rows of this weight `[classes, width]` that the tokens `[..]` name: `[.., width]`. The row
    /// at `padding_idx` is read as it is, and receives gradient 0.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html).
    ///
    /// # Panics
    /// If the weight is no matrix, or if a token or the padding is out of range: the message names
    /// it, its place and the bound.
    #[track_caller]
    pub fn embedding(self, tokens: impl Into<Indices>, padding_idx: Option<usize>) -> Self {
        let op = Embedding { padding: padding_idx };
        Self::apply_indexed(op, &self, &self.tape.indices(tokens))
    }
}

impl<F: Float> Tensor<F> {
    /// The elements at these positions along one axis; as [`Var::gather`].
    #[track_caller]
    pub fn gather(&self, axis: isize, index: impl Into<Indices>) -> Self {
        gather(self, axis, &index.into())
    }

    /// `src` added at these positions along one axis; as [`Var::scatter_add`].
    #[track_caller]
    pub fn scatter_add(&self, axis: isize, index: impl Into<Indices>, src: &Self) -> Self {
        scatter_add(self, axis, &index.into(), src)
    }

    /// The slices at these positions along one axis; as [`Var::index_select`].
    #[track_caller]
    pub fn index_select(&self, axis: isize, index: impl Into<Indices>) -> Self {
        index_select(self, axis, &index.into())
    }

    /// MovementOps added at these positions along one axis; as [`Var::index_add`].
    #[track_caller]
    pub fn index_add(&self, axis: isize, index: impl Into<Indices>, src: &Self) -> Self {
        index_add(self, axis, &index.into(), src)
    }

    /// `value` where the mask is not 0; as [`Var::masked_fill`].
    #[track_caller]
    pub fn masked_fill(&self, mask: &Self, value: f64) -> Self {
        Self::apply(MaskedFill { value }, [self, mask])
    }

    /// The rows of this weight that the tokens name; as [`Var::embedding`].
    #[track_caller]
    pub fn embedding(&self, tokens: impl Into<Indices>) -> Self {
        Self::apply_indexed(Embedding { padding: None }, self, &tokens.into())
    }

    /// For each position `[..]` a row of `classes` zeros with a one there: `[.., classes]`.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.one_hot.html).
    ///
    /// # Panics
    /// If a position is out of range: the message names it, its place and the bound.
    #[track_caller]
    pub fn one_hot(positions: impl Into<Indices>, classes: usize) -> Self {
        let positions = positions.into();
        let out = positions.check_below(classes);
        let out = out.and_then(|()| positions.shape().followed_by(&[classes]));
        Self::written(expect_shape("one_hot", out), |y| {
            y.fill(F::ZERO);
            for (row, &position) in positions.as_slice().iter().enumerate() {
                y[row * classes + position] = F::ONE;
            }
        })
    }
}
