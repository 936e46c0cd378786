//! `Module` under the prelude of double precision, where it has to be `Module<f64>`.

use wengert::f64::prelude::*;

struct Net {
    layer: Linear,
}
params! { Net { layer } }

impl Module for Net {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        self.layer.forward(x)
    }
}

fn main() {}
