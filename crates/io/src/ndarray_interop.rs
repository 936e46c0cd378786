//! Conversion to and from arrays of the crate `ndarray`.

use ndarray::{ArrayBase, ArrayD, Data, Dimension, IxDyn};
use wengert_core::{Float, Shape, Tensor};

/// Copies a tensor to an array of `ndarray`.
///
/// ```
/// let tensor = wengert_core::Tensor::<f32>::from([[1.0, 2.0], [3.0, 4.0]]);
/// let array = wengert_io::to_ndarray(&tensor);
/// assert_eq!(array, ndarray::array![[1.0, 2.0], [3.0, 4.0]].into_dyn());
/// assert_eq!(wengert_io::from_ndarray(&array), tensor);
/// ```
pub fn to_ndarray<F: Float>(tensor: &Tensor<F>) -> ArrayD<F> {
    let numbers = tensor.as_slice();
    let strides = tensor.shape().strides();
    ArrayD::from_shape_fn(IxDyn(&tensor.shape()), |position| {
        let places = position.slice().iter().zip(&*strides);
        numbers[places.map(|(place, stride)| place * stride).sum::<usize>()]
    })
}

/// Copies an array or a view of `ndarray` to a tensor. The array may have any layout in memory.
///
/// ```
/// let array = ndarray::array![[1.0, 2.0], [3.0, 4.0]];
/// let tensor = wengert_io::from_ndarray(&array.t());
/// assert_eq!(tensor, wengert_core::Tensor::from([[1.0, 3.0], [2.0, 4.0]]));
/// ```
///
/// # Panics
/// If the array has more than eight axes.
#[track_caller]
pub fn from_ndarray<F: Float, S: Data<Elem = F>, D: Dimension>(
    array: &ArrayBase<S, D>,
) -> Tensor<F> {
    let shape = Shape::new(array.shape());
    Tensor::from_vec(array.iter().copied().collect(), shape)
}
