//! The report of one run.

use std::fmt::Write as _;

use super::axis::significant;
use super::chart::{COLOURS, Chart, Line, NARROW};
use super::folder::RunFolder;
use super::heat::heat_map;
use super::history::{Curve, History};
use super::html::{escape, page, section};
use super::{matrix, profile, samples};

pub(crate) fn html(run: &RunFolder) -> String {
    let results = run.results.clone().unwrap_or_default();
    let mut body = header(run);
    body += &section("Curves", &grid(&curves(run)));
    body += &section("Layers", &grid(&layers(&run.history)));
    let confusion = results.confusion.as_ref().map(matrix::table).unwrap_or_default();
    let parts = [confusion, samples::gallery(&results.samples)].concat();
    if !parts.is_empty() {
        body += &section("Predictions", &format!("<div class=\"split\">\n{parts}</div>\n"));
    }
    body +=
        &section("Cost of a step", &run.profile.as_ref().map(profile::html).unwrap_or_default());
    let model = section("Model", &preformatted(&results.summary));
    let configuration = section("Configuration", &preformatted(&run.config));
    let _ = write!(body, "<div class=\"split\">\n{model}{configuration}</div>\n");
    body += &section("Origin", &origin(run));
    page(&run.name, &body)
}

/// The name, the outcome, and the numbers that one looks for first.
fn header(run: &RunFolder) -> String {
    let (epoch, step) = run.history.last;
    let mut facts = vec![format!("{}, {}", counted(epoch, "epoch"), counted(step, "step"))];
    let mut html = format!("<header>\n<h1>{}</h1>\n", escape(&run.name));
    if let Some(results) = &run.results {
        if !results.status.is_empty() {
            facts.insert(0, escape(&results.status));
        }
        if results.params > 0 {
            facts.push(format!("{} parameters", grouped(results.params)));
        }
        facts.push(format!("seed {}", results.seed));
    } else {
        facts.insert(0, "not finished".to_owned());
    }
    if let Some(seconds) = run.seconds {
        facts.push(duration(seconds));
    }
    let _ = writeln!(html, "<p class=\"dim\">{}</p>", facts.join(" \u{b7} "));
    let numbers = headline(run);
    if !numbers.is_empty() {
        html.push_str("<dl class=\"headline\">\n");
        for (name, number) in numbers {
            let _ = writeln!(html, "<div><dt>{}</dt><dd>{number}</dd></div>", escape(&name));
        }
        html.push_str("</dl>\n");
    }
    for problem in &run.problems {
        let _ = writeln!(html, "<p class=\"notice\">{}</p>", escape(problem));
    }
    if !run.postmortem.is_empty() {
        let text = preformatted(&run.postmortem);
        let _ = write!(html, "<div class=\"notice\">\n<h3>Why it diverged</h3>\n{text}</div>\n");
    }
    html + "</header>\n"
}

/// The metrics at the end; those of the last line of each split if there are no results.
fn headline(run: &RunFolder) -> Vec<(String, String)> {
    let show = |name: &str, value: f64| match name.rsplit(' ').next() {
        Some("accuracy") if value.is_finite() => format!("{:.1}%", 100.0 * value),
        _ => significant(value, 4),
    };
    if let Some(results) = &run.results
        && !results.metrics.is_empty()
    {
        let named = results.metrics.iter().take(6);
        return named.map(|(name, value)| (words(name), show(name, *value))).collect();
    }
    let last = |curve: &Curve| {
        let name = format!("{} {}", curve.of, words(&curve.quantity));
        let value = curve.points.last()?.1;
        Some((name.clone(), show(&name, value)))
    };
    let shown = run.history.curves.iter().filter(|curve| curve.quantity != "lr").take(4);
    shown.filter_map(last).collect()
}

/// A chart for each metric with a line for each split, and the learning rate last.
fn curves(run: &RunFolder) -> Vec<String> {
    let history = &run.history;
    let mut quantities = History::quantities(&history.curves);
    // The rate explains the others.
    quantities.sort_by_key(|name| *name == "lr");
    let best = run.results.as_ref().and_then(|results| results.best_epoch);
    let best = best.filter(|_| history.over == "epoch").map(|epoch| (epoch as f64, "best"));
    let chart = |quantity: &&str| {
        let of = history.curves.iter().filter(|curve| curve.quantity == **quantity);
        fn line(curve: &Curve) -> Line<'_> {
            Line { name: &curve.of, colour: colour(curve), points: &curve.points, whiskers: &[] }
        }
        let lines = of.map(line).collect::<Vec<_>>();
        let mark = best.filter(|_| lines.iter().any(|line| line.name == "validation"));
        Chart {
            title: &title(quantity),
            over: history.over,
            lines,
            mark,
            counts: true,
            width: NARROW,
        }
        .figure()
    };
    quantities.iter().map(chart).collect()
}

/// Returns the colour of a split, equal in every chart.
fn colour(curve: &Curve) -> usize {
    match (&*curve.quantity, &*curve.of) {
        ("lr", _) => 2,
        (_, "train") => 0,
        (_, "validation") => 1,
        (_, "one batch") => 5,
        _ => 3,
    }
}

/// For each norm a chart with a line for each parameter, or a map if these are many.
fn layers(history: &History) -> Vec<String> {
    let picture = |quantity: &&str| {
        let of = history.layers.iter().filter(|curve| curve.quantity == **quantity);
        let curves = of.collect::<Vec<_>>();
        let title = title(quantity);
        if curves.len() > COLOURS {
            return heat_map(&title, history.over, &curves);
        }
        let lines = curves.iter().enumerate().map(|(colour, curve)| Line {
            name: &curve.of,
            points: &curve.points,
            whiskers: &[],
            colour,
        });
        Chart {
            title: &title,
            over: history.over,
            lines: lines.collect(),
            mark: None,
            counts: true,
            width: NARROW,
        }
        .figure()
    };
    History::quantities(&history.layers).iter().map(picture).collect()
}

fn origin(run: &RunFolder) -> String {
    let mut facts = Vec::new();
    if let Some(results) = &run.results {
        facts.push(("seed".to_owned(), results.seed.to_string()));
        facts
            .extend(results.versions.iter().map(|(name, version)| (name.clone(), version.clone())));
    }
    if let Some(machine) = &run.machine {
        let threads = format!("{} of {} processors", machine.threads, machine.processors);
        for (name, value) in
            [("processor", &machine.processor), ("threads", &threads), ("system", &machine.system)]
        {
            facts.push((name.to_owned(), value.clone()));
        }
    }
    let row = |(name, value): &(String, String)| {
        format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(value))
    };
    let rows = facts.iter().filter(|(_, value)| !value.is_empty()).map(row).collect::<String>();
    if rows.is_empty() { rows } else { format!("<dl class=\"facts\">\n{rows}</dl>\n") }
}

fn grid(figures: &[String]) -> String {
    let all = figures.concat();
    if all.is_empty() { all } else { format!("<div class=\"charts\">\n{all}</div>\n") }
}

fn preformatted(text: &str) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    format!("<pre>{}</pre>\n", escape(text.trim_end()))
}

/// The title of a quantity's chart.
pub(crate) fn title(quantity: &str) -> String {
    match quantity {
        "lr" => "Learning rate".to_owned(),
        "grad_norm" => "Gradient norm".to_owned(),
        "weight_norm" => "Weight norm".to_owned(),
        other => {
            let words = words(other);
            let mut letters = words.chars();
            letters.next().map_or(String::new(), |c| c.to_uppercase().chain(letters).collect())
        }
    }
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A count with its thousands apart.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with what it counts.
fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(count), if count == 1 { "" } else { "s" })
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 100.0 => format!("{} s", significant(s, 3)),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
