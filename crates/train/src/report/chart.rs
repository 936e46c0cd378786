//! Line charts as SVG inside of a page.

use std::fmt::Write as _;

use super::axis::{Scale, significant};
use super::html::escape;

/// Lines over one axis, with labels at their ends.
pub(crate) struct Chart<'a> {
    pub(crate) title: &'a str,
    /// Name of the horizontal axis.
    pub(crate) over: &'a str,
    pub(crate) lines: Vec<Line<'a>>,
    /// A place on the horizontal axis, with its name.
    pub(crate) mark: Option<(f64, &'a str)>,
    /// Whether the horizontal axis counts steps or epochs, and does not have numbers of any size.
    pub(crate) counts: bool,
    /// Width of the picture in units of which a line of text has 14.
    pub(crate) width: f64,
}

pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) points: &'a [(f64, f64)],
    /// Half the height of a bar at each point, which may leave the chart; empty for none.
    pub(crate) whiskers: &'a [f64],
    /// Number of the colour, 0 to 7.
    pub(crate) colour: usize,
}

/// The number of colours in the style.
pub(crate) const COLOURS: usize = 8;

/// Width of a chart of which three stand side by side.
pub(crate) const NARROW: f64 = 400.0;
/// Width of a chart of which two stand side by side.
pub(crate) const WIDE: f64 = 560.0;
const HEIGHT: f64 = 236.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = HEIGHT - 26.0;
/// Height of a line of text.
const TEXT: f64 = 14.0;
/// Points of a line; more would not be seen.
const POINTS: usize = 600;

/// The width of a text in the style's size, about.
fn text_width(text: &str) -> f64 {
    6.9 * text.chars().count() as f64
}

/// A text that is not longer than a number of characters: its end, which tells layers apart.
pub(crate) fn shortened(text: &str, longest: usize) -> String {
    let count = text.chars().count();
    match count.checked_sub(longest) {
        None | Some(0) => text.to_owned(),
        Some(over) => format!("\u{2026}{}", text.chars().skip(over + 1).collect::<String>()),
    }
}

impl Chart<'_> {
    /// The chart as an HTML figure. Nothing if there are no points.
    pub(crate) fn figure(&self) -> String {
        if self.lines.iter().all(|line| line.points.is_empty()) {
            return String::new();
        }
        let labels = self.lines.iter().map(|line| shortened(line.name, 20)).collect::<Vec<_>>();
        let widest =
            labels.iter().map(|label| text_width(label)).fold(text_width(self.over), f64::max);
        let points = || self.lines.iter().flat_map(|line| line.points);
        let mut y = Scale::of_values(points().map(|point| point.1), (BOTTOM, TOP));
        let left = 12.0 + y.ticks.iter().map(|(_, label)| text_width(label)).fold(16.0, f64::max);
        let right = self.width - widest - 12.0;
        let at = points().map(|point| point.0);
        let mut x = match self.counts {
            true => Scale::of_counts(at, (left, right)),
            false => Scale::tight(at, (left, right)),
        };
        let mut svg = format!(
            "<figure class=\"chart\">\n<figcaption>{}</figcaption>\n\
             <svg viewBox=\"0 0 {} {HEIGHT}\" role=\"img\" aria-label=\"{0}\" data-over=\"{}\">\n",
            escape(self.title),
            self.width,
            escape(self.over),
        );
        for (at, label) in y.ticks.drain(..) {
            let _ = writeln!(
                svg,
                "<path class=\"grid\" d=\"M{left:.1} {at:.1}H{right:.1}\"/>\
                 <text class=\"end\" x=\"{:.1}\" y=\"{:.1}\">{label}</text>",
                left - 7.0,
                at + 4.0,
            );
        }
        for (at, label) in x.ticks.drain(..) {
            let _ = writeln!(
                svg,
                "<path class=\"axis\" d=\"M{at:.1} {BOTTOM}v4\"/>\
                 <text class=\"mid\" x=\"{at:.1}\" y=\"{:.1}\">{label}</text>",
                BOTTOM + 18.0
            );
        }
        let _ = writeln!(
            svg,
            "<path class=\"axis\" d=\"M{left:.1} {BOTTOM}H{right:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            right + 10.0,
            BOTTOM + 18.0,
            escape(self.over),
        );
        if let Some((place, name)) = self.mark {
            vertical(&mut svg, x.at(place), name, "mark");
        }
        if let Some(place) = self.first_not_finite() {
            vertical(&mut svg, x.at(place), "not finite", "bad");
        }
        for line in &self.lines {
            line.draw(&mut svg, &x, &y);
        }
        self.label_ends(&mut svg, &labels, right + 10.0, &y);
        svg.push_str("</svg>\n</figure>\n");
        svg
    }

    fn first_not_finite(&self) -> Option<f64> {
        let bad =
            |line: &Line<'_>| line.points.iter().find(|(_, y)| !y.is_finite()).map(|(x, _)| *x);
        self.lines.iter().filter_map(bad).min_by(f64::total_cmp)
    }

    /// Writes the name of each line beside its end, moved apart where ends are close.
    fn label_ends(&self, svg: &mut String, labels: &[String], at: f64, y: &Scale) {
        let end = |line: &Line<'_>| {
            line.points.iter().rev().find(|(_, y)| y.is_finite()).map(|p| y.at(p.1))
        };
        let mut ends = self
            .lines
            .iter()
            .zip(labels)
            .filter_map(|(line, label)| Some((end(line)?, label, line)))
            .collect::<Vec<_>>();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut places = ends.iter().map(|(y, ..)| *y).collect::<Vec<_>>();
        spread(&mut places, TEXT, BOTTOM);
        for ((_, label, line), y) in ends.iter().zip(places) {
            let _ = writeln!(
                svg,
                "<text class=\"label c{}\" x=\"{at:.1}\" y=\"{:.1}\"><title>{}</title>{}</text>",
                line.colour % COLOURS,
                y + 4.0,
                escape(line.name),
                escape(label),
            );
        }
    }
}

/// Moves sorted places apart until neighbours have this distance, and back above the limit.
fn spread(places: &mut [f64], distance: f64, limit: f64) {
    for i in 1..places.len() {
        places[i] = places[i].max(places[i - 1] + distance);
    }
    let mut below = limit + distance;
    for place in places.iter_mut().rev() {
        *place = place.min(below - distance);
        below = *place;
    }
}

fn vertical(svg: &mut String, at: f64, name: &str, class: &str) {
    let _ = writeln!(
        svg,
        "<path class=\"{class}\" d=\"M{at:.1} {TOP}V{BOTTOM}\"/>\
         <text class=\"{class} mid\" x=\"{at:.1}\" y=\"{:.1}\">{}</text>",
        TOP - 3.0,
        escape(name),
    );
}

impl Line<'_> {
    fn draw(&self, svg: &mut String, x: &Scale, y: &Scale) {
        let (mut path, mut data, mut pen_down) = (String::new(), String::new(), false);
        let mut last = None;
        for (px, py) in thinned(self.points) {
            if !py.is_finite() {
                pen_down = false;
                continue;
            }
            let at = (x.at(px), y.at(py));
            let _ = write!(path, "{}{:.1} {:.1}", if pen_down { 'L' } else { 'M' }, at.0, at.1);
            let (px, py) = (significant(px, 9), significant(py, 4));
            let _ = write!(data, "{:.1},{:.1},{px},{py};", at.0, at.1);
            (last, pen_down) = (Some(at), true);
        }
        let Some((cx, cy)) = last else { return };
        for ((px, py), half) in self.points.iter().zip(self.whiskers) {
            if py.is_finite() && half.is_finite() {
                // A bar that is longer than the chart ends at its edge.
                let end = |value: f64| y.at(value).clamp(TOP, BOTTOM);
                let (at, low, high) = (x.at(*px), end(py - half), end(py + half));
                let _ = write!(path, "M{at:.1} {low:.1}V{high:.1}");
            }
        }
        let _ = writeln!(
            svg,
            "<g class=\"line c{}\" data-name=\"{}\" data-points=\"{data}\"><path d=\"{path}\"/>\
             <circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"2.6\"/></g>",
            self.colour % COLOURS,
            escape(self.name),
        );
    }
}

/// As many points as can be seen: of each stretch the least and the greatest, so that no peak is lost.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(POINTS / 2);
    let ends = |part: &[(f64, f64)]| {
        let by = |a: &usize, b: &usize| part[*a].1.total_cmp(&part[*b].1);
        let (low, high) = ((0..part.len()).min_by(by), (0..part.len()).max_by(by));
        let mut places = [low.unwrap_or(0), high.unwrap_or(0)];
        places.sort_unstable();
        places.map(|place| part[place])
    };
    points.chunks(stretch).flat_map(ends).chain(points.last().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_keep_their_distance() {
        let mut places = [10.0, 12.0, 90.0, 99.0];
        spread(&mut places, 10.0, 100.0);
        assert_eq!(places, [10.0, 20.0, 90.0, 100.0]);
    }

    #[test]
    fn a_long_line_keeps_its_peak() {
        let mut points = (0..100_000).map(|i| (f64::from(i), 1.0)).collect::<Vec<_>>();
        points[54_321].1 = 7.0;
        let thin = thinned(&points);
        assert!(thin.len() <= POINTS + 2);
        assert!(thin.contains(&(54_321.0, 7.0)) && thin.ends_with(&[(99_999.0, 1.0)]));
    }

    #[test]
    fn a_gap_stands_where_a_number_is_missing() {
        let points = [(1.0, 1.0), (2.0, f64::NAN), (3.0, 2.0)];
        let lines = vec![Line { name: "<a>", points: &points, whiskers: &[], colour: 0 }];
        let chart =
            Chart { title: "Loss", over: "epoch", lines, mark: None, counts: true, width: NARROW };
        let figure = chart.figure();
        assert_eq!(figure.matches(">not finite<").count(), 1);
        assert_eq!(figure.matches("&lt;a&gt;").count(), 3);
        assert!(!figure.contains("NaN") && !figure.contains("<a>"));
        assert_eq!(Chart { lines: vec![], ..chart }.figure(), "");
    }

    #[test]
    fn the_end_of_a_long_name_is_shown() {
        assert_eq!(shortened("encoder.layers.3.weight", 10), "\u{2026}.3.weight");
        assert_eq!(shortened("weight", 6), "weight");
    }
}
