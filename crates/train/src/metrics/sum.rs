//! Sums of floats without rounding errors.

/// An exact sum: a list of floats whose sum is that of all that were added, to the last bit. So the order of the
/// summands, and where one batch ends, do not matter.
///
/// J. R. Shewchuk, Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric Predicates, 1997; the
/// method of Python's `math.fsum`.
#[derive(Clone, Debug, Default)]
pub(super) struct ExactSum {
    /// Floats of growing size that do not overlap.
    parts: Vec<f64>,
    /// The sum of those that are not finite.
    special: f64,
}

impl ExactSum {
    pub(super) fn add(&mut self, mut x: f64) {
        if !x.is_finite() {
            self.special += x;
            return;
        }
        let mut kept = 0;
        for i in 0..self.parts.len() {
            let y = self.parts[i];
            let (large, small) = if x.abs() < y.abs() { (y, x) } else { (x, y) };
            let sum = large + small;
            let error = small - (sum - large);
            if error != 0.0 {
                self.parts[kept] = error;
                kept += 1;
            }
            x = sum;
        }
        self.parts.truncate(kept);
        self.parts.push(x);
    }

    /// Adds a product without rounding it.
    pub(super) fn add_product(&mut self, a: f64, b: f64) {
        let product = a * b;
        self.add(product);
        if product.is_finite() {
            self.add(a.mul_add(b, -product));
        }
    }

    /// Returns the sum, correctly rounded.
    pub(super) fn value(&self) -> f64 {
        if self.special != 0.0 || self.special.is_nan() {
            return self.special;
        }
        let mut parts = self.parts.iter().rev();
        let Some(&first) = parts.next() else { return 0.0 };
        let (mut sum, mut error) = (first, 0.0);
        for &part in parts.by_ref() {
            let larger = sum;
            sum = larger + part;
            error = part - (sum - larger);
            if error != 0.0 {
                break;
            }
        }
        // Halfway cases are decided by the next part.
        if let Some(&next) = parts.next()
            && (error < 0.0 && next < 0.0 || error > 0.0 && next > 0.0)
        {
            let doubled = error * 2.0;
            let rounded = sum + doubled;
            if doubled == rounded - sum {
                sum = rounded;
            }
        }
        sum
    }

    /// Returns the floats whose sum is the exact sum.
    pub(super) fn parts(&self) -> &[f64] {
        &self.parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(numbers: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        numbers.iter().for_each(|&number| sum.add(number));
        sum.value()
    }

    /// Values of Python's `math.fsum`.
    #[test]
    fn sums_are_exact() {
        assert_eq!(sum(&[]), 0.0);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[1e100, 1.0, -1e100]), 1.0);
        assert_eq!(sum(&[1.0, 1e-16, 1e-16, 1e-32]), 1.0000000000000002);
        assert_eq!(sum(&[2f64.powi(53), -0.5, -(2f64.powi(-54))]), 9007199254740991.0);
        assert_eq!(sum(&[1.0, f64::INFINITY]), f64::INFINITY);
        assert!(sum(&[f64::NEG_INFINITY, f64::INFINITY]).is_nan());
    }

    #[test]
    fn products_are_exact() {
        let mut sum = ExactSum::default();
        sum.add_product(1.0 + f64::EPSILON, 1.0 + f64::EPSILON);
        sum.add(-1.0);
        sum.add(-2.0 * f64::EPSILON);
        assert_eq!(sum.value(), f64::EPSILON * f64::EPSILON);
    }
}
