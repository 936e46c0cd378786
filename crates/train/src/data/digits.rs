//! The handwritten digits that the crate carries.

use std::io::Read;

use flate2::read::GzDecoder;
use wengert_core::Tensor;

use super::{Dataset, Targets};

/// Returns 1,797 handwritten digits: images of shape `[1797, 1, 8, 8]` from 0 (white) to 1 (black), and the
/// classes "0" to "9".
///
/// E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
/// <https://doi.org/10.24432/C50P49>, licensed under CC BY 4.0. The crate contains them.
///
/// ```
/// use wengert_train::data::digits;
///
/// let digits = digits();
/// assert_eq!(digits.numbers().shape(), [1797, 1, 8, 8].into());
/// assert_eq!(digits.labels().as_slice()[..4], [0, 1, 2, 3]);
/// assert_eq!(digits.targets.class_names()[3], "3");
/// ```
pub fn digits() -> Dataset {
    let mut text = String::new();
    let packed = include_bytes!("../../data/digits.csv.gz");
    GzDecoder::new(&packed[..]).read_to_string(&mut text).expect("the crate's digits are intact");
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut numbers: Vec<u8> =
            line.split(',').map(|field| field.parse().expect("a pixel or a label")).collect();
        labels.push(usize::from(numbers.pop().expect("a label")));
        pixels.extend(numbers.iter().map(|&pixel| f32::from(pixel) / 16.0));
    }
    let images = Tensor::from_vec(pixels, [labels.len(), 1, 8, 8]);
    Dataset::new(images, Targets::classes(labels, (0..10).map(|digit| digit.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of `np.bincount(sklearn.datasets.load_digits().target)`, and the sum of all pixels
    /// (`load_digits().data.sum()` is 561718).
    #[test]
    fn digits_are_those_of_scikit_learn() {
        let digits = digits();
        let mut counts = [0; 10];
        digits.labels().as_slice().iter().for_each(|&label| counts[label] += 1);
        assert_eq!(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        let sum: f64 = digits.numbers().as_slice().iter().map(|&pixel| f64::from(pixel)).sum();
        assert_eq!(16.0 * sum, 561_718.0);
    }
}
