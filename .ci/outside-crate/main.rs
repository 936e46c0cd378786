//! A user's crate with an operation, a layer and an optimizer rule, each in its own file. Checks them and
//! trains a model with them, configured by TOML.

mod layer;
mod op;
mod rule;

use wengert::optim::Registry;
use wengert::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::{Value, check_gradients, check_model};

use layer::Radial;
use op::SquaredDistance;
use rule::Signum;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(0);

    // The operation, against finite differences of orders one and two.
    let (a, b) = (Tensor::randn([4, 3], &mut rng).cast(), Tensor::randn([2, 3], &mut rng).cast());
    let checked = check_gradients(|x| Value::apply(SquaredDistance, [&x[0], &x[1]]), &[a, b])?;
    println!("the operation: {} derivatives compared", checked.comparisons);

    // Points inside and outside a ring, which no straight line separates.
    let points = Tensor::uniform([400, 2], -2.0, 2.0, &mut rng);
    let radius = points.square().sum_axes(-1, false).sqrt();
    let labels = radius.as_slice().iter().map(|r| usize::from((0.7..1.5).contains(r)));
    let labels = Indices::from(labels.collect::<Vec<_>>());

    // The layer, in a model, with a loss.
    let centers = Param::new(Tensor::uniform([24, 2], -2.0, 2.0, &mut rng));
    let mut net = Sequential::new().then(Radial { centers }).then(Linear::new(24, 2, &mut rng));
    let few = (points.take_rows(&[0, 1, 2, 3]), labels.as_slice()[..4].to_vec());
    let checked =
        check_model(&net, |tape| net.forward(tape.constant(&few.0)).cross_entropy(few.1))?;
    println!("the model: {} derivatives compared", checked.comparisons);

    // The rule, by its name in TOML.
    let registry = Registry::default().rule::<Signum>();
    let recipe = registry.read(include_str!("recipe.toml"))?;
    let mistake = registry.read("kind = 'signun'").unwrap_err();
    assert!(mistake.to_string().contains("did you mean `signum`?"), "{mistake}");
    let mut optimizer = Optimizer::new(recipe);
    let mut loss = |net: &Sequential| {
        gradients(|tape| net.forward(tape.constant(&points)).cross_entropy(&labels))
    };
    let before = loss(&net).0;
    for _ in 0..400 {
        optimizer.minimize(&mut net, &mut loss);
    }
    let after = loss(&net).0;
    let found = evaluate(|tape| net.forward(tape.constant(&points))).argmax();
    let right =
        found.as_slice().iter().zip(labels.as_slice()).filter(|(found, label)| found == label);
    let accuracy = right.count() as f64 / 400.0;
    println!("the rule: loss {before:.3} to {after:.3}, accuracy {:.1} %", 100.0 * accuracy);
    assert!(accuracy > 0.95, "the net did not learn the ring");
    Ok(())
}
