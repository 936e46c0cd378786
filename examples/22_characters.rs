//! A transformer writes, character by character, in the manner of Tom Sawyer.
//!
//! Teaches: a vocabulary, windows of a text, a causal transformer, sampling; what a loss is worth.
//! Run: `cargo run --release --features train --example 22_characters`, which trains for 150 steps; with `-- --full`
//! for 2,000, which take two minutes. `-- docs/characters.svg` writes the picture of the documentation.
//!
//! Fails unless the net predicts a part of the text that it has not seen better than frequencies of characters do; with
//! `--full`, better than the frequencies of characters after another one do. Prints a sample.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::collections::HashMap;
use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use wengert::optim::Registry;
use wengert::prelude::*;
use wengert::train::data::{Batches, Vocabulary, windows};
use wengert::train::metrics::{LogLoss, Metric};

#[path = "parts/picture.rs"]
mod picture;

/// Characters that the net sees at once.
const CONTEXT: usize = 64;
const WIDTH: usize = 64;

struct Transformer {
    tokens: Embedding,
    positions: SinusoidalPositions,
    blocks: [TransformerBlock; 2],
    norm: LayerNorm,
}
params! { Transformer { tokens, positions, blocks, norm } }

impl Transformer {
    fn new(vocabulary: usize, rng: &mut ChaCha8Rng) -> Self {
        let mut tokens = Embedding::new(vocabulary, WIDTH, rng);
        tokens.weight = init::normal([vocabulary, WIDTH], 0.1, rng).into();
        let mut block = || {
            TransformerBlock::new(WIDTH, 4, 4 * WIDTH, rng)
                .causal()
                .norm_first()
                .dropout(0.1)
                .activation(|x| x.gelu())
        };
        Self {
            tokens,
            positions: SinusoidalPositions::new(CONTEXT, WIDTH),
            blocks: [block(), block()],
            norm: LayerNorm::new(WIDTH),
        }
    }

    /// Takes tokens `[batch, time]` and returns the logits `[batch, time, vocabulary]` of the next ones.
    fn logits<'t>(&self, tape: &'t Tape, tokens: &Indices) -> Var<'t> {
        // As large as the positions.
        let embedded = self.tokens.forward(tape, tokens) * (WIDTH as f64).sqrt();
        let x =
            self.blocks.iter().fold(self.positions.forward(embedded), |x, block| block.forward(x));
        self.tokens.logits(self.norm.forward(x))
    }
}

/// Returns the mean logarithm of the probability of a character in `text`, given the `seen` characters before it, with
/// frequencies from the text itself: no model that sees as much can do better on it.
fn entropy(text: &[usize], seen: usize) -> f64 {
    let (mut contexts, mut windows) = (HashMap::new(), HashMap::new());
    for window in text.windows(seen + 1) {
        *contexts.entry(&window[..seen]).or_insert(0.0) += 1.0;
        *windows.entry(window).or_insert(0.0) += 1.0;
    }
    let total: f64 = windows.values().sum();
    windows
        .iter()
        .map(|(window, count): (_, &f64)| -count * (count / contexts[&window[..seen]]).ln())
        .sum::<f64>()
        / total
}

/// Writes `count` characters after a beginning. A temperature below 1 prefers likely ones.
fn sample(
    net: &Transformer,
    start: &[usize],
    count: usize,
    temperature: f64,
    rng: &mut ChaCha8Rng,
) -> Vec<usize> {
    let mut text = start.to_vec();
    for _ in 0..count {
        let seen = &text[text.len().saturating_sub(CONTEXT)..];
        let window = Indices::from_vec(seen.to_vec(), [1, seen.len()]);
        let probabilities = evaluate(|tape| {
            let last = net.logits(tape, &window).narrow(1, seen.len() - 1, 1);
            (last * (1.0 / temperature)).softmax()
        });
        let mut rest: f32 = rng.random();
        let chosen = probabilities.as_slice().iter().position(|probability| {
            rest -= probability;
            rest < 0.0
        });
        text.push(chosen.unwrap_or(0));
    }
    text
}

fn main() -> Result<(), Box<dyn Error>> {
    let full = std::env::args().any(|argument| argument == "--full");
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/data/tom_sawyer.txt"
    ))?;
    let vocabulary = Vocabulary::of(&text);
    let text = vocabulary.encode(&text)?;
    let (past, future) = text.split_at(text.len() / 10 * 9);
    println!("{} characters, {} different ones", text.len(), vocabulary.len());
    let (train, test) = (windows(past, CONTEXT, 8), windows(future, CONTEXT, CONTEXT));
    let baselines = [0, 1, 2].map(|seen| entropy(future, seen));

    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let mut net = Transformer::new(vocabulary.len(), rng);
    let steps = if full { 2000 } else { 150 };
    let recipe = Registry::default().training(1, steps).read(
        "kind = 'adamw'\nclip_norm = 1.0\nweight_decay = 0.1\nlr = { kind = 'cosine', peak = 3e-3, warmup_steps = 30 }",
    )?;
    let mut optimizer = Optimizer::new(recipe);
    let batches = Batches::new(train.len()).size(16);
    let (mut losses, mut tested) = (Vec::new(), Vec::new());
    for (step, rows) in (0..).flat_map(|epoch| batches.epoch(epoch)).take(steps).enumerate() {
        let batch = train.take_rows(&rows);
        let (loss, grads) = seeded(optimizer.steps())
            .gradients(|tape| net.logits(tape, batch.tokens()).cross_entropy(batch.labels()));
        optimizer.step(&mut net, &grads);
        losses.push((step + 1, f64::from(loss)));
        if (step + 1) % (steps / 10) == 0 {
            let mut loss = LogLoss::default();
            let logits = evaluate(|tape| net.logits(tape, test.tokens()));
            loss.update(&logits, &test.targets);
            tested.push((step + 1, loss.value()));
            println!(
                "step {:4}: loss {:.3}, on unseen text {:.3}",
                step + 1,
                losses[step].1,
                loss.value()
            );
        }
    }

    let written = sample(&net, &vocabulary.encode("\"Tom")?, 300, 0.7, rng);
    println!("\n{}\n", vocabulary.decode(&written));
    let path = picture::path("characters.svg");
    draw(&path, &losses, &tested, &baselines)?;
    let (reached, required) =
        (tested[tested.len() - 1].1, if full { baselines[1] } else { baselines[0] });
    if reached >= required {
        return Err(
            format!("the loss {reached:.3} on unseen text is not below {required:.3}").into()
        );
    }
    println!(
        "The transformer has a loss of {reached:.3} on unseen text, less than the required {required:.3}. Picture: {}",
        path.display()
    );
    Ok(())
}

fn draw(
    path: &Path,
    losses: &[(usize, f64)],
    tested: &[(usize, f64)],
    baselines: &[f64; 3],
) -> Result<(), Box<dyn Error>> {
    let picture = SVGBackend::new(path, (820, 420)).into_drawing_area();
    picture.fill(&WHITE)?;
    let steps = losses.len();
    let mut chart = ChartBuilder::on(&picture)
        .caption("A transformer learns to write", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(55)
        .build_cartesian_2d(0..steps, 1.2..4.8)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .disable_x_mesh()
        .x_desc("step")
        .y_desc("loss of a character")
        .label_style(("sans-serif", 14))
        .draw()?;
    let names = ["frequencies of characters", "after one character", "after two characters"];
    for (&entropy, name) in baselines.iter().zip(names) {
        chart.draw_series(DashedLineSeries::new(
            [(0, entropy), (steps, entropy)],
            5,
            5,
            BLACK.mix(0.5).stroke_width(1),
        ))?;
        let style = ("sans-serif", 13).into_font().color(&BLACK.mix(0.7));
        chart.draw_series([Text::new(name, (steps * 3 / 4, entropy + 0.14), style)])?;
    }
    let [red, blue, ..] = picture::COLOURS;
    // A point for every hundredth part, the mean of the losses before it.
    let mean = |part: &[(usize, f64)]| {
        let sum: f64 = part.iter().map(|(_, loss)| loss).sum();
        (part[part.len() - 1].0, sum / part.len() as f64)
    };
    let smooth: Vec<_> = losses.chunks((steps / 100).max(1)).map(mean).collect();
    for (line, colour, name) in [(&smooth[..], blue, "training"), (tested, red, "unseen text")] {
        chart
            .draw_series(LineSeries::new(line.to_vec(), colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.85))
        .label_font(("sans-serif", 14))
        .draw()?;
    picture.present()?;
    Ok(())
}
