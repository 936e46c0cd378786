//! Checks of settings where a layer or a loss is made: a panic at the user's line, naming the setting.

/// Returns `value` if it is above 0.
#[track_caller]
pub(crate) fn positive(name: &str, value: f64) -> f64 {
    assert!(value > 0.0, "{name} must be above 0, not {value}");
    value
}

/// Returns `value` if it is 0 or above.
#[track_caller]
pub(crate) fn non_negative(name: &str, value: f64) -> f64 {
    assert!(value >= 0.0, "{name} must be 0 or above, not {value}");
    value
}

/// Returns `value` if it is between 0 and 1, both included.
#[track_caller]
pub(crate) fn fraction(name: &str, value: f64) -> f64 {
    assert!((0.0..=1.0).contains(&value), "{name} must be in 0..=1, not {value}");
    value
}

/// Returns `sizes` if none of them is 0.
#[track_caller]
pub(crate) fn nonzero<const N: usize>(name: &str, sizes: [usize; N]) -> [usize; N] {
    assert!(!sizes.contains(&0), "{name} must be 1 or above, not {sizes:?}");
    sizes
}
