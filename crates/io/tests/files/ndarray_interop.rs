//! Conversion to and from arrays of `ndarray`, in any layout.

use ndarray::{Array2, s};
use wengert_core::Tensor;
use wengert_io::{from_ndarray, to_ndarray};

#[test]
fn views_are_converted_in_row_major_order() {
    let grid = Array2::from_shape_fn((2, 3), |(i, j)| (i * 3 + j) as f64);
    let turned = from_ndarray(&grid.t());
    assert_eq!(turned, Tensor::from([[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]));
    assert_eq!(to_ndarray(&turned), grid.t().into_dyn());
    let some = from_ndarray(&grid.slice(s![.., ..;-2]));
    assert_eq!(some, Tensor::from([[2.0, 0.0], [5.0, 3.0]]));
    assert_eq!(to_ndarray(&Tensor::scalar(2.5f32)).first(), Some(&2.5));
    assert_eq!(from_ndarray(&to_ndarray(&Tensor::<f32>::zeros([2, 0]))), Tensor::zeros([2, 0]));
}
