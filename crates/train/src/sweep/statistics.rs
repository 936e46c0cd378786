//! The mean over seeds, with its confidence interval.

/// The mean of some numbers, and half the width of its 95 % interval: of Student's t distribution, for numbers that
/// are about normal. One number has no interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Mean; NaN of no numbers.
    pub mean: f64,
    /// Half the width of the interval; NaN of fewer than two numbers.
    pub half_width: f64,
}

impl Estimate {
    /// Returns the estimate from these numbers.
    ///
    /// ```
    /// use wengert_train::sweep::Estimate;
    ///
    /// let estimate = Estimate::of(&[0.9, 0.92, 0.94]);
    /// assert_eq!(format!("{:.2} +- {:.4}", estimate.mean, estimate.half_width), "0.92 +- 0.0497");
    /// ```
    pub fn of(numbers: &[f64]) -> Self {
        let n = numbers.len() as f64;
        let mean = numbers.iter().sum::<f64>() / n;
        let squares = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>();
        let deviation = (squares / (n - 1.0)).sqrt();
        let half_width = match numbers.len() {
            0 | 1 => f64::NAN,
            count => t_quantile(count - 1) * deviation / n.sqrt(),
        };
        Self { mean, half_width }
    }
}

/// The 97.5 % quantile of Student's t distribution.
///
/// Source: Hill 1970, <https://doi.org/10.1145/355598.355600>, whose expansion about the normal quantile is
/// Abramowitz and Stegun 26.7.5; exact to five digits from ten degrees of freedom on.
fn t_quantile(degrees: usize) -> f64 {
    const FEW: [f64; 9] = [
        12.706_204_736,
        4.302_652_730,
        3.182_446_305,
        2.776_445_105,
        2.570_581_836,
        2.446_911_851,
        2.364_624_252,
        2.306_004_135,
        2.262_157_163,
    ];
    if let Some(quantile) = FEW.get(degrees - 1) {
        return *quantile;
    }
    let (z, n) = (1.959_963_984_540_054_f64, degrees as f64);
    let terms = [
        (z.powi(3) + z) / 4.0,
        (5.0 * z.powi(5) + 16.0 * z.powi(3) + 3.0 * z) / 96.0,
        (3.0 * z.powi(7) + 19.0 * z.powi(5) + 17.0 * z.powi(3) - 15.0 * z) / 384.0,
        (79.0 * z.powi(9) + 776.0 * z.powi(7) + 1482.0 * z.powi(5)
            - 1920.0 * z.powi(3)
            - 945.0 * z)
            / 92_160.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| (sum + term) / n) + z
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `scipy.stats.t.ppf(0.975, n)`.
    #[test]
    fn quantiles_of_scipy() {
        for (degrees, expected) in [
            (1, 12.706_204_736_174_7),
            (2, 4.302_652_729_911_275),
            (9, 2.262_157_162_740_992),
            (10, 2.228_138_851_986_27),
            (15, 2.131_449_545_559_32),
            (30, 2.042_272_456_301_24),
            (120, 1.979_930_405_052_78),
        ] {
            let found = t_quantile(degrees);
            assert!((found / expected - 1.0).abs() < 1e-5, "{degrees}: {found}");
        }
    }

    #[test]
    fn few_numbers() {
        assert!(Estimate::of(&[]).mean.is_nan());
        let one = Estimate::of(&[2.0]);
        assert!(one.mean == 2.0 && one.half_width.is_nan());
        assert_eq!(Estimate::of(&[3.0, 3.0, 3.0]), Estimate { mean: 3.0, half_width: 0.0 });
    }
}
