//! A layer of a user's crate.

use wengert::Value;
use wengert::prelude::*;

use crate::op::SquaredDistance;

/// Radial layer: `exp(-|x - c|^2)` for each center `c`, from `[n, inputs]` to `[n, centers]`.
#[derive(Clone)]
pub struct Radial {
    /// Shape `[centers, inputs]`.
    pub centers: Param,
}

params! { Radial { centers } }

impl Module for Radial {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let _layer = x.tape().layer("Radial");
        let centers = x.tape().param(&self.centers);
        (-Value::apply(SquaredDistance, [&x, &centers])).exp()
    }
}
