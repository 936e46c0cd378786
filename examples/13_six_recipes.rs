//! One model under six recipes that differ only in TOML (`configs/six`), with a picture of their curves.
//!
//! `cargo run --release --example 13_six_recipes -- docs/six_recipes.svg` draws the one of the
//! documentation; without an argument the picture goes to `target`.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;
use std::path::{Path, PathBuf};

use plotters::prelude::*;
use wengert::prelude::Optimizer;

#[path = "03_two_layer_net/digits.rs"]
mod data;
#[path = "parts/digits_net.rs"]
mod digits;

const STEPS: usize = 300;

/// Colours that are told apart by everybody (Okabe and Ito 2008).
const RECIPES: [(&str, RGBColor); 6] = [
    ("sgd", RGBColor(0, 0, 0)),
    ("momentum", RGBColor(230, 159, 0)),
    ("adagrad", RGBColor(204, 121, 167)),
    ("rmsprop", RGBColor(0, 158, 115)),
    ("adamw", RGBColor(0, 114, 178)),
    ("lion", RGBColor(213, 94, 0)),
];

/// The mean of twenty losses around each step: what a single batch says is mostly noise.
fn smooth(losses: &[f32]) -> Vec<f64> {
    let around = |i: usize| &losses[i.saturating_sub(10)..(i + 10).min(losses.len())];
    let mean = |part: &[f32]| f64::from(part.iter().sum::<f32>()) / part.len() as f64;
    (0..losses.len()).map(|i| mean(around(i))).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let task = digits::Task::load()?;
    let (mut curves, mut least) = (Vec::new(), 1.0);
    println!("recipe     loss    accuracy on unseen digits");
    for (name, colour) in RECIPES {
        let file = root.join("examples/configs/six").join(name).with_extension("toml");
        let (losses, accuracy, _) = task.train(&mut Optimizer::load(file)?, 64, STEPS);
        let curve = smooth(&losses);
        println!("{name:9} {:.4}  {accuracy:.3}", curve[STEPS - 1]);
        least = f64::min(least, accuracy);
        curves.push((format!("{name}, {:.1} %", 100.0 * accuracy), colour, curve));
    }

    let path = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => root.join("target/six_recipes.svg"),
    };
    let picture = SVGBackend::new(&path, (800, 480)).into_drawing_area();
    picture.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&picture)
        .caption(
            "One model under six recipes, and its accuracy on unseen digits",
            ("sans-serif", 20),
        )
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(0..STEPS, (4e-3..4.0).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("step (batches of 64 digits)")
        .y_desc("cross-entropy, mean of 20 steps")
        .label_style(("sans-serif", 14))
        .y_label_formatter(&|loss| format!("{loss}"))
        .draw()?;
    for (label, colour, curve) in curves {
        let style = colour.stroke_width(2);
        let points = curve.into_iter().enumerate();
        let line = chart.draw_series(LineSeries::new(points, style))?;
        line.label(label).legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], style));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .legend_area_size(34)
        .margin(14)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", 13))
        .draw()?;
    picture.present()?;
    println!("drawn in {}", path.display());
    if least > 0.95 { Ok(()) } else { Err("a recipe stays below 95 % on unseen digits".into()) }
}
