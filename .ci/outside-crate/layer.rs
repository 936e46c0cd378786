//! A layer of one's own.

use wengert::Value;
use wengert::prelude::*;

use crate::op::SquaredDistance;

/// A radial layer: `exp(-|x - c|^2)` for each of its centres, from `[n, inputs]` to `[n, centres]`.
pub struct Radial {
    /// Shape `[centres, inputs]`.
    pub centers: Param,
}

params! { Radial { centers } }

impl Module for Radial {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let centers = x.tape().param(&self.centers);
        (-Value::apply(SquaredDistance, [&x, &centers])).exp()
    }
}
