//! A gated recurrent unit predicts a chaotic series.
//!
//! Teaches: a split in time, windows of a series, a recurrent layer with a state that is carried on.
//! Run: `cargo run --release --features train --example 20_series`; `-- docs/series.svg` writes the picture of the
//! documentation.
//!
//! The series is that of Mackey and Glass, `x' = 0.2 x(t - 17) / (1 + x(t - 17)^10) - 0.1 x`, a model of the production
//! of blood cells (Science 197, 1977), at every third unit of time. Fails unless the error of the next value is less
//! than a tenth of the error of repeating the last one.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::optim::Registry;
use wengert::prelude::*;
use wengert::train::data::{Batches, Dataset, Parts, Split, Targets};
use wengert::train::metrics::{Metric, ValueError};

#[path = "parts/picture.rs"]
mod picture;

/// Values that the net sees before it predicts.
const WINDOW: usize = 40;

struct Net {
    gru: Gru,
    output: Linear,
}
params! { Net { gru, output } }

impl Net {
    /// Takes values `[batch, time, 1]` and a state. Returns the next value at each time, and the state at the end.
    fn forward<'t>(&self, x: Var<'t>, state: Tensor) -> (Var<'t>, Tensor) {
        let (hidden, [state]) = self.gru.forward_from(x, [&state]);
        // Near neighbours are alike, so the net learns the difference.
        (self.output.forward(hidden) + x, state.value())
    }

    fn start(&self, batch: usize) -> Tensor {
        let [state] = self.gru.zero_state(batch);
        state
    }
}

/// Returns the series: thirty steps of Euler's method for each value, after the first hundred units of time.
fn mackey_glass(count: usize) -> Vec<f32> {
    let (step, delay) = (0.1, 170);
    let mut x = vec![1.2f64; delay + 1];
    for i in delay..delay + 1000 + 30 * count {
        let late = x[i - delay];
        x.push(x[i] + step * (0.2 * late / (1.0 + late.powi(10)) - 0.1 * x[i]));
    }
    x[delay + 1000..].iter().step_by(30).take(count).map(|&x| x as f32 - 0.9).collect()
}

/// Cuts a series into windows, with the next value at each time as the target.
fn windows(series: &[f32], stride: usize) -> Dataset {
    let starts: Vec<usize> = (0..series.len() - WINDOW).step_by(stride).collect();
    let cut = |shift: usize| {
        let values = starts.iter().flat_map(|start| &series[start + shift..][..WINDOW]);
        Tensor::from_vec(values.copied().collect(), [starts.len(), WINDOW, 1])
    };
    Dataset::new(cut(0), Targets::Values(cut(1)))
}

fn main() -> Result<(), Box<dyn Error>> {
    let series = mackey_glass(1500);
    let Parts { train, held_out } = Split::new(series.len()).in_order().share(0.2);
    let take = |rows: &[usize]| rows.iter().map(|&row| series[row]).collect::<Vec<_>>();
    let (past, future) = (take(&train), take(&held_out));
    let train = windows(&past, 5);

    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let mut net = Net { gru: Gru::new(1, 24, rng), output: Linear::new(24, 1, rng) };
    let (epochs, batches) = (40, Batches::new(train.len()).size(16));
    let registry = Registry::default().training(epochs, batches.per_epoch());
    let recipe =
        registry.read("kind = 'adam'\nclip_norm = 1.0\nlr = { kind = 'cosine', peak = 1e-2 }")?;
    let mut optimizer = Optimizer::new(recipe);
    for epoch in 0..epochs as u64 {
        let mut last = 0.0;
        for rows in batches.epoch(epoch) {
            let batch = train.take_rows(&rows);
            last = optimizer.minimize(&mut net, |net| {
                gradients(|tape| {
                    net.forward(tape.constant(batch.numbers()), net.start(rows.len()))
                        .0
                        .mse(batch.values())
                })
            });
        }
        if epoch % 10 == 9 {
            println!("epoch {}: loss {last:.2e}", epoch + 1);
        }
    }

    // The first values of a window have too little before them to be predicted.
    let test = windows(&future, 1);
    let last = |x: &Tensor| x.narrow(1, WINDOW - 1, 1).reshape([-1, 1]);
    let next = Targets::Values(last(test.values()));
    let rmse = |found: &Tensor| {
        let mut rmse = ValueError::rmse();
        rmse.update(found, &next);
        rmse.value()
    };
    let found =
        evaluate(|tape| net.forward(tape.constant(test.numbers()), net.start(test.len())).0);
    let (error, repeated) = (rmse(&last(&found)), rmse(&last(test.numbers())));
    let path = picture::path("series.svg");
    draw(&path, &future, &forecast(&net, &future[..100], 100))?;
    if error >= 0.1 * repeated {
        return Err(
            format!("the error {error:.4} is not less than a tenth of {repeated:.4}").into()
        );
    }
    println!(
        "The net predicts the next value with an error of {error:.4}; repeating the last one has {repeated:.4}, and less \
         than a tenth was required. Picture: {}",
        path.display()
    );
    Ok(())
}

/// Continues a series: each value that the net predicts is its next input.
fn forecast(net: &Net, seen: &[f32], count: usize) -> Vec<f32> {
    let (mut state, mut values) = (net.start(1), Vec::new());
    let mut next = Tensor::from_vec(seen.to_vec(), [1, seen.len(), 1]);
    for _ in 0..count {
        let tape = Tape::evaluating();
        let (found, end) = net.forward(tape.constant(&next), state);
        let value = *found.value().as_slice().last().expect("a value for each time");
        values.push(value);
        (next, state) = (Tensor::from_vec(vec![value], [1, 1, 1]), end);
    }
    values
}

fn draw(path: &Path, series: &[f32], forecast: &[f32]) -> Result<(), Box<dyn Error>> {
    let picture = SVGBackend::new(path, (900, 320)).into_drawing_area();
    picture.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&picture)
        .caption("A GRU continues the series of Mackey and Glass", ("sans-serif", 20))
        .margin(10)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(0..200usize, -0.6f32..0.6)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .disable_x_mesh()
        .y_label_formatter(&|y| format!("{:.1}", (10.0 * y).round() / 10.0 + 0.0))
        .x_desc("values held out; from the dotted line on, the net sees its own predictions alone")
        .label_style(("sans-serif", 14))
        .draw()?;
    let line = |values: &[f32], start: usize| {
        values.iter().enumerate().map(|(i, &x)| (start + i, x)).collect::<Vec<_>>()
    };
    let [red, blue, ..] = picture::COLOURS;
    chart
        .draw_series(LineSeries::new(line(&series[..200], 0), BLACK.mix(0.45).stroke_width(2)))?
        .label("series")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 24, y)], BLACK.mix(0.45).stroke_width(2)));
    chart
        .draw_series(LineSeries::new(line(forecast, 100), red.stroke_width(2)))?
        .label("forecast")
        .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], red.stroke_width(2)));
    chart.draw_series(DashedLineSeries::new(
        [(100, -0.6), (100, 0.6)],
        3,
        4,
        blue.stroke_width(1),
    ))?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 14))
        .draw()?;
    picture.present()?;
    Ok(())
}
