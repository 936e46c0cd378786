//! Scales and ticks of charts, and numbers as a reader wants them.

/// A map from numbers to pixels, linear or logarithmic, with ticks at round numbers.
pub(crate) struct Scale {
    low: f64,
    high: f64,
    log: bool,
    pixels: (f64, f64),
    /// Positions in pixels, with labels.
    pub(crate) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// A scale whose ends are round numbers; logarithmic if positive numbers differ by a factor of thirty.
    pub(crate) fn of_values(values: impl Iterator<Item = f64>, pixels: (f64, f64)) -> Self {
        let (low, high) = extent(values);
        if low > 0.0 && high / low > 30.0 {
            return Self::log(low, high, pixels);
        }
        let (low, high) = match (low, high) {
            (0.0, 0.0) => (0.0, 1.0),
            (low, high) if low == high => (0f64.min(2.0 * low), 0f64.max(2.0 * low)),
            ends => ends,
        };
        let step = round_step((high - low) / 5.0);
        let (first, last) = ((low / step).floor(), (high / step).ceil());
        let scale = Self::linear(first * step, last * step, pixels);
        scale.with_ticks((first as i64..=last as i64).map(|i| i as f64 * step), step)
    }

    /// A scale that ends at the least and the greatest number.
    pub(crate) fn tight(values: impl Iterator<Item = f64>, pixels: (f64, f64)) -> Self {
        let (low, high) = extent(values);
        if low > 0.0 && high / low > 30.0 {
            return Self::log(low, high, pixels);
        }
        let margin = if low == high { 0.5 * low.abs().max(1.0) } else { 0.0 };
        let step = round_step((high - low + 2.0 * margin) / 5.0);
        let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
        let scale = Self::linear(low - margin, high + margin, pixels);
        scale.with_ticks((first..=last).map(|i| i as f64 * step), step)
    }

    /// A linear scale between these ends, with ticks at whole numbers.
    pub(crate) fn of_counts(values: impl Iterator<Item = f64>, pixels: (f64, f64)) -> Self {
        let (low, high) = extent(values);
        let step = round_step((high - low) / 5.0).max(1.0);
        // One point alone stands in the middle.
        let margin = if low == high { 0.5 } else { 0.0 };
        let scale = Self::linear(low - margin, high + margin, pixels);
        let (first, last) = ((low / step).ceil() as i64, (high / step).floor() as i64);
        scale.with_ticks((first..=last).map(|i| i as f64 * step), step)
    }

    fn linear(low: f64, high: f64, pixels: (f64, f64)) -> Self {
        Self { low, high, log: false, pixels, ticks: Vec::new() }
    }

    fn log(low: f64, high: f64, pixels: (f64, f64)) -> Self {
        let scale = Self {
            low: low.log10() - 0.05,
            high: high.log10() + 0.05,
            log: true,
            pixels,
            ticks: Vec::new(),
        };
        let decades = scale.low.ceil() as i32..=scale.high.floor() as i32;
        let every = (decades.end() - decades.start()) / 5 + 1;
        let within = |tick: &f64| (scale.low..=scale.high).contains(&tick.log10());
        let tens = decades.clone().filter(|k| k.rem_euclid(every) == 0).map(|k| 10f64.powi(k));
        let ticks = if decades.count() < 3 {
            let first = scale.low.floor() as i32;
            (first..=scale.high.ceil() as i32)
                .flat_map(|k| [10f64.powi(k), 3.0 * 10f64.powi(k)])
                .filter(within)
                .collect::<Vec<_>>()
        } else {
            tens.collect()
        };
        let labels = ticks.iter().map(|&tick| (scale.at(tick), significant(tick, 1)));
        Self { ticks: labels.collect(), ..scale }
    }

    fn with_ticks(self, ticks: impl Iterator<Item = f64>, step: f64) -> Self {
        let decimals = (-step.log10().floor()).max(0.0) as usize;
        let label = |tick: f64| match decimals {
            0..=4 if tick.abs() < 1e6 => format!("{tick:.decimals$}"),
            _ => significant(tick, 2),
        };
        Self { ticks: ticks.map(|tick| (self.at(tick), label(tick))).collect(), ..self }
    }

    /// The position of a number in pixels.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let (value, (from, to)) = (if self.log { value.log10() } else { value }, self.pixels);
        from + (value - self.low) / (self.high - self.low) * (to - from)
    }
}

/// The least and the greatest of the finite numbers; zeros if there are none.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let finite = values.filter(|value| value.is_finite());
    let ends = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    if ends.0 > ends.1 { (0.0, 0.0) } else { ends }
}

/// The least of 1, 2 and 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    if step <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(step.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|round| round * power >= step * 0.999);
    round.unwrap_or(10.0) * power
}

/// A number with this many significant digits and without trailing zeros; large and small ones with an exponent.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return value.to_string();
    }
    let scientific = format!("{value:.*e}", digits.saturating_sub(1));
    let exponent = scientific.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        return trim(&format!("{value:.decimals$}"));
    }
    let (mantissa, _) = scientific.split_once('e').unwrap_or((&scientific, ""));
    format!("{}e{exponent}", trim(mantissa))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|(_, label)| &**label).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        let scale = Scale::of_values([0.921, 0.978, f64::NAN].into_iter(), (0.0, 100.0));
        assert_eq!(labels(&scale), ["0.92", "0.94", "0.96", "0.98"]);
        assert_eq!((scale.at(0.92), scale.at(0.98)), (0.0, 100.0));
        let scale = Scale::of_values([0.004, 2.3].into_iter(), (0.0, 100.0));
        assert_eq!(labels(&scale), ["0.01", "0.1", "1"]);
        let scale = Scale::of_values([1e-9, 2.0].into_iter(), (0.0, 100.0));
        assert_eq!(labels(&scale), ["1e-8", "1e-6", "0.0001", "0.01", "1"]);
        let scale = Scale::of_counts([1.0, 30.0].into_iter(), (0.0, 100.0));
        assert_eq!(labels(&scale), ["10", "20", "30"]);
    }

    #[test]
    fn degenerate_ranges_have_a_scale() {
        for values in [vec![], vec![0.0], vec![3e-3, 3e-3], vec![-2.0], vec![f64::NAN]] {
            let scale = Scale::of_values(values.iter().copied(), (0.0, 100.0));
            assert!(scale.ticks.len() > 1, "{values:?}");
            assert!(scale.ticks.iter().all(|(at, _)| (0.0..=100.0).contains(at)), "{values:?}");
        }
        assert_eq!(labels(&Scale::of_counts([4.0].into_iter(), (0.0, 100.0))), ["4"]);
    }

    #[test]
    fn significant_digits() {
        for (value, text) in [
            (0.978_123, "0.9781"),
            (12.3456, "12.35"),
            (1797.0, "1797"),
            (1.5e-7, "1.5e-7"),
            (-0.02, "-0.02"),
            (2.5e9, "2.5e9"),
            (0.0, "0"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(significant(value, 4), text);
        }
    }
}
