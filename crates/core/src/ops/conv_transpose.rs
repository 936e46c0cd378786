//! Transposed convolution: the transpose of a convolution as a function of its input.

use super::conv::{ConvInput, ConvOptions, Pair};
use crate::{Shape, ShapeError};

/// Options of a transposed convolution: those of the convolution that it transposes, and the output padding.
///
/// [`ConvOptions`] convert to it. Default: output padding 0.
///
/// ```
/// use wengert_core::{ConvOptions, Tensor, WindowOps};
///
/// let (x, w) = (Tensor::<f64>::ones([1, 4, 5, 5]), Tensor::ones([4, 2, 3, 3]));
/// let options = ConvOptions::new().stride(2).padding(1);
/// assert_eq!(*x.conv_transpose2d(&w, options).shape(), [1, 2, 9, 9]);
/// assert_eq!(*x.conv_transpose2d(&w, options.output_padding(1)).shape(), [1, 2, 10, 10]);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConvTransposeOptions {
    of: ConvOptions,
    output_padding: [usize; 2],
}

impl From<ConvOptions> for ConvTransposeOptions {
    fn from(of: ConvOptions) -> Self {
        Self { of, output_padding: [0; 2] }
    }
}

impl ConvOptions {
    /// Lengthens the output of a transposed convolution at its end, by less than the stride. A stride above 1 maps
    /// several lengths to one; the output padding selects among them.
    pub fn output_padding(self, output_padding: impl Pair) -> ConvTransposeOptions {
        ConvTransposeOptions { of: self, output_padding: output_padding.pair() }
    }
}

impl ConvTransposeOptions {
    /// Returns the number of groups.
    pub fn group_count(&self) -> usize {
        self.of.group_count()
    }

    /// The operation for an input `[n, c, ..]` and a weight `[c, out / groups, ..]` of the same rank.
    pub(super) fn plan(&self, x: Shape, w: Shape) -> Result<ConvInput, ShapeError> {
        let groups = self.group_count();
        let mistake = |what: String| {
            ShapeError::new(format!("{x:?} with weight {w:?} in {groups} groups: {what}"))
        };
        if groups == 0 || !w[0].is_multiple_of(groups) {
            return Err(mistake(format!("{} input channels are not divisible", w[0])));
        }
        if x[1] != w[0] {
            return Err(mistake(format!("channels differ ({} and {})", x[1], w[0])));
        }
        let mut output = x.with(1, w[1].saturating_mul(groups))?;
        for at in 2..x.rank() {
            // In one dimension the columns count.
            let extent = self.extent(at + 2 - x.rank(), x[at], w[at]);
            output = output.with(at, extent.map_err(|error| mistake(error.to_string()))?)?;
        }
        self.of.plan(output, w)?;
        Ok(ConvInput { options: self.of, input: output })
    }

    /// The extent of the output along one axis (0 rows, 1 columns).
    fn extent(&self, axis: usize, input: usize, kernel: usize) -> Result<usize, ShapeError> {
        let (reach, _, both) = self.of.reach(axis, input, kernel)?;
        let (stride, added) = (self.of.strides()[axis], self.output_padding[axis]);
        if added >= stride {
            let message = format!("output padding {added} must be below the stride {stride}");
            return Err(ShapeError::new(message));
        }
        let all = (input - 1).saturating_mul(stride).saturating_add(reach).saturating_add(added);
        if both >= all {
            let message = format!("padding {both} leaves nothing of {all} elements");
            return Err(ShapeError::new(message));
        }
        Ok(all - both)
    }
}
