//! The cost of a training step: the lines, layers and operations that take the time.
//!
//! Teaches: `profile`, its table, sums by line and layer, the graph for Graphviz.
//! Run: `cargo run --release --example 16_profile`, which writes `step.dot` to the folder for temporary files;
//! `dot -Tsvg step.dot -o step.svg` draws it.

use std::error::Error;

use wengert::prelude::*;
use wengert::profile;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

struct Net {
    features: Conv2d,
    classify: Linear,
}
params! { Net { features, classify } }

impl Module for Net {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let features = self.features.forward(x).relu();
        let pooled = features.max_pool2d(2);
        self.classify.forward(pooled.flatten_axes(1, -1))
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let options = ConvOptions::new().padding(1);
    let net = Net {
        features: Conv2d::new(1, 16, 3, options, rng),
        classify: Linear::new(16 * 14 * 14, 10, rng),
    };
    let images = Tensor::randn([32, 1, 28, 28], rng);
    let labels = Indices::from_vec((0..32).map(|i| i % 10).collect(), [32]);

    let profile =
        profile(|tape| net.forward(tape.constant(&images)).cross_entropy(&labels)).in_model(&net);
    print!("{profile}");
    for layer in profile.by_layer() {
        println!("{:5.1}% {}", 100.0 * layer.share, layer.name);
    }
    let picture = std::env::temp_dir().join("step.dot");
    std::fs::write(&picture, profile.dot())?;
    println!("graph: {}", picture.display());

    // 32 images of 28 x 28 pixels, 16 channels, 4 bytes.
    let convolution = &profile.operations[0];
    assert_eq!((&*convolution.layer, convolution.bytes), ("Conv2d", 32 * 28 * 28 * 16 * 4));
    let lines = profile.by_line();
    if !lines[0].name.contains("16_profile.rs") {
        return Err(format!("the line is elsewhere: {}", lines[0].name).into());
    }
    println!(
        "The line {} takes {:.0} % of the time of all operations.",
        lines[0].name,
        100.0 * lines[0].share
    );
    Ok(())
}
