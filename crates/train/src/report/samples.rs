//! Rows of the data with their predictions.

use std::fmt::Write as _;

use super::axis::significant;
use super::html::escape;
use super::png::data_address;
use super::results::Sample;

/// The samples as figures in a row that wraps. Nothing if there are none.
pub(crate) fn gallery(samples: &[Sample]) -> String {
    if samples.is_empty() {
        return String::new();
    }
    let mut html = String::from(
        "<figure>\n<figcaption>Samples <span class=\"dim\">the prediction for each; what the data says where it \
         differs</span></figcaption>\n<div class=\"samples\">\n",
    );
    for sample in samples {
        let is_wrong = is_wrong(sample);
        let probability =
            sample.probability.map(|p| format!(" <span class=\"dim\">{:.0}%</span>", 100.0 * p));
        let correction = if is_wrong {
            format!("<br><span class=\"wrong\">is {}</span>", escape(&sample.expected))
        } else {
            String::new()
        };
        let _ = writeln!(
            html,
            "<figure{} title=\"row {}\">{}<figcaption>{}{}{correction}</figcaption></figure>",
            if is_wrong { " class=\"wrong\"" } else { "" },
            sample.row,
            picture(sample),
            escape(&sample.predicted),
            probability.unwrap_or_default(),
        );
    }
    html.push_str("</div>\n</figure>\n");
    html
}

/// Whether the prediction is another class, or a value that differs by more than a tenth.
fn is_wrong(sample: &Sample) -> bool {
    match (sample.expected.parse::<f64>(), sample.predicted.parse::<f64>()) {
        _ if sample.expected.is_empty() || sample.expected == sample.predicted => false,
        (Ok(expected), Ok(predicted)) if sample.probability.is_none() => {
            (expected - predicted).abs() > 0.1 * expected.abs()
        }
        _ => true,
    }
}

/// The row as an image, a text, or bars.
fn picture(sample: &Sample) -> String {
    if let Some(text) = &sample.text {
        return format!("<blockquote>{}</blockquote>", escape(text));
    }
    let numbers = &sample.inputs;
    let (low, high) = numbers
        .iter()
        .filter(|x| x.is_finite())
        .fold((0f32, 0f32), |(low, high), x| (low.min(*x), high.max(*x)));
    let shade = |x: f32| if high > low { ((x - low) / (high - low) * 255.0) as u8 } else { 0 };
    let (width, height, colour_type, pixels) = match sample.shape[..] {
        [h, w] | [1, h, w] if h > 1 && h * w == numbers.len() => {
            (w, h, 4, numbers.iter().flat_map(|x| [0, shade(*x)]).collect::<Vec<_>>())
        }
        [3, h, w] if 3 * h * w == numbers.len() && !numbers.is_empty() => {
            let plane = h * w;
            let pixel = |i: usize| [0, plane, 2 * plane].map(|start| shade(numbers[start + i]));
            (w, h, 2, (0..plane).flat_map(pixel).collect())
        }
        _ => return bars(numbers, low, high),
    };
    format!(
        "<img alt=\"\" width=\"{width}\" height=\"{height}\"{} src=\"{}\">",
        if colour_type == 4 { " class=\"ink\"" } else { "" },
        data_address(width, height, colour_type, &pixels),
    )
}

/// A bar for each number, up or down from zero.
fn bars(numbers: &[f32], low: f32, high: f32) -> String {
    /// More bars would not be seen.
    const LONGEST: usize = 128;
    let shown = &numbers[..numbers.len().min(LONGEST)];
    if shown.is_empty() || high <= low {
        return String::new();
    }
    let mut svg = format!(
        "<svg class=\"bars\" viewBox=\"0 0 {} 40\" preserveAspectRatio=\"none\">",
        shown.len()
    );
    let at = |x: f32| 40.0 * (high - x) / (high - low);
    for (i, x) in shown.iter().enumerate().filter(|(_, x)| x.is_finite()) {
        let (top, bottom) = (at(x.max(0.0)), at(x.min(0.0)));
        let _ = write!(
            svg,
            "<rect x=\"{i}.1\" width=\"0.8\" y=\"{top:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
            (bottom - top).max(0.4),
            significant(f64::from(*x), 4),
        );
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(shape: &[usize], inputs: &[f32]) -> Sample {
        Sample {
            shape: shape.to_vec(),
            inputs: inputs.to_vec(),
            expected: "<8>".into(),
            predicted: "3".into(),
            ..Sample::default()
        }
    }

    #[test]
    fn rows_are_drawn_by_their_shape() {
        let numbers = (0..12).map(|x| x as f32).collect::<Vec<_>>();
        for (shape, mark) in [
            (&[3, 4][..], "class=\"ink\""),
            (&[1, 3, 4], "width=\"4\" height=\"3\" class=\"ink\""),
            (&[3, 2, 2], "width=\"2\" height=\"2\" src"),
            (&[12], "<rect x=\"11.1\""),
            (&[5, 5], "<rect x=\"11.1\""),
        ] {
            assert!(picture(&sample(shape, &numbers)).contains(mark), "{shape:?}");
        }
        for odd in [&[][..], &[f32::NAN], &[0.0, 0.0]] {
            assert_eq!(picture(&sample(&[odd.len()], odd)), "");
        }
        let _ = picture(&sample(&[2, 2], &[f32::NAN, f32::INFINITY, -1.0, 1.0]));
        assert!(gallery(&[sample(&[12], &numbers)]).contains("is &lt;8&gt;"));
    }

    #[test]
    fn a_value_is_wrong_if_it_is_far() {
        let value = |expected: &str, predicted: &str| Sample {
            expected: expected.into(),
            predicted: predicted.into(),
            ..Sample::default()
        };
        assert!(!is_wrong(&value("100", "101.5")) && is_wrong(&value("100", "80")));
        assert!(!is_wrong(&value("", "80")));
        // The classes of digits are texts that look like numbers.
        assert!(is_wrong(&Sample { probability: Some(0.9), ..value("100", "101") }));
    }
}
