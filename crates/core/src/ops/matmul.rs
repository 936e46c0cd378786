//! Matrix products: the methods, the product itself, and the fully connected layer.

use super::broadcast::Reshape;
use super::operand::Operand;
use crate::error::{ensure_shape, expect_shape};
use crate::kernels::{self, Tiny};
use crate::op::{Cotangent, Gathered, Instruction, Op, Value};
use crate::shape::{Axes, Strides};
use crate::{Float, Shape, ShapeError, Tensor};

/// Products of matrices and vectors, for tensors and variables.
///
/// ```
/// use wengert_core::{MatmulOps, Tensor};
///
/// let (a, v) = (Tensor::<f64>::from([[1.0, 2.0], [3.0, 4.0]]), Tensor::from([1.0, -1.0]));
/// assert_eq!(a.matmul(&a), Tensor::from([[7.0, 10.0], [15.0, 22.0]]));
/// assert_eq!(a.matmul(&v), Tensor::from([-1.0, -1.0]));
/// assert_eq!(v.dot(&v).item(), 2.0);
/// ```
pub trait MatmulOps: Value {
    /// Returns the matrix product of `[m, k]` and `[k, n]`, of shape `[m, n]`; leading axes are batches and
    /// broadcast ([`torch.matmul`](https://docs.pytorch.org/docs/stable/generated/torch.matmul.html)).
    ///
    /// A vector on the left is a row and one on the right a column; its axis is removed from the result.
    ///
    /// # Panics
    /// If the inner dimensions differ, the batches do not broadcast, or an operand is a scalar.
    #[track_caller]
    fn matmul(&self, other: impl Operand<Self>) -> Self {
        matmul(self, &other.beside(self))
    }

    /// Returns `self other^T`: the product of `[.., m, k]` and `[.., n, k]`, of shape `[.., m, n]`. Nothing is
    /// copied. A vector on the left is a row, and its axis is removed from the result.
    ///
    /// # Panics
    /// If the last extents differ, the batches do not broadcast, or `other` is not a matrix.
    #[track_caller]
    fn matmul_transposed(&self, other: impl Operand<Self>) -> Self {
        matmul_transposed(self, &other.beside(self))
    }

    /// Returns `self weight^T + bias`, from `[.., inputs]`, weight `[outputs, inputs]` and bias `[outputs]` to
    /// `[.., outputs]`
    /// ([`torch.nn.functional.linear`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.linear.html)).
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[track_caller]
    fn linear(&self, weight: impl Operand<Self>, bias: impl Operand<Self>) -> Self {
        linear(self, &weight.beside(self), &bias.beside(self))
    }

    /// Returns the sum of products of two vectors, from `[n]` and `[n]` to `[]`
    /// ([`torch.dot`](https://docs.pytorch.org/docs/stable/generated/torch.dot.html)).
    ///
    /// # Panics
    /// If they are not two vectors of equal length.
    #[track_caller]
    fn dot(&self, other: impl Operand<Self>) -> Self {
        let other = other.beside(self);
        let (left, right) = (self.shape(), other.shape());
        ensure_shape!(
            left.rank() == 1 && left == right,
            "{left:?} and {right:?} are not two vectors of one length"
        );
        let row = reshape(self, Shape::from([1, left[0]]));
        let column = reshape(&other, Shape::from([left[0], 1]));
        reshape(&Self::apply(PRODUCT, [&row, &column]), Shape::SCALAR)
    }

    /// Returns the product of each element of one vector with each element of another, from `[m]` and `[n]` to
    /// `[m, n]` ([`torch.outer`](https://docs.pytorch.org/docs/stable/generated/torch.outer.html)).
    ///
    /// # Panics
    /// If they are not both vectors.
    #[track_caller]
    fn outer(&self, other: impl Operand<Self>) -> Self {
        let other = other.beside(self);
        let (left, right) = (self.shape(), other.shape());
        ensure_shape!(
            left.rank() == 1 && right.rank() == 1,
            "{left:?} and {right:?} are not both vectors"
        );
        let column = reshape(self, Shape::from([left[0], 1]));
        let row = reshape(&other, Shape::from([1, right[0]]));
        Self::apply(PRODUCT, [&column, &row])
    }
}

impl<V: Value> MatmulOps for V {}

const PRODUCT: Matmul = Matmul { transpose_a: false, transpose_b: false };
const PRODUCT_TRANSPOSED: Matmul = Matmul { transpose_a: false, transpose_b: true };

#[track_caller]
fn reshape<V: Value>(x: &V, to: Shape) -> V {
    V::apply(Reshape { to }, [x])
}

#[track_caller]
fn matmul<V: Value>(a: &V, b: &V) -> V {
    let (left, right) = (a.shape(), b.shape());
    match (left.rank(), right.rank()) {
        // Operands that do not fit are passed on unchanged, so that the message shows their own shapes.
        _ if left.last() != right.get(right.rank().saturating_sub(2)) => V::apply(PRODUCT, [a, b]),
        (1, r) if r > 0 => {
            let y = matmul(&reshape(a, Shape::from([1, left[0]])), b);
            let shape = y.shape();
            // Two vectors leave a scalar: the row is the only axis then.
            let row = if r == 1 { 0 } else { shape.rank() - 2 };
            reshape(&y, Axes::one(row).removed(shape))
        }
        (r, 1) if r > 0 => {
            let y = matmul(a, &reshape(b, Shape::from([right[0], 1])));
            reshape(&y, Axes::one(y.shape().rank() - 1).removed(y.shape()))
        }
        (3.., 2) => {
            let y = V::apply(PRODUCT, [&reshape(a, rows_of(left)), b]);
            reshape(&y, expect_shape!(left.with(left.rank() - 1, right[1])))
        }
        _ => V::apply(PRODUCT, [a, b]),
    }
}

#[track_caller]
fn matmul_transposed<V: Value>(a: &V, b: &V) -> V {
    let shape = a.shape();
    let flat = rows_of(shape);
    let fits = || PRODUCT_TRANSPOSED.shape([flat, b.shape()]).is_ok();
    if flat == shape || b.shape().rank() != 2 || !fits() {
        return V::apply(PRODUCT_TRANSPOSED, [a, b]);
    }
    let y = V::apply(PRODUCT_TRANSPOSED, [&reshape(a, flat), b]);
    reshape(&y, expect_shape!(shape.with(shape.rank() - 1, y.shape()[1])))
}

#[track_caller]
fn linear<V: Value>(x: &V, weight: &V, bias: &V) -> V {
    let shape = x.shape();
    let flat = rows_of(shape);
    if flat == shape || Linear.shape([flat, weight.shape(), bias.shape()]).is_err() {
        return V::apply(Linear, [x, weight, bias]);
    }
    let y = V::apply(Linear, [&reshape(x, flat), weight, bias]);
    reshape(&y, expect_shape!(shape.with(shape.rank() - 1, y.shape()[1])))
}

/// The shape of all rows along the last axis as one tall matrix; a vector is one row. A scalar stays a scalar.
fn rows_of(shape: Shape) -> Shape {
    match shape.split_last() {
        Some((&last, rows)) if rows.len() != 1 => Shape::from([rows.iter().product(), last]),
        _ => shape,
    }
}

/// The product of matrices or of batches that broadcast, `[.., m, k] x [.., k, n]`, where either operand may be
/// stored transposed. Its derivatives are such products again, so no transpose is ever copied.
#[derive(Clone, Copy, Debug)]
pub struct Matmul {
    /// Whether the left operand is stored as `[.., k, m]`.
    pub transpose_a: bool,
    /// Whether the right operand is stored as `[.., n, k]`.
    pub transpose_b: bool,
}

/// The rows and columns of a matrix as the product reads it.
fn matrix(x: Shape, transpose: bool) -> (usize, usize) {
    let (rows, columns) = (x[x.rank() - 2], x[x.rank() - 1]);
    if transpose { (columns, rows) } else { (rows, columns) }
}

/// The extents in front of the matrix.
fn batch(x: Shape) -> Shape {
    x.leading(x.rank() - 2)
}

impl Matmul {
    /// The product of operands of these shapes.
    fn planned(&self, a: Shape, b: Shape, out: Shape) -> Planned {
        let (m, k) = matrix(a, self.transpose_a);
        let batch = (out.rank() > 2).then(|| Batch {
            extents: batch(out),
            strides: [a, b].map(|x| batch(x).strides_in(&batch(out))),
        });
        let size = [m, out[out.rank() - 1], k];
        // A mutant alters the flags of the general product.
        let is_own = cfg!(not(wengert_mutants));
        let tiny = is_own.then(|| Tiny::new(size, self.transpose_a, self.transpose_b)).flatten();
        Planned { product: *self, size, tiny, batch }
    }

    fn products(&self, a: Shape, b: Shape, out: Shape) -> Products {
        let shapes = [a, b, out];
        let cotangent = |i: usize| {
            let (product, operands) = self.transposed(i, &0, &1, &2);
            let [left, right] = operands.map(|&operand: &usize| operand);
            (product.planned(shapes[left], shapes[right], shapes[i]), [left, right])
        };
        Products { value: self.planned(a, b, out), cotangents: [cotangent(0), cotangent(1)] }
    }

    /// The product whose value is the cotangent of operand `i`, and its operands.
    fn transposed<'a, T>(&self, i: usize, a: &'a T, b: &'a T, g: &'a T) -> (Self, [&'a T; 2]) {
        let of = |transpose_a, transpose_b| Self { transpose_a, transpose_b };
        match (i, self.transpose_a, self.transpose_b) {
            (0, false, tb) => (of(false, !tb), [g, b]),
            (0, true, tb) => (of(tb, true), [b, g]),
            (_, ta, false) => (of(!ta, false), [a, g]),
            (_, ta, true) => (of(true, ta), [g, a]),
        }
    }
}

impl Op<2> for Matmul {
    crate::entry_points!(Op<2>);

    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        let inner_differs = |k, inner| {
            let message = format!("{a:?} x {b:?}: inner dimensions differ ({k} and {inner})");
            Err(ShapeError::new(message))
        };
        if a.rank() < 2 || b.rank() < 2 {
            // `matmul` passes vectors on only if they do not fit.
            return match (a.last(), b.get(b.rank().saturating_sub(2))) {
                (Some(&k), Some(&inner)) if k != inner => inner_differs(k, inner),
                _ => Err(ShapeError::new(format!("{a:?} x {b:?}: a scalar is not a matrix"))),
            };
        }
        let ((m, k), (inner, n)) = (matrix(a, self.transpose_a), matrix(b, self.transpose_b));
        if k != inner {
            return inner_differs(k, inner);
        }
        match batch(a).broadcast(batch(b)) {
            Ok(batch) => batch.followed_by(&[m, n]),
            Err(error) => Err(ShapeError::new(format!("{a:?} x {b:?}: batches {error}"))),
        }
    }

    fn forward<F: Float>(&self, [a, b]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        let product = self.planned(a.shape(), b.shape(), out);
        Tensor::written(out, |y| product.multiply(a.as_slice(), b.as_slice(), y, false))
    }

    fn multiply_adds(&self, [a, _]: [Shape; 2], out: Shape) -> u64 {
        (out.numel() as u64).saturating_mul(matrix(a, self.transpose_a).1 as u64)
    }

    fn vjp<V: Value>(&self, i: usize, [a, b]: [&V; 2], _: &V, g: &V) -> V {
        let (product, operands) = self.transposed(i, a, b, g);
        V::apply(product, operands)
    }

    fn vjp_into<F: Float>(
        &self,
        i: usize,
        [a, b]: [&Tensor<F>; 2],
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        if batch(a.shape()) != batch(b.shape()) {
            return into.add(self.vjp(i, [a, b], y, g));
        }
        let (product, [left, right]) = self.transposed(i, a, b, g);
        let product = product.planned(left.shape(), right.shape(), into.shape());
        let (left, right) = (left.as_slice(), right.as_slice());
        into.write(|sum, accumulate| product.multiply(left, right, sum, accumulate));
    }

    fn instruction<F: Float>(
        &self,
        [a, b]: [Shape; 2],
        out: Shape,
    ) -> Option<Box<dyn Instruction<F>>> {
        let same_batch = batch(a) == batch(b);
        same_batch.then(|| Box::new(self.products(a, b, out)) as Box<dyn Instruction<F>>)
    }
}

/// A product of operands of known shapes.
struct Planned {
    product: Matmul,
    /// Rows, columns, and summands of each element.
    size: [usize; 3],
    tiny: Option<Tiny>,
    /// Present if there are axes in front of the matrices.
    batch: Option<Batch>,
}

struct Batch {
    extents: Shape,
    /// The strides of the operands along the axes in front, in matrices.
    strides: [Strides; 2],
}

impl Planned {
    /// `y (+)= a b` over a batch of products.
    #[inline]
    fn multiply<F: Float>(&self, a: &[F], b: &[F], y: &mut [F], accumulate: bool) {
        match &self.batch {
            None => self.multiply_one(a, b, y, accumulate),
            Some(batch) => self.multiply_batch(batch, a, b, y, accumulate),
        }
    }

    /// `y (+)= a b` for matrices.
    #[inline]
    fn multiply_one<F: Float>(&self, a: &[F], b: &[F], y: &mut [F], accumulate: bool) {
        if let Some(tiny) = &self.tiny {
            return tiny.product(a, b, y, accumulate);
        }
        let Self { product: Matmul { transpose_a, transpose_b }, size: [m, n, k], .. } = *self;
        kernels::matmul(m, n, k, a, transpose_a, b, transpose_b, y, accumulate);
    }

    fn multiply_batch<F: Float>(
        &self,
        batch: &Batch,
        a: &[F],
        b: &[F],
        y: &mut [F],
        accumulate: bool,
    ) {
        let Batch { extents, strides: [a_strides, b_strides] } = batch;
        let [m, n, k] = self.size;
        kernels::batch(y, m * n, m.saturating_mul(n).saturating_mul(k), |number, y| {
            let (mut rest, mut i, mut j) = (number, 0, 0);
            for axis in (0..extents.rank()).rev() {
                let position = rest % extents[axis];
                rest /= extents[axis];
                i += position * a_strides[axis];
                j += position * b_strides[axis];
            }
            let (a, b) = (&a[i * m * k..][..m * k], &b[j * k * n..][..k * n]);
            self.multiply_one(a, b, y, accumulate);
        });
    }
}

/// The instruction of a [`Matmul`] whose operands have the same batch.
struct Products {
    value: Planned,
    /// For each operand, the product that is its cotangent, and which two of both operands and the value's cotangent it
    /// multiplies.
    cotangents: [(Planned, [usize; 2]); 2],
}

impl<F: Float> Instruction<F> for Products {
    fn forward(&self, x: &[&[F]], y: &mut [F]) {
        self.value.multiply(x[0], x[1], y, false);
    }
    fn vjp(&self, i: usize, x: &[&[F]], _: &[F], g: &[F], into: Gathered<'_, F>) {
        let (product, [left, right]) = &self.cotangents[i];
        let operands = [x[0], x[1], g];
        into.write(|sum, accumulate| {
            product.multiply(operands[*left], operands[*right], sum, accumulate);
        });
    }
}

/// `x W^T + b`, from `x` `[n, inputs]`, weight `[outputs, inputs]` and bias `[outputs]` to `[n, outputs]`.
#[derive(Clone, Copy, Debug)]
pub struct Linear;

impl Op<3> for Linear {
    crate::entry_points!(Op<3>);

    fn shape(&self, [x, weight, bias]: [Shape; 3]) -> Result<Shape, ShapeError> {
        let (Some((&inputs, rows)), &[outputs, inner], &[added]) =
            (x.split_last(), &*weight, &*bias)
        else {
            return Err(ShapeError::new(format!(
                "{x:?}, weight {weight:?}, bias {bias:?}: expected [.., inputs], [outputs, inputs], [outputs]"
            )));
        };
        if inputs != inner {
            return Err(ShapeError::new(format!(
                "{x:?} and weight {weight:?}: inputs differ ({inputs} and {inner})"
            )));
        }
        if outputs != added {
            return Err(ShapeError::new(format!(
                "weight {weight:?} and bias {bias:?}: outputs differ ({outputs} and {added})"
            )));
        }
        match rows {
            [_] => x.with(1, outputs),
            _ => Err(ShapeError::new(format!("{x:?} is not a matrix (use `MatmulOps::linear`)"))),
        }
    }

    fn forward<F: Float>(&self, x: [&Tensor<F>; 3], out: Shape) -> Tensor<F> {
        let [x, weight, bias] = x;
        let product = PRODUCT_TRANSPOSED.planned(x.shape(), weight.shape(), out);
        Tensor::written(out, |y| {
            linear_into(&product, x.as_slice(), weight.as_slice(), bias.as_slice(), y)
        })
    }

    fn multiply_adds(&self, [x, ..]: [Shape; 3], out: Shape) -> u64 {
        (out.numel() as u64).saturating_mul(x[1] as u64 + 1)
    }

    fn vjp<V: Value>(&self, i: usize, [x, weight, _]: [&V; 3], y: &V, g: &V) -> V {
        if i == 2 { g.clone() } else { PRODUCT_TRANSPOSED.vjp(i, [x, weight], y, g) }
    }

    fn vjp_into<F: Float>(
        &self,
        i: usize,
        [x, weight, _]: [&Tensor<F>; 3],
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        if i < 2 {
            return PRODUCT_TRANSPOSED.vjp_into(i, [x, weight], y, g, into);
        }
        let (rows, columns) = (g.shape()[0], g.shape()[1]);
        into.write(|sum, accumulate| kernels::sum(g.as_slice(), 1, rows, columns, sum, accumulate));
    }

    fn instruction<F: Float>(
        &self,
        [x, weight, _]: [Shape; 3],
        out: Shape,
    ) -> Option<Box<dyn Instruction<F>>> {
        Some(Box::new(Layer(PRODUCT_TRANSPOSED.products(x, weight, out))))
    }
}

/// `y = x W^T + b`.
fn linear_into<F: Float>(product: &Planned, x: &[F], weight: &[F], bias: &[F], y: &mut [F]) {
    y.chunks_mut(bias.len().max(1)).for_each(|row| row.copy_from_slice(bias));
    product.multiply(x, weight, y, true);
}

/// The instruction of [`Linear`].
struct Layer(Products);

impl<F: Float> Instruction<F> for Layer {
    fn forward(&self, x: &[&[F]], y: &mut [F]) {
        linear_into(&self.0.value, x[0], x[1], x[2], y);
    }
    fn vjp(&self, i: usize, x: &[&[F]], y: &[F], g: &[F], into: Gathered<'_, F>) {
        if i < 2 {
            return self.0.vjp(i, x, y, g, into);
        }
        let [rows, columns, _] = self.0.value.size;
        into.write(|sum, accumulate| kernels::sum(g, 1, rows, columns, sum, accumulate));
    }
}
