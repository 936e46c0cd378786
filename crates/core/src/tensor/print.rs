//! Printing of tensors in NumPy's style: columns aligned, large tensors elided.

use std::fmt::{self, Debug, Display};

use crate::{Float, Tensor};

/// Above this number of elements, where an empty axis counts as one, only the edges are printed.
const ELIDE_ABOVE: usize = 1000;
/// Digits after the point, unless the formatter sets a precision.
const DIGITS: usize = 4;

/// Prints like NumPy; `{:.6}` sets the number of digits after the point. Default: 4.
impl<F: Float> Display for Tensor<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let page = Page::new(self, f.precision().unwrap_or(DIGITS));
        page.block(f, 0, 0)
    }
}

/// Prints like [`Display`] and adds shape and element type.
impl<F: Float> Debug for Tensor<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)?;
        write!(f, " {:?} {}", self.shape(), F::NAME)
    }
}

struct Page<'a, F: Float> {
    tensor: &'a Tensor<F>,
    /// The number of elements shown at each end of a long axis, or `None` if all are shown.
    edge: Option<usize>,
    digits: usize,
    scientific: bool,
    width: usize,
}

impl<'a, F: Float> Page<'a, F> {
    fn new(tensor: &'a Tensor<F>, digits: usize) -> Self {
        let large =
            tensor.shape().iter().map(|&extent| extent.max(1)).product::<usize>() > ELIDE_ABOVE;
        // NumPy shows three at any rank, which is more than a million elements at rank 8.
        let edge = large.then_some(if tensor.shape().rank() <= 4 { 3 } else { 1 });
        let mut page = Self { tensor, edge, digits, scientific: false, width: 0 };
        let mut shown = Vec::new();
        page.collect(0, 0, &mut shown);
        let sizes = || shown.iter().map(|x| x.to_f64().abs()).filter(|x| x.is_finite() && *x > 0.0);
        let (least, most) = (sizes().fold(f64::MAX, f64::min), sizes().fold(0.0, f64::max));
        // NumPy's thresholds, beyond which a fixed number of digits would hide small or swell large numbers.
        page.scientific = most >= 1e8 || least < 1e-4 || most / least > 1e3 && least < 1e-3;
        if !page.scientific {
            // As many digits as the longest number shown needs: 1, 2, 3 print as "1. 2. 3.".
            let needed = |x: &F| {
                let text = format!("{:.*}", digits, x.to_f64());
                text.trim_end_matches('0').split('.').nth(1).map_or(0, str::len)
            };
            let finite = shown.iter().filter(|x| x.is_finite());
            page.digits = finite.map(needed).max().unwrap_or(0);
        }
        page.width = shown.iter().map(|&x| page.number(x).len()).max().unwrap_or(0);
        page
    }

    fn number(&self, x: F) -> String {
        let x = x.to_f64();
        if x.is_nan() {
            "nan".into()
        } else if x.is_infinite() {
            if x > 0.0 { "inf".into() } else { "-inf".into() }
        } else if self.scientific {
            let text = format!("{x:.*e}", self.digits);
            let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        } else if self.digits == 0 {
            format!("{x:.0}.")
        } else {
            let text = format!("{x:.*}", self.digits);
            format!("{:<1$}", text.trim_end_matches('0'), text.len())
        }
    }

    /// The indices along an axis that are shown; `None` stands for the elided middle.
    fn shown(&self, axis: usize) -> impl Iterator<Item = Option<usize>> {
        let n = self.tensor.shape()[axis];
        let cut = self.edge.filter(|edge| n > 2 * edge);
        let (head, tail) = cut.map_or((n, n), |edge| (edge, n - edge));
        (0..head).map(Some).chain(cut.map(|_| None)).chain((tail..n).map(Some))
    }

    fn collect(&self, axis: usize, offset: usize, shown: &mut Vec<F>) {
        let shape = self.tensor.shape();
        if axis == shape.rank() {
            if let Some(&x) = self.tensor.as_slice().get(offset) {
                shown.push(x);
            }
            return;
        }
        for i in self.shown(axis).flatten() {
            self.collect(axis + 1, offset + i * shape.strides()[axis], shown);
        }
    }

    fn block(&self, f: &mut fmt::Formatter<'_>, axis: usize, offset: usize) -> fmt::Result {
        let shape = self.tensor.shape();
        if axis == shape.rank() {
            return write!(f, "{:>1$}", self.number(self.tensor.as_slice()[offset]), self.width);
        }
        f.write_str("[")?;
        let last = axis + 1 == shape.rank();
        for (k, i) in self.shown(axis).enumerate() {
            if k > 0 && last {
                f.write_str(" ")?;
            } else if k > 0 {
                f.write_str(&"\n".repeat(shape.rank() - axis - 1))?;
                write!(f, "{:1$}", "", axis + 1)?;
            }
            match i {
                Some(i) => self.block(f, axis + 1, offset + i * shape.strides()[axis])?,
                None => f.write_str("...")?,
            }
        }
        f.write_str("]")
    }
}

#[cfg(test)]
mod tests {
    use crate::Tensor;

    #[test]
    fn prints_as_numpy_prints() {
        // The expected texts are NumPy's, under np.set_printoptions(precision=4).
        let matrix = Tensor::<f32>::from([[1.0, -2.5], [0.125, 100.0]]);
        assert_eq!(matrix.to_string(), "[[  1.     -2.5  ]\n [  0.125 100.   ]]");
        assert_eq!(Tensor::<f64>::arange(3).to_string(), "[0. 1. 2.]");
        assert_eq!(format!("{:?}", Tensor::<f64>::arange(3)), "[0. 1. 2.] [3] f64");
        assert_eq!(Tensor::<f32>::scalar(2.5).to_string(), "2.5");
        assert_eq!(Tensor::<f32>::from([1e-6, 1.0]).to_string(), "[1.0000e-06 1.0000e+00]");
        assert_eq!(
            Tensor::<f32>::from([f32::NAN, f32::NEG_INFINITY, 1.0]).to_string(),
            "[ nan -inf   1.]"
        );
        assert_eq!(Tensor::<f64>::zeros([0]).to_string(), "[]");
        assert_eq!(Tensor::<f64>::zeros([2, 0]).to_string(), "[[]\n []]");
        let cube = Tensor::<f32>::zeros([2, 1, 2]);
        assert_eq!(cube.to_string(), "[[[0. 0.]]\n\n [[0. 0.]]]");
    }

    #[test]
    fn large_tensors_show_their_edges() {
        let text = Tensor::<f64>::arange(2000).to_string();
        assert_eq!(text, "[   0.    1.    2. ... 1997. 1998. 1999.]");
    }

    #[test]
    fn no_tensor_prints_more_than_a_page() {
        let text = Tensor::<f64>::zeros([50_000_000, 0]).to_string();
        assert_eq!(text, "[[]\n []\n []\n ...\n []\n []\n []]");
        for shape in [[7; 8], [1 << 20, 1 << 19, 1, 1 << 20, 1, 0, 1, 1]] {
            let text = Tensor::<f32>::zeros(shape).to_string();
            assert!(text.len() < 5000, "{shape:?}: {}", text.len());
        }
    }
}
