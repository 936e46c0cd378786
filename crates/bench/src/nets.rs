//! The models of the larger workloads: a convolutional net, a transformer and a recurrent net.

use wengert::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

use crate::{bounded, uniform};

/// LeNet-5 with rectifiers, for images `[n, 1, 28, 28]`.
pub(crate) struct LeNet {
    convolutions: [Conv2d; 2],
    layers: [Linear; 3],
}
params! { LeNet { convolutions, layers } }

impl LeNet {
    pub(crate) fn new() -> Self {
        let convolution = |stream, [outputs, inputs]: [usize; 2], options| {
            let bound = 1.0 / ((25 * inputs) as f32).sqrt();
            let weight = uniform(stream, [outputs, inputs, 5, 5], -bound, bound);
            let bias = uniform(stream + 1, [outputs], -bound, bound);
            Conv2d::from_tensors(weight, Some(bias), options)
        };
        Self {
            convolutions: [
                convolution(100, [6, 1], ConvOptions::new().padding(2)),
                convolution(102, [16, 6], ConvOptions::new()),
            ],
            layers: [linear(104, 400, 120), linear(106, 120, 84), linear(108, 84, 10)],
        }
    }
}

impl Module for LeNet {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let planes = self.convolutions.iter().fold(x, |x, c| c.forward(x).relu().max_pool2d(2));
        let [first, second, last] = &self.layers;
        let x = first.forward(planes.flatten_axes(1, -1)).relu();
        last.forward(second.forward(x).relu())
    }
}

/// A transformer for sequences of 64 tokens out of 65.
pub(crate) struct Transformer {
    tokens: Embedding,
    positions: Param,
    blocks: Vec<TransformerBlock>,
    norm: LayerNorm,
    head: Linear,
}
params! { Transformer { tokens, positions, blocks, norm, head } }

impl Transformer {
    pub(crate) fn new() -> Self {
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        let blocks = [102, 110].map(|stream| {
            let mut block = TransformerBlock::new(64, 4, 256, rng)
                .causal()
                .norm_first()
                .activation(|x| x.gelu_tanh());
            block.self_attn.in_proj_weight = bounded(stream, [192, 64], 64).into();
            block.self_attn.in_proj_bias = Some(bounded(stream + 1, [192], 64).into());
            block.self_attn.out_proj = linear(stream + 2, 64, 64);
            block.linear1 = linear(stream + 4, 64, 256);
            block.linear2 = linear(stream + 6, 256, 64);
            block
        });
        Self {
            tokens: Embedding::from_tensor(uniform(100, [65, 64], -0.1, 0.1)),
            positions: uniform(101, [64, 64], -0.1, 0.1).into(),
            blocks: blocks.into(),
            norm: LayerNorm::new([64]),
            head: linear(118, 64, 65).without_bias(),
        }
    }

    /// Logits `[n, 64, 65]` of the tokens `[n, 64]`.
    pub(crate) fn logits<'t>(&self, tape: &'t Tape, tokens: &Indices) -> Var<'t> {
        let x = self.tokens.forward(tape, tokens) + &self.positions;
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        self.head.forward(self.norm.forward(x))
    }
}

/// A gated recurrent net whose last state is classified.
pub(crate) struct Recurrent {
    gru: Gru,
    head: Linear,
}
params! { Recurrent { gru, head } }

impl Recurrent {
    pub(crate) fn new() -> Self {
        let mut gru = Gru::new(32, 64, &mut ChaCha8Rng::seed_from_u64(0));
        let mut stream = 100;
        gru.for_each_param_mut(&mut |_, param| {
            let draws = bounded(stream, [param.value().numel()], 64);
            param.set(draws.reshape(param.value().shape()));
            stream += 1;
        });
        Self { gru, head: linear(104, 64, 10) }
    }
}

impl Module for Recurrent {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let outputs = self.gru.forward(x);
        let [batch, time, width] = *outputs.shape() else { unreachable!("three axes") };
        self.head.forward(outputs.narrow(1, time - 1, 1).reshape([batch, width]))
    }
}

/// A layer whose weight and bias are drawn from `stream` and the next.
pub(crate) fn linear(stream: u64, inputs: usize, outputs: usize) -> Linear {
    let weight = bounded(stream, [outputs, inputs], inputs);
    Linear::from_tensors(weight, Some(bounded(stream + 1, [outputs], inputs)))
}
