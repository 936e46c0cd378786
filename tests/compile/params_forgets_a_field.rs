//! A field that `params!` does not name.

use wengert::prelude::*;

struct Net {
    weight: Param,
    bias: Param,
    rate: f64,
}
params! { Net { weight; rate } }

fn main() {}
