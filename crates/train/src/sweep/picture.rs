//! The report of a sweep: curves, the metric along the grid, and the table.

use std::fmt::Write as _;

use super::collect::{Table, TableRow, lower_is_better};
use super::statistics::Estimate;
use crate::report::{COLOURS, Chart, Line, WIDE, escape, page, section, title};

impl Table {
    /// Returns the table as a page that opens offline, with the curves of the best settings.
    pub fn html(&self) -> String {
        let (sweep, runs) = (&self.sweep, self.rows.iter().map(|row| row.runs).sum::<usize>());
        let mut body = format!(
            "<header>\n<h1>{}</h1>\n<p class=\"dim\">{runs} of {} runs \u{b7} {} settings \u{b7} {} seeds</p>\n",
            escape(&sweep.name),
            self.rows.len() * sweep.seeds.len(),
            self.rows.len(),
            sweep.seeds.len(),
        );
        if let Some(best) = self.rows.first().filter(|row| row.runs > 0) {
            let _ = writeln!(
                body,
                "<dl class=\"headline\">\n<div><dt>best: {}</dt><dd>{}</dd></div>\n</dl>",
                escape(&best.setting.label().replace(',', ", ")),
                best.estimates[0],
            );
        }
        body.push_str("</header>\n");
        let charts = [self.along_grid(), self.curves()].concat();
        if !charts.is_empty() {
            body += &section("Curves", &format!("<div class=\"charts wide\">\n{charts}</div>\n"));
        }
        body += &section("Settings", &self.html_table());
        page(&sweep.name, &body)
    }

    /// The metric over the numbers of the grid's last key that has several, with a line for each other setting.
    fn along_grid(&self) -> String {
        let Some(key) = self.numeric_key() else { return String::new() };
        let mut lines: Vec<(String, Vec<(f64, Estimate)>)> = Vec::new();
        // In the order of the file, so that colours do not depend on the ranks.
        for setting in &self.sweep.settings {
            let Some(row) = self.rows.iter().find(|row| row.setting == *setting) else { continue };
            let mut rest = setting.clone();
            let (_, value) = rest.grid.remove(key);
            let place = lines.iter().position(|(name, _)| *name == rest.short());
            let place = place.unwrap_or_else(|| {
                lines.push((rest.short(), Vec::new()));
                lines.len() - 1
            });
            lines[place].1.push((value.parse().unwrap_or(f64::NAN), row.estimates[0]));
        }
        if lines.len() > COLOURS {
            return String::new();
        }
        let split = |(name, mut estimates): (String, Vec<(f64, Estimate)>)| {
            estimates.retain(|(_, estimate)| estimate.mean.is_finite());
            estimates.sort_by(|a, b| a.0.total_cmp(&b.0));
            let points = estimates.iter().map(|(x, estimate)| (*x, estimate.mean));
            let whiskers = estimates.iter().map(|(_, estimate)| estimate.half_width);
            (name, points.collect::<Vec<_>>(), whiskers.collect::<Vec<_>>())
        };
        let split = lines.into_iter().map(split).collect::<Vec<_>>();
        let lines = split.iter().enumerate().map(|(colour, (name, points, whiskers))| Line {
            name,
            points,
            whiskers,
            colour,
        });
        let lines = lines.collect();
        let over = &self.sweep.settings[0].grid[key].0;
        let title = format!("{} by {over}", title(&self.metrics[0]));
        Chart { title: &title, over, counts: false, lines, mark: None, width: WIDE }.figure()
    }

    /// The last place in the grid with three or more different numbers.
    fn numeric_key(&self) -> Option<usize> {
        let settings = &self.sweep.settings;
        (0..settings.first()?.grid.len()).rev().find(|&place| {
            let values = settings.iter().map(|setting| setting.grid[place].1.parse::<f64>());
            let Ok(mut values) = values.collect::<Result<Vec<_>, _>>() else { return false };
            values.sort_by(f64::total_cmp);
            values.dedup();
            values.len() >= 3
        })
    }

    /// The metric over the epochs, for the best settings.
    fn curves(&self) -> String {
        let with_curve = |row: &&TableRow| !row.curve.is_empty();
        let best = self.rows.iter().filter(with_curve).take(COLOURS);
        let labelled = best.map(|row| (row.setting.short(), &row.curve)).collect::<Vec<_>>();
        let lines = labelled.iter().enumerate().map(|(colour, (name, curve))| Line {
            name: if name.is_empty() { "all" } else { name },
            points: curve,
            whiskers: &[],
            colour,
        });
        let title = format!("{} of the best settings", title(&self.metrics[0]));
        let over = self.rows.first().map_or("epoch", |row| row.over);
        let lines = lines.collect();
        Chart { title: &title, over, counts: true, lines, mark: None, width: WIDE }.figure()
    }

    fn html_table(&self) -> String {
        let (head, rows) = self.cells();
        let first_metric = head.len() - self.metrics.len();
        let mut html = String::from("<div class=\"scroll\"><table class=\"costs\">\n<tr>");
        for (i, name) in head.iter().enumerate() {
            let class = if i >= first_metric { " class=\"number\"" } else { "" };
            let _ = write!(html, "<th{class}>{}</th>", escape(name));
            if i == first_metric {
                html.push_str("<th></th>");
            }
        }
        html.push_str("</tr>\n");
        for (cells, row) in rows.iter().zip(&self.rows) {
            html.push_str("<tr>");
            for (i, cell) in cells.iter().enumerate() {
                let class = if i >= first_metric { " class=\"number\"" } else { "" };
                let _ = write!(html, "<td{class}>{}</td>", escape(cell));
                if i == first_metric {
                    let _ = write!(html, "<td>{}</td>", self.interval(row));
                }
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</table></div>\n");
        let better = if lower_is_better(&self.metrics[0]) { "smaller" } else { "larger" };
        let _ = writeln!(
            html,
            "<p class=\"dim\">Mean over the seeds, with the 95 % interval of Student's t distribution. Ranked by \
             {}: {better} is better.</p>",
            escape(&self.metrics[0]),
        );
        for row in &self.rows {
            for (seed, reason) in &row.failed {
                let label = escape(&row.setting.label());
                let _ = writeln!(
                    html,
                    "<p class=\"notice\">failed: {label}, seed {seed}: {}</p>",
                    escape(reason)
                );
            }
        }
        html
    }

    /// The interval of the ranking metric as a line with a dot, on a scale that all rows share.
    fn interval(&self, row: &TableRow) -> String {
        let ends = |row: &TableRow| {
            let (mean, half) = (row.estimates[0].mean, row.estimates[0].half_width.max(0.0));
            [mean - half, mean + half]
        };
        let mut all = self.rows.iter().flat_map(ends).filter(|x| x.is_finite()).collect::<Vec<_>>();
        all.sort_by(f64::total_cmp);
        if all.is_empty() {
            return String::new();
        }
        // The worst quarter may be far off; it stands at the edge, and leaves room for the others.
        let (last, quarter) = (all.len() - 1, all.len() / 4);
        let (low, high) = match lower_is_better(&self.metrics[0]) {
            true => (all[0], all[last - quarter]),
            false => (all[quarter], all[last]),
        };
        let part = |x: f64| (x - low) / (high - low).max(f64::MIN_POSITIVE);
        let at = |x: f64| 4.0 + 152.0 * part(x).clamp(0.0, 1.0);
        let [from, to] = ends(row);
        if !from.is_finite() {
            return String::new();
        }
        format!(
            "<svg class=\"interval\" viewBox=\"0 0 160 14\" width=\"160\" height=\"14\" aria-hidden=\"true\">\
             <path d=\"M{:.1} 7H{:.1}\"/><circle cx=\"{:.1}\" cy=\"7\" r=\"3\"/></svg>",
            at(from),
            at(to),
            at(row.estimates[0].mean),
        )
    }
}
