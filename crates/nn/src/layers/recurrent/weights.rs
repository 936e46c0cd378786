//! The weights of one layer in one direction, under PyTorch's names.

use rand::Rng;
use wengert_core::{
    BinaryOps, Float, Leaf, LeafMut, MatmulOps, MovementOps, Param, Params, Path, Var,
};

use super::RecurrentCell;
use crate::init;

/// The parameters of one layer in one direction.
#[derive(Clone, Debug)]
pub(super) struct Weights<F: Float> {
    /// Shape `[GATES * hidden_size, input_size]`.
    weight_ih: Param<F>,
    /// Shape `[GATES * hidden_size, hidden_size]`.
    weight_hh: Param<F>,
    /// Shape `[GATES * hidden_size]`.
    bias_ih: Option<Param<F>>,
    /// Shape `[GATES * hidden_size]`.
    bias_hh: Option<Param<F>>,
    /// The parameters' names. An optimizer visits the model at each step, so they are made once.
    names: [String; 4],
    /// Whether the layer runs from the last position to the first.
    reverse: bool,
}

impl<F: Float> Weights<F> {
    /// Returns weights uniform within `1 / sqrt(hidden_size)`, drawn in the order of declaration.
    pub(super) fn new(
        layer: usize,
        reverse: bool,
        [outputs, input_size, hidden_size]: [usize; 3],
        bias: bool,
        rng: &mut impl Rng,
    ) -> Self {
        let bound = (hidden_size.max(1) as f64).sqrt().recip();
        let direction = if reverse { "_reverse" } else { "" };
        Self {
            weight_ih: init::uniform([outputs, input_size], bound, rng).into(),
            weight_hh: init::uniform([outputs, hidden_size], bound, rng).into(),
            bias_ih: bias.then(|| init::uniform([outputs], bound, rng).into()),
            bias_hh: bias.then(|| init::uniform([outputs], bound, rng).into()),
            names: ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
                .map(|name| format!("{name}_l{layer}{direction}")),
            reverse,
        }
    }

    /// Records the outputs `[batch, time, hidden_size]` for `[batch, time, input_size]`, and the state
    /// after the last step. The inputs of all positions are multiplied at once; the loop has only the
    /// steps that depend on the state. Where `mask` `[batch, time]` is 0, the state stays and the output is 0; so the
    /// reverse direction begins at the last position of each sequence.
    #[track_caller]
    pub(super) fn run<'t, C: RecurrentCell<N>, const N: usize>(
        &self,
        cell: &C,
        x: Var<'t, F>,
        mut state: [Var<'t, F>; N],
        mask: Option<Var<'t, F>>,
    ) -> (Var<'t, F>, [Var<'t, F>; N]) {
        let tape = x.tape();
        let (batch, time) = (x.shape()[0], x.shape()[1]);
        let [width, hidden_size] = [0, 1].map(|axis| self.weight_hh.value().shape()[axis]);
        let (w_ih, w_hh) = (tape.param(&self.weight_ih), tape.param(&self.weight_hh));
        let (b_ih, b_hh) = (
            self.bias_ih.as_ref().map(|bias| tape.param(bias)),
            self.bias_hh.as_ref().map(|bias| tape.param(bias)),
        );
        let x = product(x, w_ih, b_ih).reshape([batch, time * width]);
        let mut outputs = vec![state[0]; time];
        for step in 0..time {
            let t = if self.reverse { time - 1 - step } else { step };
            let h = product(state[0], w_hh, b_hh);
            let before = state;
            state = cell.step(x.narrow(1, t * width, width), h, state);
            if let Some(mask) = mask {
                let inside = mask.narrow(1, t, 1);
                for (state, before) in state.iter_mut().zip(before) {
                    *state = inside.where_cond(*state, before);
                }
            }
            outputs[t] = state[0];
        }
        let y = Var::concat(&outputs, 1).reshape([batch, time, hidden_size]);
        match mask {
            Some(mask) => (mask.unsqueeze(2).where_cond(y, 0.0), state),
            None => (y, state),
        }
    }
}

/// Records `x weight^T + bias`.
#[track_caller]
fn product<'t, F: Float>(
    x: Var<'t, F>,
    weight: Var<'t, F>,
    bias: Option<Var<'t, F>>,
) -> Var<'t, F> {
    match bias {
        Some(bias) => x.linear(weight, bias),
        None => x.matmul_transposed(weight),
    }
}

impl<F: Float> Params<F> for Weights<F> {
    fn visit<'a>(&'a self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, Leaf<'a, F>)) {
        let [weight_ih, weight_hh, bias_ih, bias_hh] = &self.names;
        self.weight_ih.visit(path.field(weight_ih), visit);
        self.weight_hh.visit(path.field(weight_hh), visit);
        self.bias_ih.visit(path.field(bias_ih), visit);
        self.bias_hh.visit(path.field(bias_hh), visit);
    }
    fn visit_mut<'a>(
        &'a mut self,
        path: Path<'_>,
        visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, F>),
    ) {
        let [weight_ih, weight_hh, bias_ih, bias_hh] = &self.names;
        self.weight_ih.visit_mut(path.field(weight_ih), visit);
        self.weight_hh.visit_mut(path.field(weight_hh), visit);
        self.bias_ih.visit_mut(path.field(bias_ih), visit);
        self.bias_hh.visit_mut(path.field(bias_hh), visit);
    }
}
