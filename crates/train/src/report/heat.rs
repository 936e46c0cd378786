//! Numbers of many layers over the course of a run, as a map of shades.

use std::fmt::Write as _;

use super::axis::significant;
use super::chart::shortened;
use super::history::Curve;
use super::html::escape;

/// Columns of the map; more points are thinned.
const COLUMNS: usize = 60;

/// A row for each curve and a column for each point, bluer for larger numbers, on a logarithmic scale that all rows
/// share.
pub(crate) fn heat_map(title: &str, over: &str, curves: &[&Curve]) -> String {
    let positive = curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
    let logs = positive.filter(|y| *y > 0.0 && y.is_finite()).map(f64::ln);
    let (low, high) =
        logs.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| (low.min(y), high.max(y)));
    let shade = |y: f64| match y {
        y if y.is_nan() || y == f64::INFINITY => None,
        y if y <= 0.0 || high <= low => Some(0.0),
        y => Some((y.ln() - low) / (high - low)),
    };
    let mut html = format!(
        "<figure class=\"heat\">\n<figcaption>{} <span class=\"dim\">{} to {}, bluer is larger</span>\
         </figcaption>\n<div class=\"scroll\"><table>\n",
        escape(title),
        significant(low.exp(), 2),
        significant(high.exp(), 2),
    );
    for curve in curves {
        let name = escape(&curve.of);
        let _ = write!(html, "<tr><th title=\"{name}\">{}</th>", escape(&shortened(&curve.of, 28)));
        let every = curve.points.len().div_ceil(COLUMNS);
        for (x, y) in curve.points.iter().step_by(every.max(1)) {
            let title = format!("{over} {x}: {}", significant(*y, 3));
            let _ = match shade(*y) {
                Some(shade) => write!(html, "<td style=\"--a:{shade:.2}\" title=\"{title}\"></td>"),
                None => write!(html, "<td class=\"bad\" title=\"{title}\"></td>"),
            };
        }
        let last = curve.points.last().map_or(f64::NAN, |point| point.1);
        let _ = writeln!(html, "<td class=\"number\">{}</td></tr>", significant(last, 3));
    }
    html.push_str("</table></div>\n</figure>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_follow_the_logarithm_and_nan_stands_out() {
        let points = vec![(1.0, 0.01), (2.0, 0.1), (3.0, 1.0), (4.0, f64::NAN), (5.0, 0.0)];
        let curve = Curve { quantity: "grad_norm".into(), of: "0.weight".into(), points };
        let map = heat_map("Gradients", "epoch", &[&curve]);
        let shades = ["--a:0.00", "--a:0.50", "--a:1.00"].map(|shade| map.matches(shade).count());
        assert_eq!((shades, map.matches("class=\"bad\"").count()), ([2, 1, 1], 1));
        assert!(map.contains("0.01 to 1, bluer is larger"));
    }
}
