//! Two spirals, and the boundary that a net draws between them under five optimizers.
//!
//! Teaches: comparing optimizers on one problem, evaluating a net on a grid.
//! Run: `cargo run --release --features train --example 19_spiral`; `-- docs/spiral.svg` writes the picture of the
//! documentation.
//!
//! Fails unless each of the five nets puts 95 % of the points on their side. The titles of the picture tell after how
//! many steps one does.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;
use std::f32::consts::TAU;

use plotters::coord::Shift;
use plotters::prelude::*;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::prelude::*;
use wengert::train::data::{Dataset, Targets};
use wengert::train::metrics::{Accuracy, Metric};

#[path = "parts/picture.rs"]
mod picture;

const RECIPES: [(&str, &str); 5] = [
    ("SGD", "kind = 'sgd'\nlr = 1.0"),
    ("Momentum", "kind = 'momentum'\nlr = 0.1"),
    ("AdaGrad", "kind = 'adagrad'\nlr = 0.05"),
    ("RMSProp", "kind = 'rmsprop'\nlr = 0.003"),
    ("Adam", "kind = 'adam'\nlr = 0.01"),
];
const STEPS: usize = 2000;
/// Points along each side of the grid that shows the boundary.
const GRID: usize = 90;

/// Returns two spirals of 100 points each, within the square from -1 to 1.
fn spirals() -> Dataset {
    let point = |i: usize| {
        let (arm, along) = (i % 2, (i / 2) as f32 / 100.0);
        let (radius, angle) = (0.1 + 0.85 * along, TAU * (1.5 * along + 0.5 * arm as f32));
        [radius * angle.cos(), radius * angle.sin()]
    };
    let points = (0..200).flat_map(point).collect();
    let arms: Vec<usize> = (0..200).map(|i| i % 2).collect();
    Dataset::new(Tensor::from_vec(points, [200, 2]), Targets::classes(arms, ["one", "other"]))
}

fn net() -> Sequential {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    Sequential::new()
        .then(Linear::new(2, 32, rng))
        .then(Tanh)
        .then(Linear::new(32, 32, rng))
        .then(Tanh)
        .then(Linear::new(32, 2, rng))
}

/// Trains on all points at once. Returns the accuracy after each step.
fn train(net: &mut Sequential, recipe: &str, data: &Dataset) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut optimizer = Optimizer::from_toml(recipe)?;
    let mut history = Vec::new();
    for _ in 0..STEPS {
        let (_, grads, logits) = gradients_with(|tape| {
            let logits = net.forward(tape.constant(data.numbers()));
            (logits.cross_entropy(data.labels()), logits.value())
        });
        let mut accuracy = Accuracy::default();
        accuracy.update(&logits, &data.targets);
        history.push(accuracy.value());
        optimizer.step(net, &grads);
    }
    Ok(history)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (data, path) = (spirals(), picture::path("spiral.svg"));
    let picture = SVGBackend::new(&path, (1000, 290)).into_drawing_area();
    picture.fill(&WHITE)?;
    let title = "Steps until 95 % of the points are on their side, and the boundary at the end";
    let picture = picture.margin(8, 0, 0, 0).titled(title, ("sans-serif", 19))?;
    for ((name, recipe), panel) in RECIPES.iter().zip(picture.split_evenly((1, 5))) {
        let mut net = net();
        let history = train(&mut net, recipe, &data)?;
        let accuracy = 100.0 * history[STEPS - 1];
        let at_95 =
            history.iter().position(|&accuracy| accuracy >= 0.95).map_or(STEPS, |step| step + 1);
        println!("{name:9} {accuracy:6.1} % after {STEPS} steps, 95 % after {at_95}");
        if accuracy < 95.0 {
            return Err(
                format!("{name} puts only {accuracy:.1} % of the points on their side").into()
            );
        }
        draw(&panel, &format!("{name}: {at_95} steps"), &net, &data)?;
    }
    picture.present()?;
    println!(
        "Each of the five nets puts at least 95 % of the points on their side, as required. Picture: {}",
        path.display()
    );
    Ok(())
}

/// Draws the sides of the boundary, and the points in front of them.
fn draw(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    title: &str,
    net: &Sequential,
    data: &Dataset,
) -> Result<(), Box<dyn Error>> {
    let chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 17))
        .margin(6)
        .build_cartesian_2d(-1.05f32..1.05, -1.05f32..1.05)?;
    let place = |i: usize| 2.1 * i as f32 / GRID as f32 - 1.05;
    let middle = |i: usize| place(i) + 1.05 / GRID as f32;
    let grid = Tensor::from_fn([GRID * GRID, 2], |i| match i % 2 {
        0 => middle(i / 2 % GRID),
        _ => middle(i / 2 / GRID),
    });
    let sides = evaluate(|tape| net.forward(tape.constant(&grid))).argmax();
    let pale = [RGBColor(244, 208, 214), RGBColor(205, 200, 228)];
    let dark = [picture::COLOURS[0], picture::COLOURS[1]];
    let area = chart.plotting_area();
    for (row, sides) in sides.as_slice().chunks(GRID).enumerate() {
        // Neighbours on one side make one rectangle.
        let mut column = 0;
        for run in sides.chunk_by(|a, b| a == b) {
            let corners =
                [(place(column), place(row)), (place(column + run.len()), place(row + 1))];
            area.draw(&Rectangle::new(corners, pale[run[0]].filled()))?;
            column += run.len();
        }
    }
    for (point, &arm) in data.numbers().as_slice().chunks(2).zip(data.labels().as_slice()) {
        area.draw(&Circle::new((point[0], point[1]), 2, dark[arm].filled()))?;
    }
    Ok(())
}
