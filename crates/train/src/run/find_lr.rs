//! The learning-rate range test: the rate grows at each step, and the loss tells where it is too large.

use std::fmt::Write;
use std::path::Path;

use super::{Kinds, Plan, RunError};
use crate::report::axis::Scale;

/// Loss over rate.
#[derive(Clone, Debug)]
pub struct LrRange {
    /// Rates and the losses at them, smoothed.
    pub points: Vec<(f64, f64)>,
    /// Rate at which the loss falls fastest, the usual choice for a peak.
    pub steepest: Option<f64>,
}

/// Rates of the test, and the number of steps between them.
const RATES: [f64; 2] = [1e-6, 10.0];
const STEPS: u64 = 200;

/// Share of the loss so far in the smoothed one.
const SMOOTHING: f64 = 0.9;

/// Trains under rates from 1e-6 to 10, multiplied by the same factor at each of 200 steps, and stops once the loss is
/// four times the least. L. N. Smith, Cyclical Learning Rates for Training Neural Networks, 2017,
/// <https://arxiv.org/abs/1506.01186>.
///
/// # Errors
/// If the configuration or the data has a mistake.
pub fn find_lr(
    path: &Path,
    overrides: &[impl AsRef<str>],
    kinds: &Kinds,
) -> Result<LrRange, RunError> {
    let factor = (RATES[1] / RATES[0]).powf(1.0 / STEPS as f64);
    let rate =
        format!("optimizer.lr={{ kind = 'exponential', lr = {:e}, gamma = {factor} }}", RATES[0]);
    let mut overrides: Vec<String> =
        overrides.iter().map(|text| text.as_ref().to_owned()).collect();
    overrides.extend([rate, "training.epochs=1000000".to_owned()]);
    let mut trainer = Plan::load(path, &overrides, kinds)?.trainer();
    let (mut points, mut mean, mut least) = (Vec::new(), 0.0, f64::INFINITY);
    for i in 1..=STEPS {
        if trainer.stopped().is_some() {
            break;
        }
        let Ok(step) = trainer.step() else { break };
        mean = SMOOTHING * mean + (1.0 - SMOOTHING) * f64::from(step.loss);
        let loss = mean / (1.0 - SMOOTHING.powi(i as i32));
        least = least.min(loss);
        if loss > 4.0 * least {
            break;
        }
        points.push((step.lr, loss));
    }
    let slopes = points.windows(2).map(|pair| (pair[1].1 - pair[0].1, pair[0].0));
    let steepest = slopes.min_by(|a, b| a.0.total_cmp(&b.0)).filter(|(slope, _)| *slope < 0.0);
    Ok(LrRange { steepest: steepest.map(|(_, rate)| rate), points })
}

impl LrRange {
    /// Returns a picture as SVG.
    pub fn svg(&self) -> String {
        const WIDTH: f64 = 640.0;
        const HEIGHT: f64 = 400.0;
        let (left, right, top, bottom) = (64.0, WIDTH - 16.0, 40.0, HEIGHT - 48.0);
        let x = Scale::of_values(self.points.iter().map(|(rate, _)| *rate), (left, right));
        let y = Scale::of_values(self.points.iter().map(|(_, loss)| *loss), (bottom, top));
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        );
        for (at, label) in &x.ticks {
            let _ = writeln!(svg, "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"#e4e4e7\"/>");
            let _ = writeln!(
                svg,
                "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                bottom + 18.0
            );
        }
        for (at, label) in &y.ticks {
            let _ = writeln!(svg, "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#e4e4e7\"/>");
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                left - 8.0,
                at + 4.0
            );
        }
        let points =
            self.points.iter().map(|(rate, loss)| format!("{:.1},{:.1}", x.at(*rate), y.at(*loss)));
        let points = points.collect::<Vec<_>>().join(" ");
        let _ = writeln!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"#2563eb\" stroke-width=\"2\"/>"
        );
        if let Some(rate) = self.steepest {
            let at = x.at(rate);
            let _ = writeln!(
                svg,
                "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"#dc2626\" stroke-dasharray=\"4 4\"/>"
            );
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"#dc2626\">steepest at {rate:.2e}</text>",
                at + 6.0,
                top + 12.0
            );
        }
        let middle = (left + right) / 2.0;
        let _ = writeln!(
            svg,
            "<text x=\"{middle}\" y=\"{:.1}\" text-anchor=\"middle\">learning rate</text>",
            HEIGHT - 10.0
        );
        let _ = writeln!(svg, "<text x=\"{left}\" y=\"24\">loss, smoothed</text>\n</svg>");
        svg
    }
}
