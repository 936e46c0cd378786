//! A loss of derivatives alone, which does not depend on the last bias.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert::f64::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

struct Potential {
    hidden: Linear,
    output: Linear,
}
params! { Potential { hidden, output } }

impl Potential {
    fn new() -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        Self { hidden: Linear::new(1, 8, &mut rng), output: Linear::new(8, 1, &mut rng) }
    }

    /// Gradients of a loss that fits the slope of the potential to that of `x^2 / 2`.
    fn slopes(&self) -> Gradients {
        let (_, grads) = gradients(|tape| {
            let x = tape.variable(&tensor![[0.5], [-1.0], [2.0]]);
            let y = self.output.forward(self.hidden.forward(x).tanh());
            (grad(y.sum(), &[x])[0] - x).square().mean()
        });
        grads
    }
}

/// Makes a step, and returns the message if it is refused.
fn step(net: &mut Potential, recipe: &str) -> Result<(), String> {
    let (mut optimizer, grads) = (Optimizer::from_toml(recipe).unwrap(), net.slopes());
    catch_unwind(AssertUnwindSafe(|| optimizer.step(net, &grads)))
        .map_err(|panic| panic.downcast_ref::<String>().unwrap().clone())
}

#[test]
fn the_last_bias_is_named_and_each_documented_way_out_works() {
    const SGD: &str = "kind = 'sgd'\nlr = 0.1";
    let mut net = Potential::new();
    assert_eq!(net.slopes().missing(&net), ["output.bias"]);
    let message = step(&mut net, SGD).unwrap_err();
    assert!(
        message.contains(
            "no gradient arrived at output.bias, on which the loss does not depend; leave out or \
             freeze what is not trained, or say unused_parameters = \"skip\""
        ),
        "{message}"
    );
    let (bias, weight) = (net.output.bias.clone().unwrap(), net.output.weight.value().clone());
    step(&mut net, &format!("{SGD}\nunused_parameters = 'skip'")).unwrap();
    assert_eq!(net.output.bias.as_ref().unwrap().value(), bias.value());
    assert_ne!(net.output.weight.value(), &weight);
    net.output.bias.as_mut().unwrap().set_frozen(true);
    step(&mut net, SGD).unwrap();
    step(
        &mut net,
        &format!("[optimizer]\n{SGD}\n[[optimizer.groups]]\nparams = 'output.bias'\nfrozen = true"),
    )
    .unwrap();
    net.output = net.output.without_bias();
    step(&mut net, SGD).unwrap();
}
