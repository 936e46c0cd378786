//! Layers. Their parameters are operands, in the order in which the layer names them.

use serde_json::{Value as Json, json};
use wengert::core::{Buffer, Var};
use wengert::nn::layers::{
    Attention, BatchNorm, Conv1d, Conv2d, ConvTranspose, Embedding, GroupNorm, Gru, LayerNorm,
    Lstm, MultiHeadAttention, PRelu, RmsNorm, Rnn, TransformerBlock,
};
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::{
    Float, Linear, Module, MovementOps, Params, Recurrent, RecurrentBuilder, RecurrentCell, Tensor,
    UnaryOps, masks,
};

use super::window;
use crate::random::draw::{Draw, Drawn};
use crate::random::program::{Array, Settings};

/// PyTorch's names.
pub(super) const NAMES: &[&str] = &[
    "Linear",
    "Conv1d",
    "Conv2d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "BatchNorm1d",
    "BatchNorm2d",
    "LayerNorm",
    "RMSNorm",
    "GroupNorm",
    "PReLU",
    "Embedding",
    "RNN",
    "LSTM",
    "GRU",
    "scaled_dot_product_attention",
    "MultiheadAttention",
    "TransformerEncoderLayer",
];

/// A layer by what its forward computation takes.
enum Layer<F: Float> {
    Module(Box<dyn Module<F>>),
    Embedding(Embedding<F>),
    Rnn(Rnn<F>),
    Lstm(Lstm<F>),
    Gru(Gru<F>),
    Heads(Box<MultiHeadAttention<F>>),
    Block(Box<TransformerBlock<F>>),
}

fn recurrent<C: RecurrentCell<N>, const N: usize, F: Float>(
    builder: RecurrentBuilder<C, N, F>,
    s: &Settings,
) -> Recurrent<C, N, F> {
    let builder = builder.num_layers(s.usize("num_layers"));
    let builder = if s.flag("bidirectional") { builder.bidirectional() } else { builder };
    let builder = if s.flag("bias") { builder } else { builder.without_bias() };
    builder.build(&mut ChaCha8Rng::seed_from_u64(0))
}

fn batch_norm<const AXES: usize, F: Float>(s: &Settings) -> BatchNorm<AXES, F> {
    let mut layer = BatchNorm::new(s.usize("num_features"));
    layer.running_mean = s.tensor("running_mean").map(Buffer::new);
    layer.running_var = s.tensor("running_var").map(Buffer::new);
    if s.flag("affine") { layer } else { layer.without_affine() }
}

/// A layer whose weight has the shape in the settings.
fn transposed<const AXES: usize, F: Float>(s: &Settings) -> ConvTranspose<AXES, F> {
    let outputs = s.shape()[1] * s.usize("groups");
    let bias = s.flag("bias").then(|| Tensor::zeros([outputs]));
    ConvTranspose::from_tensors(Tensor::zeros(s.shape()), bias, s.transposed_convolution())
}

impl<F: Float> Layer<F> {
    fn new(op: &str, s: &Settings) -> Option<Self> {
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        let sizes = || [s.usize("input_size"), s.usize("hidden_size")];
        let channels = || [s.usize("in_channels"), s.usize("out_channels")];
        let affine = s.flag("affine");
        Some(match op {
            "Linear" => {
                let layer = Linear::new(s.usize("in_features"), s.usize("out_features"), rng);
                Self::module(if s.flag("bias") { layer } else { layer.without_bias() })
            }
            "Conv1d" => {
                let ([inputs, outputs], [_, kernel]) = (channels(), s.pair("kernel"));
                Self::module(Conv1d::<F>::new(inputs, outputs, kernel, s.convolution(), rng))
            }
            "Conv2d" => {
                let [inputs, outputs] = channels();
                Self::module(Conv2d::<F>::new(
                    inputs,
                    outputs,
                    s.pair("kernel"),
                    s.convolution(),
                    rng,
                ))
            }
            "ConvTranspose1d" => Self::module(transposed::<1, F>(s)),
            "ConvTranspose2d" => Self::module(transposed::<2, F>(s)),
            "BatchNorm1d" => Self::module(batch_norm::<1, F>(s)),
            "BatchNorm2d" => Self::module(batch_norm::<2, F>(s)),
            "LayerNorm" => {
                let layer = LayerNorm::new(s.shape());
                Self::module(if affine { layer } else { layer.without_affine() })
            }
            "RMSNorm" => {
                let layer = RmsNorm::new(s.shape()).eps(1e-5);
                Self::module(if affine { layer } else { layer.without_affine() })
            }
            "GroupNorm" => {
                let layer = GroupNorm::new(s.usize("num_groups"), s.usize("num_channels"));
                Self::module(if affine { layer } else { layer.without_affine() })
            }
            "PReLU" => Self::module(PRelu::new(s.usize("num_parameters"))),
            "Embedding" => {
                let layer =
                    Embedding::new(s.usize("num_embeddings"), s.usize("embedding_dim"), rng);
                Self::Embedding(match s.maybe("padding_idx") {
                    Some(token) => layer.padding_idx(token),
                    None => layer,
                })
            }
            "RNN" => {
                let [input, hidden] = sizes();
                let builder = Rnn::builder(input, hidden);
                Self::Rnn(recurrent(if s.flag("relu") { builder.relu() } else { builder }, s))
            }
            "LSTM" => Self::Lstm(recurrent(Lstm::builder(sizes()[0], sizes()[1]), s)),
            "GRU" => Self::Gru(recurrent(Gru::builder(sizes()[0], sizes()[1]), s)),
            "MultiheadAttention" => {
                let layer =
                    MultiHeadAttention::new(s.usize("embed_dim"), s.usize("num_heads"), rng);
                let layer = if s.flag("bias") { layer } else { layer.without_bias() };
                Self::Heads(Box::new(layer))
            }
            "TransformerEncoderLayer" => {
                let layer = TransformerBlock::new(
                    s.usize("d_model"),
                    s.usize("nhead"),
                    s.usize("dim_feedforward"),
                    rng,
                );
                let layer = if s.flag("norm_first") { layer.norm_first() } else { layer };
                Self::Block(Box::new(match &*s.text("activation") {
                    "gelu" => layer.activation(|x| x.gelu()),
                    _ => layer,
                }))
            }
            _ => return None,
        })
    }

    fn module(layer: impl Module<F> + 'static) -> Self {
        Self::Module(Box::new(layer))
    }

    fn named_params(&self) -> Vec<(String, &wengert::Param<F>)> {
        match self {
            Self::Module(layer) => layer.named_params(),
            Self::Embedding(layer) => layer.named_params(),
            Self::Rnn(layer) => layer.named_params(),
            Self::Lstm(layer) => layer.named_params(),
            Self::Gru(layer) => layer.named_params(),
            Self::Heads(layer) => layer.named_params(),
            Self::Block(layer) => layer.named_params(),
        }
    }

    /// The output for operands that are no parameters.
    fn forward<'t>(&self, x: &[Var<'t, F>], s: &Settings) -> Var<'t, F> {
        match self {
            Self::Module(layer) => layer.forward(x[0]),
            Self::Embedding(_) => unreachable!("it has no operand but its weight"),
            Self::Rnn(layer) => unrolled(layer, x, s),
            Self::Lstm(layer) => unrolled(layer, x, s),
            Self::Gru(layer) => unrolled(layer, x, s),
            Self::Heads(heads) => match (heads.as_ref(), mask(s)) {
                (layer, Some(mask)) => layer.masked(&mask).forward(x[0], x[1], x[2]),
                (layer, None) => layer.forward(x[0], x[1], x[2]),
            },
            Self::Block(layer) => match mask(s) {
                Some(mask) => layer.masked(&mask).forward(x[0]),
                None => layer.forward(x[0]),
            },
        }
    }
}

/// Outputs and last states in one row.
fn unrolled<'t, C: RecurrentCell<N>, const N: usize, F: Float>(
    layer: &Recurrent<C, N, F>,
    x: &[Var<'t, F>],
    s: &Settings,
) -> Var<'t, F> {
    let (sequence, state) = (x[0], &x[1..]);
    let state = match state {
        [] => layer.zero_state(sequence.shape()[0]).map(|zeros| sequence.tape().constant(&zeros)),
        _ => std::array::from_fn(|i| state[i]),
    };
    let (y, last) = match s.maybe::<Vec<usize>>("lengths") {
        Some(lengths) => layer.with_lengths(lengths).forward_from(sequence, state),
        None => layer.forward_from(sequence, state),
    };
    let rows = [y].into_iter().chain(last).map(|y| y.flatten()).collect::<Vec<_>>();
    Var::concat(&rows, 0)
}

/// The mask of attention: 1 where a key is hidden.
fn mask<F: Float>(s: &Settings) -> Option<Tensor<F>> {
    let blocked = s.tensor("blocked").map(|blocked| masks::from_bool(&blocked));
    let padding = s.tensor("padding_keys").map(|padding| masks::key_padding(&padding));
    match (blocked, padding) {
        (Some(blocked), Some(padding)) => Some(blocked + padding),
        (blocked, padding) => blocked.or(padding),
    }
}

pub(super) fn run<'t, F: Float>(op: &str, x: &[Var<'t, F>], s: &Settings) -> Option<Var<'t, F>> {
    if op == "scaled_dot_product_attention" {
        let attention =
            Attention { causal: s.flag("causal"), scale: s.maybe("scale"), ..Attention::new() };
        return Some(match mask(s) {
            Some(mask) => attention.masked(&mask).forward(x[0], x[1], x[2]),
            None => attention.forward(x[0], x[1], x[2]),
        });
    }
    let layer = Layer::new(op, s)?;
    let tape = x[0].tape();
    let params = layer.named_params();
    let (inputs, bound) = x.split_at(x.len() - params.len());
    for ((_, param), var) in params.iter().zip(bound) {
        tape.bind(param, *var);
    }
    if let Layer::Embedding(layer) = &layer {
        return Some(layer.forward(tape, s.indices("index")));
    }
    Some(match s.flag("evaluates") {
        true => tape.eval_mode(|| layer.forward(inputs, s)),
        false => layer.forward(inputs, s),
    })
}

/// The inputs of a layer and its settings; its parameters follow from them.
fn inputs(op: &str, d: &mut Draw<'_>) -> Drawn {
    let (n, width) = (d.some(), d.some());
    match op {
        "Linear" => {
            let rank = d.below(3);
            let x = [d.extents(rank), vec![width]].concat();
            let settings =
                json!({ "in_features": width, "out_features": d.some(), "bias": d.one_in(2) });
            (vec![d.like(&x)], settings)
        }
        "Conv1d" | "Conv2d" => {
            let groups = d.choose(&[1, 1, 2]);
            let [inputs, outputs] = [groups * (1 + d.below(2)), groups * (1 + d.below(2))];
            let kernel = [1 + d.below(3), 1 + d.below(3)];
            let plane = [kernel[0] + d.below(2), kernel[1] + d.below(2)];
            let x = [&[n, inputs], &plane[if op == "Conv1d" { 1 } else { 0 }..]].concat();
            let settings = json!({
                "in_channels": inputs, "out_channels": outputs, "kernel": kernel, "groups": groups,
                "stride": [1 + d.below(2), 1 + d.below(2)], "padding": [d.below(2), d.below(2)], "dilation": [1, 1],
            });
            (vec![d.like(&x)], settings)
        }
        "ConvTranspose1d" | "ConvTranspose2d" => {
            let axes = if op == "ConvTranspose1d" { 1 } else { 2 };
            let (x, weight, mut settings) = window::transposed_convolution(axes, d);
            settings["shape"] = json!(weight);
            settings["bias"] = json!(d.one_in(2));
            (vec![d.like(&x)], settings)
        }
        "BatchNorm1d" | "BatchNorm2d" => {
            let evaluates = d.one_in(2);
            let n = if evaluates { n } else { n.max(2) };
            let x = match op {
                "BatchNorm1d" if d.one_in(2) => vec![n, width],
                "BatchNorm1d" => vec![n, width, d.some()],
                _ => vec![n, width, d.some(), d.some()],
            };
            let mean = d.ordinary(&[width]);
            let settings = json!({
                "num_features": width, "affine": d.below(4) > 0, "evaluates": evaluates,
                "running_mean": mean, "running_var": d.positive(&[width]),
            });
            (vec![d.like(&x)], settings)
        }
        "LayerNorm" | "RMSNorm" => {
            let normalized = if d.one_in(2) { vec![width] } else { vec![d.some(), width] };
            let x = [&[n], &normalized[..]].concat();
            (vec![d.like(&x)], json!({ "shape": normalized, "affine": d.below(4) > 0 }))
        }
        "GroupNorm" => {
            let groups = 1 + d.below(2);
            let channels = groups * (1 + d.below(2));
            let settings =
                json!({ "num_groups": groups, "num_channels": channels, "affine": d.below(4) > 0 });
            let rank = d.below(3);
            let rest = (0..rank).map(|_| d.some()).collect::<Vec<_>>();
            (vec![d.like(&[&[n, channels], &rest[..]].concat())], settings)
        }
        "PReLU" => {
            let settings = json!({ "num_parameters": if d.one_in(2) { 1 } else { width } });
            (vec![d.like(&[n, width, 2])], settings)
        }
        "Embedding" => {
            let (classes, rank) = (d.some(), d.below(3));
            let shape = d.extents(rank);
            let padding = if d.one_in(2) { json!(d.below(classes)) } else { Json::Null };
            let index = d.indices(&shape, classes);
            let settings = json!({ "num_embeddings": classes, "embedding_dim": width, "index": index, "padding_idx": padding });
            (vec![], settings)
        }
        "RNN" | "LSTM" | "GRU" => {
            let (hidden, layers, bidirectional) = (1 + d.below(2), 1 + d.below(2), d.one_in(3));
            let time = 1 + d.below(3);
            let mut args = vec![d.like(&[n, time, width])];
            if d.one_in(2) {
                let depth = layers * if bidirectional { 2 } else { 1 };
                let states = if op == "LSTM" { 2 } else { 1 };
                args.extend((0..states).map(|_| d.like(&[depth, n, hidden])));
            }
            let lengths = if d.one_in(2) {
                json!((0..n).map(|_| 1 + d.below(time)).collect::<Vec<_>>())
            } else {
                Json::Null
            };
            let settings = json!({
                "lengths": lengths, "input_size": width, "hidden_size": hidden, "num_layers": layers, "bias": d.below(4) > 0,
                "bidirectional": bidirectional, "relu": if op == "RNN" { json!(d.one_in(2)) } else { Json::Null },
            });
            (args, settings)
        }
        "scaled_dot_product_attention" => {
            let (heads, time, keys, values) = (d.some(), d.some(), d.some(), d.some());
            let args = vec![
                d.like(&[n, heads, time, width]),
                d.like(&[n, heads, keys, width]),
                d.like(&[n, heads, keys, values]),
            ];
            let causal = d.one_in(3);
            let blocked = if causal || d.one_in(2) { Json::Null } else { hidden(&[time, keys], d) };
            let scale = if d.one_in(3) { json!(0.75) } else { Json::Null };
            (args, json!({ "causal": causal, "scale": scale, "blocked": blocked }))
        }
        "MultiheadAttention" => {
            let heads = 1 + d.below(2);
            let (width, time, keys) = (heads * (1 + d.below(2)), d.some(), d.some());
            let blocked = if d.one_in(2) { Json::Null } else { hidden(&[time, keys], d) };
            let padding = if d.one_in(2) { Json::Null } else { hidden(&[n, keys], d) };
            let args = vec![
                d.like(&[n, time, width]),
                d.like(&[n, keys, width]),
                d.like(&[n, keys, width]),
            ];
            let settings = json!({
                "embed_dim": width, "num_heads": heads, "bias": d.below(4) > 0, "blocked": blocked, "padding_keys": padding,
            });
            (args, settings)
        }
        _ => {
            let (heads, time) = (1 + d.below(2), d.some());
            let width = heads * (1 + d.below(2));
            let blocked = if d.one_in(2) { Json::Null } else { hidden(&[time, time], d) };
            let settings = json!({
                "d_model": width, "nhead": heads, "dim_feedforward": 1 + d.below(3), "norm_first": d.one_in(2),
                "activation": d.choose(&["relu", "gelu"]), "blocked": blocked,
            });
            (vec![d.like(&[n, time, width])], settings)
        }
    }
}

/// A mask that hides a third of the keys.
fn hidden(shape: &[usize], d: &mut Draw<'_>) -> Json {
    json!(Array::of(&Tensor::<f64>::from_fn(shape, |_| f64::from(u8::from(d.one_in(3))))))
}

pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    let (mut args, mut settings) = inputs(op, d);
    let map = settings.as_object_mut().expect("settings");
    map.retain(|_, value| !value.is_null());
    let Some(layer) = Layer::<f64>::new(op, &Settings::from(settings.clone())) else {
        return (args, settings);
    };
    let params = layer.named_params();
    args.extend(params.iter().map(|(_, param)| d.parameter(&param.value().shape())));
    let names = params.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
    settings["params"] = json!(names);
    (args, settings)
}
