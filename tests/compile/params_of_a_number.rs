//! A field without parameters before the semicolon of `params!`.

use wengert::prelude::*;

struct Net {
    weight: Param,
    rate: f64,
}
params! { Net { weight, rate } }

fn main() {}
