//! A model without `params!`.

use wengert::prelude::*;

struct Net {
    layer: Linear,
}

impl Module for Net {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        self.layer.forward(x)
    }
}

fn train(net: &mut Net, optimizer: &mut Optimizer, gradients: &Gradients) {
    optimizer.step(net, gradients);
}

fn main() {}
