//! An autoencoder puts the digits on a plane.
//!
//! Teaches: inputs that are their own targets, two nets trained as one, the values between them.
//! Run: `cargo run --release --features train --example 21_autoencoder`; `-- docs/autoencoder.svg` writes the picture
//! of the documentation.
//!
//! The encoder never sees a label; the colours of the picture show that digits of one kind lie together. Fails unless
//! it restores digits held out better than any linear map through a plane restores all digits.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::optim::Registry;
use wengert::prelude::*;
use wengert::train::data::{Batches, Parts, Split, digits};

#[path = "parts/picture.rs"]
mod picture;

/// Mean square error of the best linear map through a plane, over all digits:
/// `x = load_digits().data / 16; p = PCA(2).fit(x); ((p.inverse_transform(p.transform(x)) - x) ** 2).mean()`
/// with scikit-learn 1.9.
const LINEAR: f64 = 0.0524;

struct Autoencoder {
    encoder: Sequential,
    decoder: Sequential,
}
params! { Autoencoder { encoder, decoder } }

impl Module for Autoencoder {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        self.decoder.forward(self.encoder.forward(x))
    }
}

impl Autoencoder {
    fn new(rng: &mut ChaCha8Rng) -> Self {
        let mut layers = |widths: [usize; 4]| {
            let [a, b, c, d] = widths;
            Sequential::new()
                .then(Linear::new(a, b, rng))
                .then(Silu)
                .then(Linear::new(b, c, rng))
                .then(Silu)
                .then(Linear::new(c, d, rng))
        };
        // Within a square, so that no digit is far away.
        let encoder = layers([64, 128, 64, 2]).then(Softsign);
        Self { encoder, decoder: layers([2, 64, 128, 64]) }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let digits = digits();
    let Parts { train, held_out } =
        Split::new(digits.len()).stratified(digits.labels().as_slice()).share(0.25);
    let pixels = digits.numbers().reshape([-1, 64]);
    let (seen, unseen) = (pixels.take_rows(&train), pixels.take_rows(&held_out));

    let mut net = Autoencoder::new(&mut ChaCha8Rng::seed_from_u64(0));
    let (epochs, batches) = (80, Batches::new(train.len()).size(64));
    let registry = Registry::default().training(epochs, batches.per_epoch());
    let recipe = registry.read("kind = 'adamw'\nlr = { kind = 'cosine', peak = 3e-3 }")?;
    let mut optimizer = Optimizer::new(recipe);
    for epoch in 0..epochs as u64 {
        let mut loss = 0.0;
        for rows in batches.epoch(epoch) {
            let batch = seen.take_rows(&rows);
            loss = optimizer.minimize(&mut net, |net| {
                gradients(|tape| net.forward(tape.constant(&batch)).mse(&batch))
            });
        }
        if epoch % 20 == 19 {
            println!("epoch {}: loss {loss:.4}", epoch + 1);
        }
    }

    let error = evaluate(|tape| net.forward(tape.constant(&unseen)).mse(&unseen)).item();
    let plane = evaluate(|tape| net.encoder.forward(tape.constant(&pixels)));
    let path = picture::path("autoencoder.svg");
    draw(&path, &plane, digits.labels().as_slice())?;
    if f64::from(error) >= LINEAR {
        return Err(format!("the error {error:.4} is not below {LINEAR:.4}").into());
    }
    println!(
        "The autoencoder restores digits held out with a mean square error of {error:.4}, less than the {LINEAR:.4} of \
         the best linear map. Picture: {}",
        path.display()
    );
    Ok(())
}

fn draw(path: &Path, plane: &Tensor, labels: &[usize]) -> Result<(), Box<dyn Error>> {
    let picture = SVGBackend::new(path, (760, 640)).into_drawing_area();
    picture.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&picture)
        .caption("1,797 digits on the plane of an autoencoder", ("sans-serif", 20))
        .margin(12)
        .build_cartesian_2d(-1.05f32..1.25, -1.05f32..1.05)?;
    for (digit, colour) in picture::COLOURS.into_iter().enumerate() {
        let points = plane.as_slice().chunks(2).zip(labels).filter(|(_, label)| **label == digit);
        let circles =
            points.map(|(point, _)| Circle::new((point[0], point[1]), 3, colour.filled()));
        chart
            .draw_series(circles)?
            .label(digit.to_string())
            .legend(move |(x, y)| Circle::new((x + 10, y), 5, colour.filled()));
    }
    chart
        .configure_series_labels()
        .background_style(WHITE.mix(0.85))
        .position(SeriesLabelPosition::MiddleRight)
        .label_font(("sans-serif", 15))
        .draw()?;
    picture.present()?;
    Ok(())
}
