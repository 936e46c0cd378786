//! The dense tensor: making one, reading it, converting it. Its arithmetic is in `ops`.

mod arg;
pub(crate) mod indices;
pub(crate) mod pool;
mod print;
pub(crate) mod reduce;
#[cfg(feature = "serde")]
mod serde;
pub(crate) mod storage;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::error::expect_shape;
use crate::kernels;
use crate::tensor::storage::Storage;
use crate::{Float, Indices, Shape};

/// A dense, row-major tensor of `f32` or `f64`.
///
/// ```
/// use wengert_core::{MatmulOps, ReduceOps, Tensor, UnaryOps};
///
/// let w = Tensor::<f64>::from([[1.0, -2.0], [0.5, 3.0]]);
/// let x = Tensor::from([1.0, 2.0]);
/// let y = (w.matmul(&x) * 2.0).relu();
/// assert_eq!(y, Tensor::from([0.0, 13.0]));
/// assert_eq!(y.sum().item(), 13.0);
/// println!("{y:.2}"); // prints like NumPy
/// ```
///
/// # Making
///
/// Nested arrays convert with [`Tensor::from`], which the macro `tensor![[1.0, 2.0], [3.0, 4.0]]` of the preludes
/// abbreviates; [`from_vec`](Self::from_vec) takes a `Vec` and a shape without copying. [`zeros`](Self::zeros),
/// [`arange`](Self::arange), [`randn`](Self::randn) and others fill a shape. A shape is anything that converts to
/// [`Shape`]: `[2, 3]`, a slice, or a single extent.
///
/// # Reading
///
/// [`as_slice`](Self::as_slice) gives the elements in row-major order, [`at`](Self::at) one of them,
/// [`item`](Self::item) the only one. `{}` prints like NumPy and `{:?}` adds shape and element type.
///
/// # Arithmetic
///
/// `+ - * /` broadcast as in NumPy. Operands are tensors, by value or by reference, and numbers. All other operations
/// are methods of traits, which variables on a tape share: [`UnaryOps`](crate::UnaryOps),
/// [`BinaryOps`](crate::BinaryOps), [`MovementOps`](crate::MovementOps), [`ReduceOps`](crate::ReduceOps),
/// [`MatmulOps`](crate::MatmulOps), [`IndexOps`](crate::IndexOps), [`WindowOps`](crate::WindowOps). On tensors they
/// compute and record nothing.
///
/// # Memory
///
/// Cloning and reshaping share the memory. Writing to shared memory copies it first. Later tensors of similar size on
/// the same thread reuse the memory of dropped tensors. Tensors are `Send + Sync`.
pub struct Tensor<F: Float> {
    shape: Shape,
    /// The number of elements, cached because it is read so often.
    len: usize,
    storage: Storage<F>,
}

/// # Making
impl<F: Float> Tensor<F> {
    /// Makes a tensor of this shape from `data` in row-major order, without copying.
    ///
    /// # Panics
    /// If the shape does not hold exactly `data.len()` elements.
    #[track_caller]
    pub fn from_vec(data: Vec<F>, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        let (len, numel) = (data.len(), shape.numel());
        if len != numel {
            panic!("from_vec: {shape:?} holds {numel} elements, found {len}");
        }
        Self { shape, len: data.len(), storage: Storage::from_vec(data) }
    }

    /// A tensor whose elements are arbitrary until they are written.
    #[track_caller]
    pub(crate) fn scratch(shape: Shape) -> Self {
        let len = shape.numel();
        match Storage::scratch(len) {
            Some(storage) => Self { shape, len, storage },
            None => panic!("no memory for a tensor of shape {shape:?} {}", F::NAME),
        }
    }

    /// Makes a tensor whose elements `f` writes, in row-major order. Elements that `f` leaves alone are arbitrary.
    ///
    /// # Panics
    /// If the machine does not have the memory.
    #[track_caller]
    pub fn written(shape: Shape, f: impl FnOnce(&mut [F])) -> Self {
        let mut tensor = Self::scratch(shape);
        f(tensor.as_mut_slice());
        tensor
    }

    /// Makes a tensor whose element `i`, counted in row-major order, is `f(i)`.
    #[track_caller]
    pub fn from_fn(shape: impl Into<Shape>, mut f: impl FnMut(usize) -> F) -> Self {
        Self::written(shape.into(), |y| y.iter_mut().enumerate().for_each(|(i, y)| *y = f(i)))
    }

    /// Makes a tensor filled with `value`.
    #[track_caller]
    pub fn full(shape: impl Into<Shape>, value: F) -> Self {
        Self::written(shape.into(), |y| y.fill(value))
    }

    /// Makes a scalar, of shape `[]`.
    pub fn scalar(value: F) -> Self {
        Self::full(Shape::SCALAR, value)
    }

    /// Makes a tensor of zeros.
    #[track_caller]
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        Self::full(shape, F::ZERO)
    }

    /// Makes a tensor of ones.
    #[track_caller]
    pub fn ones(shape: impl Into<Shape>) -> Self {
        Self::full(shape, F::ONE)
    }

    /// Makes the identity matrix, of shape `[n, n]`.
    #[track_caller]
    pub fn eye(n: usize) -> Self {
        Self::from_fn([n, n], |i| if i / n == i % n { F::ONE } else { F::ZERO })
    }

    /// Makes the vector 0, 1, .. `n - 1`, of shape `[n]`.
    #[track_caller]
    pub fn arange(n: usize) -> Self {
        Self::from_fn([n], |i| F::of(i as f64))
    }

    /// Makes a vector of `n` evenly spaced numbers from `first` to `last`, both included, of shape `[n]`.
    #[track_caller]
    pub fn linspace(first: f64, last: f64, n: usize) -> Self {
        let steps = n.saturating_sub(1).max(1) as f64;
        Self::from_fn([n], |i| {
            let along = i as f64 / steps;
            F::of(first * (1.0 - along) + last * along)
        })
    }

    /// Draws from the standard normal distribution in row-major order; both precisions get the same draws, up to
    /// rounding.
    #[track_caller]
    pub fn randn(shape: impl Into<Shape>, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self::from_fn(shape, |_| F::of(rng.sample(StandardNormal)))
    }

    /// Draws uniformly from `low..high` in row-major order; both precisions get the same draws, up to rounding. `high`
    /// itself is not drawn, unless `low` rounds to it.
    ///
    /// # Panics
    /// If `low` is above `high`, or either is NaN.
    #[track_caller]
    pub fn uniform(
        shape: impl Into<Shape>,
        low: f64,
        high: f64,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        assert!(low <= high, "uniform: {low} is not at most {high}");
        // A draw that rounds up to `high` is moved to the number below.
        let (least, most) = (F::of(low), F::of(high));
        let most = if most.to_f64() < high { most } else { most.next_down() };
        Self::from_fn(shape, |_| {
            let x = F::of(low + (high - low) * rng.random::<f64>());
            if x <= most {
                x
            } else if least < most {
                most
            } else {
                least
            }
        })
    }

    /// Makes a row of `classes` elements for each index, 1 at the index and 0 elsewhere, from `[..]` to `[.., classes]`
    /// ([`torch.nn.functional.one_hot`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.one_hot.html)).
    ///
    /// # Panics
    /// If an index is out of range; the message gives it, its place and the bound.
    #[track_caller]
    pub fn one_hot(indices: impl Into<Indices>, classes: usize) -> Self {
        let indices = indices.into();
        expect_shape!(indices.check_below(classes));
        let shape = expect_shape!(indices.shape().followed_by(&[classes]));
        Self::written(shape, |y| {
            y.fill(F::ZERO);
            for (row, &index) in indices.as_slice().iter().enumerate() {
                y[row * classes + index] = F::ONE;
            }
        })
    }
}

/// # Reading
impl<F: Float> Tensor<F> {
    /// Returns the extents of the axes.
    #[inline]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn shape_ref(&self) -> &Shape {
        &self.shape
    }

    /// A tensor without elements or memory.
    pub(crate) fn nothing() -> Self {
        Self { shape: Shape::from([0]), len: 0, storage: Storage::NOTHING }
    }

    /// The elements under another shape, for writing all of them. The memory is used again if it fits.
    #[inline]
    pub(crate) fn overwrite_as(&mut self, shape: Shape) -> &mut [F] {
        if self.shape != shape {
            if shape.numel() == self.len {
                self.shape = shape;
            } else {
                *self = Self::scratch(shape);
            }
        }
        self.overwrite()
    }

    /// Whether two tensors have their elements in the same memory.
    pub(crate) fn shares_memory(&self, other: &Self) -> bool {
        self.storage.is_shared_with(&other.storage)
    }

    /// Returns the number of elements.
    #[inline]
    pub fn numel(&self) -> usize {
        self.len
    }

    /// Returns the elements in row-major order.
    #[inline]
    pub fn as_slice(&self) -> &[F] {
        &self.storage.as_slice()[..self.len]
    }

    /// Returns the elements in row-major order, for writing. Copies them first if the memory is shared.
    pub fn as_mut_slice(&mut self) -> &mut [F] {
        self.storage.make_mut(self.len)
    }

    /// Copies the elements in row-major order.
    pub fn to_vec(&self) -> Vec<F> {
        self.as_slice().to_vec()
    }

    /// Returns the only element.
    ///
    /// # Panics
    /// If the tensor does not have exactly one element.
    #[track_caller]
    pub fn item(&self) -> F {
        match self.as_slice() {
            [only] => *only,
            _ => panic!("item: {:?} holds {} elements, expected one", self.shape, self.len),
        }
    }

    /// Returns the element at an index with one number per axis.
    ///
    /// # Panics
    /// If the index has another rank than the tensor, or is out of range.
    #[track_caller]
    pub fn at(&self, index: &[usize]) -> F {
        let shape = self.shape;
        let inside = index.len() == shape.rank() && index.iter().zip(&*shape).all(|(i, n)| i < n);
        if !inside {
            panic!("at: index {index:?} is out of range in {shape:?}");
        }
        self.as_slice()[index.iter().zip(&*shape.strides()).map(|(i, s)| i * s).sum::<usize>()]
    }

    /// Returns the elements in row-major order, for writing all of them: their contents are arbitrary. The memory is
    /// used again if it is not shared.
    #[inline]
    pub fn overwrite(&mut self) -> &mut [F] {
        self.storage.overwrite(self.len)
    }

    /// The elements in row-major order under another shape. The memory is shared.
    pub(crate) fn with_shape(&self, shape: Shape) -> Self {
        debug_assert_eq!(shape.numel(), self.numel());
        Self { shape, len: self.len, storage: self.storage.clone() }
    }

    /// Converts to another precision; each element is rounded to nearest.
    pub fn cast<G: Float>(&self) -> Tensor<G> {
        let x = self.as_slice();
        Tensor::from_fn(self.shape, |i| G::of(x[i].to_f64()))
    }

    /// Copies these rows (slices along the first axis), in this order, from `[n, ..]` to `[rows.len(), ..]`.
    ///
    /// # Panics
    /// On a scalar, or if a row is out of range; the message gives it and its place.
    #[track_caller]
    pub fn take_rows(&self, rows: &[usize]) -> Self {
        if self.shape.rank() == 0 {
            panic!("take_rows: a scalar has no rows");
        }
        let (count, width) = (self.shape[0], self.shape[1..].iter().product::<usize>());
        let mut out = Self::scratch(expect_shape!(self.shape.with(0, rows.len())));
        let (x, y) = (self.as_slice(), out.as_mut_slice());
        for (place, &row) in rows.iter().enumerate() {
            if row >= count {
                panic!("take_rows: row {row} at place {place} is out of range in {:?}", self.shape);
            }
            y[place * width..][..width].copy_from_slice(&x[row * width..][..width]);
        }
        out
    }

    /// Returns whether all elements are neither infinite nor NaN.
    pub fn is_finite(&self) -> bool {
        kernels::is_finite(self.as_slice())
    }
}

impl<F: Float> Clone for Tensor<F> {
    #[inline]
    fn clone(&self) -> Self {
        Self { shape: self.shape, len: self.len, storage: self.storage.clone() }
    }
}

/// Tensors are equal if their shapes are equal and all elements are equal; NaN equals nothing.
impl<F: Float> PartialEq for Tensor<F> {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.as_slice() == other.as_slice()
    }
}

impl<F: Float> From<F> for Tensor<F> {
    fn from(value: F) -> Self {
        Self::scalar(value)
    }
}

/// Nested arrays of numbers, which convert to a tensor: `[[1.0, 2.0], [3.0, 4.0]]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a number of type `{F}` or an array of such numbers",
    label = "not a `{F}`",
    note = "elements are written with a point (`1.0`) and have the precision of the tensor"
)]
pub trait Nested<F> {
    /// Appends the extents of this value and of those inside it.
    fn extents(&self, into: &mut Vec<usize>);
    /// Appends the numbers in row-major order.
    fn flatten(self, into: &mut Vec<F>);
}

impl<F: Float> Nested<F> for F {
    fn extents(&self, _: &mut Vec<usize>) {}
    fn flatten(self, into: &mut Vec<F>) {
        into.push(self);
    }
}

impl<F: Float, T: Nested<F>, const N: usize> Nested<F> for [T; N] {
    fn extents(&self, into: &mut Vec<usize>) {
        into.push(N);
        if let Some(first) = self.first() {
            first.extents(into);
        }
    }
    fn flatten(self, into: &mut Vec<F>) {
        self.into_iter().for_each(|part| part.flatten(into));
    }
}

impl<F: Float, T: Nested<F>, const N: usize> From<[T; N]> for Tensor<F> {
    #[track_caller]
    fn from(nested: [T; N]) -> Self {
        let (mut extents, mut data) = (Vec::new(), Vec::new());
        nested.extents(&mut extents);
        nested.flatten(&mut data);
        Self::from_vec(data, &*extents)
    }
}

/// Makes a tensor in single precision from literals: `tensor![[1.0, 2.0], [3.0, 4.0]]`.
#[macro_export]
macro_rules! tensor_f32 {
    ($($x:expr),* $(,)?) => { $crate::Tensor::<f32>::from([$($x),*]) };
}

/// Makes a tensor in double precision from literals: `tensor![[1.0, 2.0], [3.0, 4.0]]`.
#[macro_export]
macro_rules! tensor_f64 {
    ($($x:expr),* $(,)?) => { $crate::Tensor::<f64>::from([$($x),*]) };
}
