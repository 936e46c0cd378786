//! Recurrent layers: one loop over the positions of a sequence, and a cell that says what a step is.

mod cell;
mod weights;

use std::marker::PhantomData;

use rand::Rng;
use wengert_core::{
    Float, Leaf, LeafMut, MovementOps, Operand, Params, Path, Shape, ShapeError, Tensor, Var,
};

pub use cell::{GruCell, LstmCell, RecurrentCell, RnnCell};
use weights::Weights;

use crate::{Dropout, Module};

/// A stack of recurrent layers, from `[batch, time, inputs]` to `[batch, time, hidden]`, or to
/// `[batch, time, 2 * hidden]` if it runs in both directions. This is PyTorch with `batch_first=True`;
/// parameters are named as there: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`, `bias_hh_l0`,
/// `weight_ih_l0_reverse`, ..
///
/// A state is `N` tensors `[layers * directions, batch, hidden]`, in the order layer by layer, in each
/// forward and then reverse. [`Module::forward`] starts from zeros; to start elsewhere, or to go on one
/// position at a time, there is [`Recurrent::forward_from`].
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{Lstm, Module};
///
/// let lstm = Lstm::<f32>::new(3, 4, &mut ChaCha8Rng::seed_from_u64(0));
/// let x = Tensor::ones([2, 5, 3]);
/// let whole = evaluate(|tape| lstm.forward(tape.constant(&x)));
/// assert_eq!(whole.shape(), [2, 5, 4].into());
///
/// // The same one position at a time, with the state carried over.
/// let mut state = lstm.zeros(2);
/// for t in 0..5 {
///     let tape = wengert_core::Tape::evaluating();
///     let [h, c] = &state;
///     let (_, next) = lstm.forward_from(tape.constant(&x).narrow(1, t, 1), [h, c]);
///     state = next.map(|state| state.value());
/// }
/// # use wengert_core::MovementOps;
/// assert_eq!(state[0].as_slice()[..4], whole.as_slice()[16..20]);
/// ```
#[derive(Clone, Debug)]
pub struct Recurrent<C, const N: usize, F: Float = f32> {
    cell: C,
    inputs: usize,
    hidden: usize,
    /// One for each layer and direction.
    weights: Vec<Weights<F>>,
    bidirectional: bool,
    dropout: Dropout,
}

/// `h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)`; Elman 1990.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.RNN.html>
pub type Rnn<F = f32> = Recurrent<RnnCell, 1, F>;

/// Long short-term memory, whose state is `[h, c]`; Hochreiter and Schmidhuber 1997. The gates are
/// stacked in the order input, forget, cell, output.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html>
pub type Lstm<F = f32> = Recurrent<LstmCell, 2, F>;

/// The gated recurrent unit; Cho et al. 2014. The gates are stacked in the order reset, update, new.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html>
pub type Gru<F = f32> = Recurrent<GruCell, 1, F>;

/// What a recurrent layer is made with: `Lstm::builder(3, 4).layers(2).bidirectional().build(rng)`.
#[derive(Clone, Debug)]
pub struct RecurrentBuilder<C, const N: usize, F: Float = f32> {
    cell: C,
    inputs: usize,
    hidden: usize,
    layers: usize,
    bidirectional: bool,
    bias: bool,
    dropout: f64,
    precision: PhantomData<F>,
}

impl<C: RecurrentCell<N>, const N: usize, F: Float> RecurrentBuilder<C, N, F> {
    /// So many layers, each of which reads the outputs of the one before; 1 unless told otherwise.
    pub fn layers(self, layers: usize) -> Self {
        Self { layers, ..self }
    }

    /// Each layer reads the sequence from both ends, with weights of their own; the outputs lie side by
    /// side, forward first.
    pub fn bidirectional(self) -> Self {
        Self { bidirectional: true, ..self }
    }

    /// Without biases.
    pub fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }

    /// In training each layer but the last drops this share of its outputs.
    pub fn dropout(self, p: f64) -> Self {
        Self { dropout: p, ..self }
    }

    /// The layer, its parameters uniform within `1 / sqrt(hidden)`.
    ///
    /// # Panics
    /// If there are no layers, or the dropout is not from 0 to 1.
    #[track_caller]
    pub fn build(self, rng: &mut impl Rng) -> Recurrent<C, N, F> {
        let Self { cell, inputs, hidden, layers, bidirectional, bias, dropout, .. } = self;
        assert!(layers > 0, "{}: there are no layers", C::NAME);
        let mut weights = Vec::new();
        for layer in 0..layers {
            let inputs = match (layer, bidirectional) {
                (0, _) => inputs,
                (_, false) => hidden,
                (_, true) => 2 * hidden,
            };
            for reverse in [false, true] {
                if bidirectional || !reverse {
                    let extents = [C::GATES * hidden, inputs, hidden];
                    weights.push(Weights::new(layer, reverse, extents, bias, rng));
                }
            }
        }
        let dropout = Dropout::new(dropout);
        Recurrent { cell, inputs, hidden, weights, bidirectional, dropout }
    }
}

impl<F: Float> RecurrentBuilder<RnnCell, 1, F> {
    /// With `relu` in the place of `tanh`.
    pub fn relu(self) -> Self {
        Self { cell: RnnCell { relu: true }, ..self }
    }
}

impl<C: RecurrentCell<N>, const N: usize, F: Float> Recurrent<C, N, F> {
    /// One layer with biases, in one direction.
    pub fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        Self::builder(inputs, hidden).build(rng)
    }

    /// More than one layer, both directions, no biases, dropout.
    pub fn builder(inputs: usize, hidden: usize) -> RecurrentBuilder<C, N, F> {
        RecurrentBuilder {
            cell: C::default(),
            inputs,
            hidden,
            layers: 1,
            bidirectional: false,
            bias: true,
            dropout: 0.0,
            precision: PhantomData,
        }
    }

    /// The state that [`Module::forward`] starts from.
    pub fn zeros(&self, batch: usize) -> [Tensor<F>; N] {
        std::array::from_fn(|_| Tensor::zeros(self.state_shape(batch)))
    }

    fn state_shape(&self, batch: usize) -> Shape {
        [self.weights.len(), batch, self.hidden].into()
    }

    /// The outputs, and the state after the last position, from a state of one's own: zeros, what an
    /// encoder left, or the state after the sequence before, as variables (derivatives flow through) or
    /// as tensors.
    ///
    /// # Panics
    /// If `x` is not `[batch, time, inputs]` with at least one position, or a part of the state not
    /// `[layers * directions, batch, hidden]`.
    #[track_caller]
    pub fn forward_from<'t>(
        &self,
        x: Var<'t, F>,
        state: [impl Operand<Var<'t, F>>; N],
    ) -> (Var<'t, F>, [Var<'t, F>; N]) {
        let tape = x.tape();
        let mark = tape.layer(C::NAME);
        let shape = x.shape();
        if shape.rank() != 3 || shape[2] != self.inputs || shape[1] == 0 {
            let inputs = self.inputs;
            let message = format!("input {shape:?} is not [batch, time >= 1, {inputs}]");
            ShapeError::new(message).in_operation(C::NAME).raise();
        }
        let (batch, hidden) = (shape[0], self.hidden);
        let expected = self.state_shape(batch);
        let mut before = [x; N];
        for (before, given) in before.iter_mut().zip(state) {
            *before = given.beside(&x);
            let given = before.shape();
            if given != expected {
                let message = format!("state {given:?} for input {shape:?} is not {expected:?}");
                ShapeError::new(message).in_operation(C::NAME).raise();
            }
        }

        let directions = if self.bidirectional { 2 } else { 1 };
        let (mut y, mut after) = (x, [(); N].map(|()| Vec::new()));
        for (i, layer) in self.weights.chunks(directions).enumerate() {
            if i > 0 {
                y = self.dropout.forward(y);
            }
            let mut outputs = Vec::with_capacity(directions);
            for weights in layer {
                let mut own = before;
                for part in &mut own {
                    *part = part.narrow(0, after[0].len(), 1).reshape([batch, hidden]);
                }
                let (output, last) = weights.run(&self.cell, y, own);
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
    /// The outputs from a state of zeros.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let batch = x.shape().first().copied().unwrap_or(0);
        let zeros = self.zeros(batch);
        self.forward_from(x, zeros.each_ref()).0
    }
    fn name(&self) -> &'static str {
        C::NAME
    }
}
