//! A layer in a sequence that cannot be cloned.

use wengert::prelude::*;

struct Scale {
    weight: Param,
}
params! { Scale { weight } }

impl Module for Scale {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        x * &self.weight
    }
}

fn main() {
    let weight = Param::new(tensor![2.0]);
    let net = Sequential::new().then(Scale { weight });
}
