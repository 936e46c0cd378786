//! The dense, row-major array: making one and looking at it. Arithmetic is in `ops`.

pub(crate) mod indices;
mod print;
pub(crate) mod reduce;
#[cfg(feature = "serde")]
mod serde;
pub(crate) mod storage;

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use crate::tensor::storage::Storage;
use crate::{Float, Shape};

/// A dense row-major array of numbers. Users know it as `Tensor`.
///
/// Cloning shares the memory; writing to a shared array copies it first. Arrays are `Send + Sync`.
pub struct Tensor<F: Float> {
    shape: Shape,
    /// The number of elements, which everybody asks for.
    len: usize,
    storage: Storage<F>,
}

impl<F: Float> Tensor<F> {
    /// An array of this shape holding `data` in row-major order; the data is not copied.
    ///
    /// # Panics
    /// If the shape does not hold exactly as many elements as there are.
    #[track_caller]
    pub fn from_vec(data: Vec<F>, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        if data.len() != shape.numel() {
            panic!("from_vec: {} elements do not fill {shape:?} ({})", data.len(), shape.numel());
        }
        Self { shape, len: data.len(), storage: Storage::from_vec(data) }
    }

    /// An array whose elements are still to be written: their values are arbitrary.
    pub(crate) fn scratch(shape: Shape) -> Self {
        let len = shape.numel();
        Self { shape, len, storage: Storage::scratch(len) }
    }

    /// An array whose elements `f` writes, in row-major order. What it leaves alone is arbitrary.
    pub fn written(shape: Shape, f: impl FnOnce(&mut [F])) -> Self {
        let mut array = Self::scratch(shape);
        f(array.as_mut_slice());
        array
    }

    /// Element `i`, counted in row-major order, is `f(i)`.
    #[track_caller]
    pub fn from_fn(shape: impl Into<Shape>, mut f: impl FnMut(usize) -> F) -> Self {
        Self::written(shape.into(), |y| y.iter_mut().enumerate().for_each(|(i, y)| *y = f(i)))
    }

    /// Every element is `value`.
    #[track_caller]
    pub fn full(shape: impl Into<Shape>, value: F) -> Self {
        Self::written(shape.into(), |y| y.fill(value))
    }

    /// A single number, of shape `[]`.
    pub fn scalar(value: F) -> Self {
        Self::full(Shape::SCALAR, value)
    }

    /// All zeros.
    #[track_caller]
    pub fn zeros(shape: impl Into<Shape>) -> Self {
        Self::full(shape, F::ZERO)
    }

    /// All ones.
    #[track_caller]
    pub fn ones(shape: impl Into<Shape>) -> Self {
        Self::full(shape, F::ONE)
    }

    /// The identity matrix, of shape `[n, n]`.
    pub fn eye(n: usize) -> Self {
        Self::from_fn([n, n], |i| if i / n == i % n { F::ONE } else { F::ZERO })
    }

    /// 0, 1, .. `n - 1`, of shape `[n]`.
    pub fn arange(n: usize) -> Self {
        Self::from_fn([n], |i| F::of(i as f64))
    }

    /// `n` evenly spaced numbers from `first` to `last`, both included, of shape `[n]`.
    pub fn linspace(first: f64, last: f64, n: usize) -> Self {
        let steps = n.saturating_sub(1).max(1) as f64;
        Self::from_fn([n], |i| {
            let along = i as f64 / steps;
            F::of(first * (1.0 - along) + last * along)
        })
    }

    /// Standard normal draws in row-major order; the same in both precisions, up to rounding.
    #[track_caller]
    pub fn randn(shape: impl Into<Shape>, rng: &mut (impl Rng + ?Sized)) -> Self {
        Self::from_fn(shape, |_| F::of(rng.sample(StandardNormal)))
    }

    /// Uniform draws from `low` to `high` in row-major order; the same in both precisions, up to
    /// rounding.
    #[track_caller]
    pub fn uniform(
        shape: impl Into<Shape>,
        low: f64,
        high: f64,
        rng: &mut (impl Rng + ?Sized),
    ) -> Self {
        Self::from_fn(shape, |_| F::of(low + (high - low) * rng.random::<f64>()))
    }

    /// The extents of the axes.
    #[inline]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Number of elements.
    #[inline]
    pub fn numel(&self) -> usize {
        self.len
    }

    /// The elements in row-major order.
    #[inline]
    pub fn as_slice(&self) -> &[F] {
        &self.storage.as_slice()[..self.len]
    }

    /// The elements in row-major order, for writing; copied beforehand if the memory is shared.
    pub fn as_mut_slice(&mut self) -> &mut [F] {
        self.storage.make_mut(self.len)
    }

    /// A copy of the elements in row-major order.
    pub fn to_vec(&self) -> Vec<F> {
        self.as_slice().to_vec()
    }

    /// The only element.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[track_caller]
    pub fn item(&self) -> F {
        match self.as_slice() {
            [only] => *only,
            _ => panic!("item: {:?} holds {} elements, not one", self.shape, self.numel()),
        }
    }

    /// The element at this position.
    ///
    /// # Panics
    /// If the position has another rank than the array, or lies outside.
    #[track_caller]
    pub fn at(&self, position: &[usize]) -> F {
        let shape = self.shape;
        let inside =
            position.len() == shape.rank() && position.iter().zip(&*shape).all(|(p, n)| p < n);
        if !inside {
            panic!("at: {position:?} is not a position in {shape:?}");
        }
        self.as_slice()[position.iter().zip(&*shape.strides()).map(|(p, s)| p * s).sum::<usize>()]
    }

    /// The same elements in row-major order under another shape; shares the memory.
    pub(crate) fn with_shape(&self, shape: Shape) -> Self {
        debug_assert_eq!(shape.numel(), self.numel());
        Self { shape, len: self.len, storage: self.storage.clone() }
    }

    /// The same numbers in another precision, each rounded to nearest.
    pub fn cast<G: Float>(&self) -> Tensor<G> {
        let x = self.as_slice();
        Tensor::from_fn(self.shape, |i| G::of(x[i].to_f64()))
    }

    /// The rows (slices along the first axis) at these positions, in this order.
    ///
    /// From shape `[n, ..]` to `[rows.len(), ..]`.
    ///
    /// # Panics
    /// On a scalar, or if a row does not exist; the message names it and its place.
    #[track_caller]
    pub fn take_rows(&self, rows: &[usize]) -> Self {
        if self.shape.rank() == 0 {
            panic!("take_rows: a scalar has no rows");
        }
        let (count, width) = (self.shape[0], self.shape[1..].iter().product::<usize>());
        let mut out = Self::scratch(self.shape.with(0, rows.len()));
        let (x, y) = (self.as_slice(), out.as_mut_slice());
        for (place, &row) in rows.iter().enumerate() {
            if row >= count {
                panic!("take_rows: row {row} at place {place} is out of range in {:?}", self.shape);
            }
            y[place * width..][..width].copy_from_slice(&x[row * width..][..width]);
        }
        out
    }

    /// Whether every element is neither infinite nor NaN.
    pub fn is_finite(&self) -> bool {
        self.as_slice().iter().all(|x| x.is_finite())
    }
}

impl<F: Float> Clone for Tensor<F> {
    #[inline]
    fn clone(&self) -> Self {
        Self { shape: self.shape, len: self.len, storage: self.storage.clone() }
    }
}

/// Equal when shapes and all elements are; a NaN equals nothing.
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

/// Nested arrays of equal lengths, and the number at the bottom.
pub trait Nested<F> {
    /// The extents of this value and all within.
    fn extents(&self, into: &mut Vec<usize>);
    /// The numbers in row-major order.
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

/// A tensor in single precision from literals: `tensor![[1.0, 2.0], [3.0, 4.0]]`.
#[macro_export]
macro_rules! tensor_f32 {
    ($($x:expr),* $(,)?) => { $crate::Tensor::<f32>::from([$($x),*]) };
}

/// A tensor in double precision from literals: `tensor![[1.0, 2.0], [3.0, 4.0]]`.
#[macro_export]
macro_rules! tensor_f64 {
    ($($x:expr),* $(,)?) => { $crate::Tensor::<f64>::from([$($x),*]) };
}
