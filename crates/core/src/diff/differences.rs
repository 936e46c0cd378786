//! Finite differences of a function of one number at 0, by steps of several lengths.

/// Number of steps from the largest to the smallest, each a tenth of the one before.
const STEPS: usize = 7;

/// Returns the slopes of `f` by central differences, from the largest step to the smallest.
///
/// A large step suits smooth functions: little is lost to rounding. A small one stays clear of kinks, and
/// follows a strong curvature. Two steps that agree with each other have met neither.
pub(super) fn slopes(f: &dyn Fn(f64) -> f64, largest: f64) -> [f64; STEPS] {
    std::array::from_fn(|k| central_difference(f, largest * 0.1_f64.powi(k as i32)))
}

/// Returns the slope of `f` by the five-point formula, whose error is of the fourth order in the step. For
/// smooth functions a step of 1e-3 leaves about eleven digits.
pub(super) fn central_difference(f: &dyn Fn(f64) -> f64, step: f64) -> f64 {
    (8.0 * (f(step) - f(-step)) - (f(2.0 * step) - f(-2.0 * step))) / (12.0 * step)
}

/// Returns the slopes of `f` on the left and on the right of 0 by the three-point formula, whose error is of
/// the second order in the step.
pub(super) fn slopes_of_sides(f: &dyn Fn(f64) -> f64, step: f64) -> [f64; 2] {
    [-step, step].map(|step| (4.0 * f(step) - f(2.0 * step) - 3.0 * f(0.0)) / (2.0 * step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_exact_for_their_polynomials() {
        let quartic = |t: f64| 3.0 + 2.0 * t - t * t + 5.0 * t.powi(3) - 7.0 * t.powi(4);
        assert!((central_difference(&quartic, 0.5) - 2.0).abs() < 1e-12);
        let kink = |t: f64| if t < 0.0 { 3.0 * t + t * t } else { 0.5 * t - t * t };
        let [left, right] = slopes_of_sides(&kink, 0.25);
        assert!((left - 3.0).abs() < 1e-12 && (right - 0.5).abs() < 1e-12);
    }

    #[test]
    fn small_steps_see_a_near_kink_and_a_strong_curvature() {
        let near = slopes(&|t| (t + 1e-7).abs(), 1e-3);
        assert!(near[0].abs() < 1e-3 && near[5..].iter().all(|s| (s - 1.0).abs() < 1e-6));
        let curved = slopes(&|t| (3e3 * t).sin(), 1e-3);
        assert!((curved[0] - 3e3).abs() > 1e3 && (curved[3] - 3e3).abs() < 1e-4);
    }
}
