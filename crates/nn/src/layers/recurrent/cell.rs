//! The cells: what happens at one position of a sequence.

use std::fmt::Debug;

use wengert_core::{Float, MovementOps, UnaryOps, Var};

/// One step of a recurrent layer whose state is `N` variables `[batch, hidden]`, the first of which is
/// also its output. A cell of one's own makes a [`Recurrent`](crate::Recurrent) of one's own.
pub trait RecurrentCell<const N: usize>: Copy + Debug + Default + Send + Sync + 'static {
    /// PyTorch's name of the layer.
    const NAME: &'static str;
    /// How many times `hidden` the products have; the gates lie side by side in them.
    const GATES: usize;

    /// The state after a step: from `x`, which is `W_ih x_t + b_ih`, from `h`, which is
    /// `W_hh h_(t-1) + b_hh`, both `[batch, GATES * hidden]`, and from the state before.
    #[track_caller]
    fn step<'t, F: Float>(
        &self,
        x: Var<'t, F>,
        h: Var<'t, F>,
        state: [Var<'t, F>; N],
    ) -> [Var<'t, F>; N];
}

/// `h' = tanh(x + h)`, or `relu` in place of `tanh`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RnnCell {
    pub(super) relu: bool,
}

impl RecurrentCell<1> for RnnCell {
    const NAME: &'static str = "RNN";
    const GATES: usize = 1;

    #[track_caller]
    fn step<'t, F: Float>(
        &self,
        x: Var<'t, F>,
        h: Var<'t, F>,
        _: [Var<'t, F>; 1],
    ) -> [Var<'t, F>; 1] {
        let y = x + h;
        [if self.relu { y.relu() } else { y.tanh() }]
    }
}

/// Gates `i`, `f`, `g`, `o` of `x + h`:
/// `c' = sigmoid(f) c + sigmoid(i) tanh(g)` and `h' = sigmoid(o) tanh(c')`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LstmCell;

impl RecurrentCell<2> for LstmCell {
    const NAME: &'static str = "LSTM";
    const GATES: usize = 4;

    #[track_caller]
    fn step<'t, F: Float>(
        &self,
        x: Var<'t, F>,
        h: Var<'t, F>,
        [_, c]: [Var<'t, F>; 2],
    ) -> [Var<'t, F>; 2] {
        let [i, f, g, o] = gates(x + h);
        let c = f.sigmoid() * c + i.sigmoid() * g.tanh();
        [o.sigmoid() * c.tanh(), c]
    }
}

/// Gates `r`, `z`, `n`, of `x` and of `h`:
/// `r = sigmoid(x_r + h_r)`, `z = sigmoid(x_z + h_z)`, `n = tanh(x_n + r h_n)` and `h' = (1 - z) n + z h`.
/// The reset gate is applied after the product with the weight, as in cuDNN.
#[derive(Clone, Copy, Debug, Default)]
pub struct GruCell;

impl RecurrentCell<1> for GruCell {
    const NAME: &'static str = "GRU";
    const GATES: usize = 3;

    #[track_caller]
    fn step<'t, F: Float>(
        &self,
        x: Var<'t, F>,
        h: Var<'t, F>,
        [before]: [Var<'t, F>; 1],
    ) -> [Var<'t, F>; 1] {
        let ([x_r, x_z, x_n], [h_r, h_z, h_n]) = (gates(x), gates(h));
        let (r, z) = ((x_r + h_r).sigmoid(), (x_z + h_z).sigmoid());
        let n = (x_n + r * h_n).tanh();
        [n + z * (before - n)]
    }
}

/// The gates that lie side by side in a product.
#[track_caller]
fn gates<'t, F: Float, const G: usize>(x: Var<'t, F>) -> [Var<'t, F>; G] {
    let hidden = x.shape()[1] / G;
    let mut gates = [x; G];
    for (i, gate) in gates.iter_mut().enumerate() {
        *gate = x.narrow(1, i * hidden, hidden);
    }
    gates
}
