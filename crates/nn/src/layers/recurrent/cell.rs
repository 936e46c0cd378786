//! The cells: what happens at one position of a sequence.

use std::fmt::Debug;

use wengert_core::{Float, MovementOps, UnaryOps, Var};

/// One step of a recurrent layer. The state is `N` variables `[batch, hidden_size]`; the first is also
/// the output.
///
/// A type that implements the trait makes a layer, [`Recurrent<Cell, N>`](crate::Recurrent):
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::{Float, UnaryOps, Var};
/// use wengert_nn::{Recurrent, RecurrentCell, check_shapes};
///
/// /// `h' = sin(x + h)`
/// #[derive(Clone, Copy, Debug, Default)]
/// struct SineCell;
///
/// impl RecurrentCell<1> for SineCell {
///     const NAME: &'static str = "Sine";
///     const GATES: usize = 1;
///     fn step<'t, F: Float>(&self, x: Var<'t, F>, h: Var<'t, F>, _: [Var<'t, F>; 1]) -> [Var<'t, F>; 1] {
///         [(x + h).sin()]
///     }
/// }
///
/// let layer = Recurrent::<SineCell, 1>::new(3, 4, &mut ChaCha8Rng::seed_from_u64(0));
/// assert_eq!(check_shapes(&layer, [2, 5, 3]), Ok([2, 5, 4].into()));
/// ```
pub trait RecurrentCell<const N: usize>: Copy + Debug + Default + Send + Sync + 'static {
    /// The name of the layer, for summaries and messages.
    const NAME: &'static str;
    /// The number of gates. The products with the weights have `GATES * hidden_size` columns, gate by gate.
    const GATES: usize;

    /// Records the state after a step.
    ///
    /// `x` is `W_ih x_t + b_ih` and `h` is `W_hh h_(t-1) + b_hh`, both `[batch, GATES * hidden_size]`;
    /// `state` is the state before the step.
    #[track_caller]
    fn step<'t, F: Float>(
        &self,
        x: Var<'t, F>,
        h: Var<'t, F>,
        state: [Var<'t, F>; N],
    ) -> [Var<'t, F>; N];
}

/// The cell of an [`Rnn`](crate::Rnn): `h' = tanh(x + h)`, or `relu` in place of `tanh`.
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

/// The cell of an [`Lstm`](crate::Lstm), with gates `i`, `f`, `g`, `o` of `x + h`:
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

/// The cell of a [`Gru`](crate::Gru), with gates `r`, `z`, `n` of `x` and of `h`:
/// `r = sigmoid(x_r + h_r)`, `z = sigmoid(x_z + h_z)`, `n = tanh(x_n + r h_n)` and
/// `h' = (1 - z) n + z h`. The reset gate is applied after the product with the weight, as in
/// cuDNN.
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

/// Splits a product into its gates.
#[track_caller]
fn gates<'t, F: Float, const G: usize>(x: Var<'t, F>) -> [Var<'t, F>; G] {
    let hidden_size = x.shape()[1] / G;
    let mut gates = [x; G];
    for (i, gate) in gates.iter_mut().enumerate() {
        *gate = x.narrow(1, i * hidden_size, hidden_size);
    }
    gates
}
