//! One net under six optimizer configurations (`configs/six`), and a picture of their losses and rates.
//!
//! Teaches: learning rate schedules, groups and clipping in TOML, comparing optimizers.
//! Run: `cargo run --release --example 13_six_recipes`, which writes `six_recipes.svg` to the folder for
//! temporary files; `cargo run --release --example 13_six_recipes -- docs/six_recipes.svg` writes the
//! picture of the documentation.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::prelude::*;
use wengert::prelude::Optimizer;

#[path = "03_two_layer_net/digits.rs"]
mod digits;
#[path = "03_two_layer_net/net.rs"]
mod net;
#[path = "03_two_layer_net/run.rs"]
mod run;

/// The configurations, each with a colour that colour-blind readers can tell apart (Okabe and Ito 2008).
const RECIPES: [(&str, RGBColor); 6] = [
    ("sgd", RGBColor(0, 0, 0)),
    ("momentum", RGBColor(230, 159, 0)),
    ("adagrad", RGBColor(204, 121, 167)),
    ("rmsprop", RGBColor(0, 158, 115)),
    ("adamw", RGBColor(0, 114, 178)),
    ("lion", RGBColor(213, 94, 0)),
];

/// The result of a configuration: its name, colour and accuracy, and a point for every fourth step.
struct Curve {
    name: &'static str,
    colour: RGBColor,
    accuracy: f64,
    /// Steps and the mean of the twenty losses around each.
    losses: Vec<(usize, f64)>,
    /// Steps and learning rates.
    rates: Vec<(usize, f64)>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/configs/six");
    let (seen, unseen) = digits::Digits::split()?;
    let mut curves = Vec::new();
    println!("recipe    loss at the end  accuracy on unseen digits");
    for (name, colour) in RECIPES {
        let file = folder.join(name).with_extension("toml");
        let (run, mut optimizer) = (run::Run::load(&file)?, Optimizer::load(&file)?);
        let (mut net, history) = run.train(&mut optimizer, &seen, |_| ());
        let accuracy = optimizer.with_ema(&mut net, |net| net.accuracy(&unseen));
        let losses = sampled(&smooth(&history));
        let rates = sampled(&history.iter().map(|(_, lr)| *lr).collect::<Vec<_>>());
        println!("{name:9} {:14.4}  {:24.1}%", losses[losses.len() - 1].1, 100.0 * accuracy);
        curves.push(Curve { name, colour, accuracy, losses, rates });
    }

    let path = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => std::env::temp_dir().join("six_recipes.svg"),
    };
    draw(&path, &curves)?;
    println!("picture: {}", path.display());
    let least = curves.iter().map(|curve| curve.accuracy).fold(1.0, f64::min);
    if least <= 0.95 {
        return Err("a recipe does not exceed 95 % on unseen digits".into());
    }
    println!(
        "Each of the six recipes classifies at least {:.1} % of unseen digits correctly, more than 95 % \
         required.",
        100.0 * least
    );
    Ok(())
}

/// Returns the mean of twenty losses around each step, since the loss of one batch is noisy.
fn smooth(history: &[(f32, f64)]) -> Vec<f64> {
    let around = |i: usize| &history[i.saturating_sub(10)..(i + 10).min(history.len())];
    let mean = |part: &[(f32, f64)]| {
        part.iter().map(|(loss, _)| f64::from(*loss)).sum::<f64>() / part.len() as f64
    };
    (0..history.len()).map(|i| mean(around(i))).collect()
}

/// Returns every fourth value with its position, and the last one.
fn sampled(values: &[f64]) -> Vec<(usize, f64)> {
    let last = values.len() - 1;
    (0..last).step_by(4).chain([last]).map(|i| (i, values[i])).collect()
}

/// Draws one panel for each recipe: its loss in front of the others in grey, and its rate below.
fn draw(path: &Path, curves: &[Curve]) -> Result<(), Box<dyn Error>> {
    let picture = SVGBackend::new(path, (900, 640)).into_drawing_area();
    picture.fill(&WHITE)?;
    let picture =
        picture.titled("One net under six recipes: loss and learning rate", ("sans-serif", 22))?;
    for (panel, curve) in picture.split_evenly((2, 3)).iter().zip(curves) {
        let (top, bottom) = panel.split_vertically(196);
        draw_loss(&top, curve, curves)?;
        draw_rate(&bottom, curve)?;
    }
    picture.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw_loss(area: &Area<'_>, curve: &Curve, curves: &[Curve]) -> Result<(), Box<dyn Error>> {
    let title = format!("{}: {:.1} % of unseen digits", curve.name, 100.0 * curve.accuracy);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 17))
        .margin_left(8)
        .margin_right(14)
        .x_label_area_size(6)
        .y_label_area_size(62)
        .build_cartesian_2d(0..curve.losses.len() * 4, (1e-3..4.0).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_label_formatter(&|_| String::new())
        .y_labels(4)
        .y_desc("loss")
        .label_style(("sans-serif", 14))
        .y_label_formatter(&|loss| format!("{loss}"))
        .draw()?;
    for other in curves {
        chart.draw_series(LineSeries::new(other.losses.clone(), RGBColor(205, 205, 205)))?;
    }
    chart.draw_series(LineSeries::new(curve.losses.clone(), curve.colour.stroke_width(3)))?;
    Ok(())
}

fn draw_rate(area: &Area<'_>, curve: &Curve) -> Result<(), Box<dyn Error>> {
    let mut chart = ChartBuilder::on(area)
        .margin_left(8)
        .margin_right(14)
        .margin_bottom(4)
        .x_label_area_size(38)
        .y_label_area_size(62)
        .build_cartesian_2d(0..curve.losses.len() * 4, (1e-4..1.0).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(4)
        .y_labels(3)
        .x_desc("step")
        .y_desc("rate")
        .label_style(("sans-serif", 14))
        .y_label_formatter(&|rate| format!("{rate}"))
        .draw()?;
    chart.draw_series(LineSeries::new(curve.rates.clone(), curve.colour.stroke_width(2)))?;
    Ok(())
}
