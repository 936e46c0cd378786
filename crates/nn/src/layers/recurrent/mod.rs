//! Recurrent layers: one loop over the positions of a sequence, and a cell that defines a step.

mod cell;
mod lengths;
mod weights;

use std::marker::PhantomData;

use rand::Rng;
use wengert_core::{
    BinaryOps, Float, Indices, Leaf, LeafMut, MovementOps, Operand, Params, Path, Shape, Tensor,
    Var,
};

pub use cell::{GruCell, LstmCell, RecurrentCell, RnnCell};
pub use lengths::WithLengths;
use weights::Weights;

use super::{mismatch, refuse};
use crate::{Dropout, Module, validate};

/// A stack of recurrent layers, written as [`Rnn`], [`Lstm`] or [`Gru`].
///
/// * Input `[batch, time, input_size]`, output `[batch, time, hidden_size]`, or
///   `[batch, time, 2 * hidden_size]` if bidirectional. This is PyTorch's `batch_first=True`.
/// * State: `N` tensors `[num_layers * directions, batch, hidden_size]`, in order of layers. In each layer the
///   forward direction comes first, then the reverse one.
/// * Parameters of layer 0: `weight_ih_l0` `[gates * hidden_size, input_size]`, `weight_hh_l0`
///   `[gates * hidden_size, hidden_size]`, `bias_ih_l0` and `bias_hh_l0` `[gates * hidden_size]`.
///   Its reverse direction has `weight_ih_l0_reverse` and so on. All start uniform within
///   `1 / sqrt(hidden_size)`.
///
/// [`Module::forward`] starts from a state of zeros. [`Recurrent::forward_from`] starts from any other, and also
/// returns the last state. [`Recurrent::with_lengths`] is for sequences of several lengths in one batch.
#[derive(Clone, Debug)]
pub struct Recurrent<C, const N: usize, F: Float = f32> {
    cell: C,
    input_size: usize,
    hidden_size: usize,
    /// The parameters of each layer and direction.
    weights: Vec<Weights<F>>,
    bidirectional: bool,
    dropout: Dropout,
}

/// An Elman network, `h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)`; see [`Recurrent`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html>, Elman 1990.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_nn::{Rnn, check_shapes};
///
/// let rnn = Rnn::<f32>::builder(3, 4).relu().build(&mut ChaCha8Rng::seed_from_u64(0));
/// assert_eq!(check_shapes(&rnn, [2, 5, 3]), Ok([2, 5, 4].into()));
/// ```
pub type Rnn<F = f32> = Recurrent<RnnCell, 1, F>;

/// Long short-term memory, a recurrent layer with the state `[h, c]`; see [`Recurrent`].
///
/// With `z = W_ih x_t + b_ih + W_hh h_(t-1) + b_hh` split into the gates `i`, `f`, `g`, `o`, a step is
/// `c_t = sigmoid(f) c_(t-1) + sigmoid(i) tanh(g)` and `h_t = sigmoid(o) tanh(c_t)`.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html>, Hochreiter and Schmidhuber 1997.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::{MovementOps, Tape, Tensor, evaluate};
/// use wengert_nn::{Lstm, Module};
///
/// let lstm = Lstm::<f32>::new(3, 4, &mut ChaCha8Rng::seed_from_u64(0));
/// let x = Tensor::ones([2, 5, 3]);
/// let whole = evaluate(|tape| lstm.forward(tape.constant(&x)));
/// assert_eq!(whole.shape(), [2, 5, 4].into());
///
/// // One position at a time, with the state carried over.
/// let mut state = lstm.zero_state(2);
/// for t in 0..5 {
///     let tape = Tape::evaluating();
///     let [h, c] = &state;
///     let (_, next) = lstm.forward_from(tape.constant(&x).narrow(1, t, 1), [h, c]);
///     state = next.map(|state| state.value());
/// }
/// assert_eq!(state[0].as_slice()[..4], whole.as_slice()[16..20]);
/// ```
pub type Lstm<F = f32> = Recurrent<LstmCell, 2, F>;

/// A gated recurrent unit, a recurrent layer with the state `[h]`; see [`Recurrent`].
///
/// With `x = W_ih x_t + b_ih` and `h = W_hh h_(t-1) + b_hh` split into the gates `r`, `z`, `n`, a step is
/// `r = sigmoid(x_r + h_r)`, `z = sigmoid(x_z + h_z)`, `n = tanh(x_n + r h_n)` and
/// `h_t = (1 - z) n + z h_(t-1)`.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html>, Cho et al. 2014,
/// <https://arxiv.org/abs/1406.1078>.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_nn::{Gru, check_shapes};
///
/// let rng = &mut ChaCha8Rng::seed_from_u64(0);
/// let gru = Gru::<f32>::builder(3, 4).num_layers(2).bidirectional().build(rng);
/// assert_eq!(check_shapes(&gru, [2, 5, 3]), Ok([2, 5, 8].into()));
/// ```
pub type Gru<F = f32> = Recurrent<GruCell, 1, F>;

/// Settings of a recurrent layer, from [`Recurrent::builder`].
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_nn::{Lstm, check_shapes};
///
/// let rng = &mut ChaCha8Rng::seed_from_u64(0);
/// let lstm = Lstm::<f32>::builder(3, 4).num_layers(2).bidirectional().dropout(0.1).build(rng);
/// assert_eq!(check_shapes(&lstm, [2, 5, 3]), Ok([2, 5, 8].into()));
/// ```
#[derive(Clone, Debug)]
pub struct RecurrentBuilder<C, const N: usize, F: Float = f32> {
    cell: C,
    input_size: usize,
    hidden_size: usize,
    num_layers: usize,
    bidirectional: bool,
    bias: bool,
    dropout: f64,
    precision: PhantomData<F>,
}

impl<C: RecurrentCell<N>, const N: usize, F: Float> RecurrentBuilder<C, N, F> {
    /// Sets the number of layers; each reads the outputs of the one before. Default: 1.
    pub fn num_layers(self, num_layers: usize) -> Self {
        Self { num_layers, ..self }
    }

    /// Adds to each layer a second direction, from the last position to the first, with its own weights.
    /// The outputs are joined along the width, forward first.
    pub fn bidirectional(self) -> Self {
        Self { bidirectional: true, ..self }
    }

    /// Removes the biases: PyTorch's `bias=False`.
    pub fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    /// Sets the probability of dropout of the outputs of all layers but the last. Default: 0.
    ///
    /// # Panics
    /// If `p` is outside `0..=1`.
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        Self { dropout: validate::fraction(&format!("{}: dropout", C::NAME), p), ..self }
    }

    /// Returns the layer, drawn from `rng`.
    ///
    /// # Panics
    /// If `num_layers` is 0.
    #[track_caller]
    pub fn build(self, rng: &mut impl Rng) -> Recurrent<C, N, F> {
        let Self {
            cell, input_size, hidden_size, num_layers, bidirectional, bias, dropout, ..
        } = self;
        assert!(num_layers > 0, "{}: num_layers must be 1 or above, not 0", C::NAME);
        let mut weights = Vec::new();
        for layer in 0..num_layers {
            let input_size = match (layer, bidirectional) {
                (0, _) => input_size,
                (_, false) => hidden_size,
                (_, true) => 2 * hidden_size,
            };
            for reverse in [false, true] {
                if bidirectional || !reverse {
                    let extents = [C::GATES * hidden_size, input_size, hidden_size];
                    weights.push(Weights::new(layer, reverse, extents, bias, rng));
                }
            }
        }
        let dropout = Dropout::new(dropout);
        Recurrent { cell, input_size, hidden_size, weights, bidirectional, dropout }
    }
}

impl<F: Float> RecurrentBuilder<RnnCell, 1, F> {
    /// Uses `relu` in place of `tanh`: PyTorch's `nonlinearity='relu'`.
    pub fn relu(self) -> Self {
        Self { cell: RnnCell { relu: true }, ..self }
    }
}

impl<C: RecurrentCell<N>, const N: usize, F: Float> Recurrent<C, N, F> {
    /// Returns one layer in one direction, with biases, drawn from `rng`.
    pub fn new(input_size: usize, hidden_size: usize, rng: &mut impl Rng) -> Self {
        Self::builder(input_size, hidden_size).build(rng)
    }

    /// Returns settings, to choose the number of layers, directions, biases and dropout.
    pub fn builder(input_size: usize, hidden_size: usize) -> RecurrentBuilder<C, N, F> {
        RecurrentBuilder {
            cell: C::default(),
            input_size,
            hidden_size,
            num_layers: 1,
            bidirectional: false,
            bias: true,
            dropout: 0.0,
            precision: PhantomData,
        }
    }

    /// Returns a state of zeros, from which [`Module::forward`] starts.
    pub fn zero_state(&self, batch: usize) -> [Tensor<F>; N] {
        std::array::from_fn(|_| Tensor::zeros(self.state_shape(batch)))
    }

    fn state_shape(&self, batch: usize) -> Shape {
        [self.weights.len(), batch, self.hidden_size].into()
    }

    /// Records the outputs and the state after the last position, starting from `state`.
    ///
    /// The parts of the state are tensors, or variables through which derivatives flow. The last state of an encoder
    /// or of the previous sequence is an example.
    ///
    /// # Panics
    /// If `x` is not `[batch, time, input_size]` with at least one position, or a part of the state not
    /// `[num_layers * directions, batch, hidden_size]`.
    #[track_caller]
    pub fn forward_from<'t>(
        &self,
        x: Var<'t, F>,
        state: [impl Operand<Var<'t, F>>; N],
    ) -> (Var<'t, F>, [Var<'t, F>; N]) {
        self.run(x, state, None)
    }

    /// Records [`forward_from`](Self::forward_from), with the lengths of the sequences if they have padding.
    #[track_caller]
    fn run<'t>(
        &self,
        x: Var<'t, F>,
        state: [impl Operand<Var<'t, F>>; N],
        lengths: Option<&Indices>,
    ) -> (Var<'t, F>, [Var<'t, F>; N]) {
        let tape = x.tape();
        let mark = tape.layer(C::NAME);
        let shape = x.shape();
        if shape.rank() != 3 || shape[2] != self.input_size || shape[1] == 0 {
            let input_size = self.input_size;
            mismatch(C::NAME, x, format_args!("[batch, time >= 1, {input_size}]"));
        }
        let (batch, hidden_size) = (shape[0], self.hidden_size);
        let expected = self.state_shape(batch);
        let mut before = [x; N];
        for (before, given) in before.iter_mut().zip(state) {
            *before = given.beside(&x);
            let given = before.shape();
            if given != expected {
                let message = format!("expected state {expected:?}, found {given:?}");
                refuse(C::NAME, x, message);
            }
        }

        let (mut y, mut mask) = (x, None);
        if let Some(lengths) = lengths {
            let inside = lengths::mask(C::NAME, x, lengths);
            // Whatever stands in the padding, even NaN, must not reach the gradients of the weights.
            y = inside.unsqueeze(2).where_cond(x, 0.0);
            mask = Some(inside);
        }
        let directions = if self.bidirectional { 2 } else { 1 };
        let mut after = [(); N].map(|()| Vec::new());
        for (i, layer) in self.weights.chunks(directions).enumerate() {
            if i > 0 {
                y = self.dropout.forward(y);
            }
            let mut outputs = Vec::with_capacity(directions);
            for weights in layer {
                let mut own = before;
                for part in &mut own {
                    *part = part.narrow(0, after[0].len(), 1).reshape([batch, hidden_size]);
                }
                let (output, last) = weights.run(&self.cell, y, own, mask);
                outputs.push(output);
                for (after, last) in after.iter_mut().zip(last) {
                    after.push(last);
                }
            }
            y = if directions == 1 { outputs[0] } else { Var::concat(&outputs, 2) };
        }
        let mut last = before;
        for (last, parts) in last.iter_mut().zip(&after) {
            *last = Var::concat(parts, 0).reshape(expected);
        }
        mark.output(y);
        (y, last)
    }
}

impl<C: RecurrentCell<N>, const N: usize, F: Float> Params<F> for Recurrent<C, N, F> {
    fn visit<'a>(&'a self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, Leaf<'a, F>)) {
        self.weights.iter().for_each(|weights| weights.visit(path, visit));
    }
    fn visit_mut<'a>(
        &'a mut self,
        path: Path<'_>,
        visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, F>),
    ) {
        self.weights.iter_mut().for_each(|weights| weights.visit_mut(path, visit));
    }
}

impl<C: RecurrentCell<N>, const N: usize, F: Float> Module<F> for Recurrent<C, N, F> {
    /// Records the outputs, starting from a state of zeros.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let batch = x.shape().first().copied().unwrap_or(0);
        let zeros = self.zero_state(batch);
        self.forward_from(x, zeros.each_ref()).0
    }
    fn name(&self) -> &'static str {
        C::NAME
    }
}
