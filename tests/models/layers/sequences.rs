//! Recurrent layers, attention, transformer blocks and positions against PyTorch; their masks, states and
//! shape mistakes.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::f64::prelude::*;
use wengert::{Recurrent, RecurrentBuilder, RecurrentCell, check_gradients, check_model};

use super::{Function, agrees, pytorch};

const FIXTURE: &str = include_str!("../../fixtures/sequences.json");

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

fn holds<M: Params<f64>>(case: &str, model: M, f: impl for<'t> Fn(&M, &[Var<'t>]) -> Var<'t>) {
    pytorch::agrees(FIXTURE, case, model, |model, x| vec![f(model, x)]);
}

// Recurrent layers.

/// Compares outputs and final states, from zeros or from the state among the inputs of the case.
fn recurs<C: RecurrentCell<N>, const N: usize>(case: &str, layer: Recurrent<C, N, f64>) {
    pytorch::agrees(FIXTURE, case, layer, |layer, x| {
        let (y, last) = match x.len() {
            1 => layer.forward_from(x[0], layer.zero_state(2).each_ref()),
            _ => layer.forward_from(x[0], std::array::from_fn::<_, N, _>(|i| x[1 + i])),
        };
        std::iter::once(y).chain(last).collect()
    });
}

/// Compares the cases that every kind of layer has.
fn recurs_in_all_settings<C: RecurrentCell<N>, const N: usize>(
    kind: &str,
    layer: RecurrentBuilder<C, N, f64>,
) {
    let cases = [
        ("states", layer.clone()),
        ("no bias", layer.clone().without_bias()),
        ("two layers", layer.clone().num_layers(2)),
        ("bidirectional", layer.clone().bidirectional()),
        ("two layers bidirectional", layer.num_layers(2).bidirectional()),
    ];
    for (case, layer) in cases {
        recurs(&format!("{kind} {case}"), layer.build(&mut rng()));
    }
}

#[test]
fn rnn() {
    agrees("rnn", Rnn::new(3, 4, &mut rng()), |layer, x| layer.forward(x));
    recurs_in_all_settings("rnn", Rnn::builder(3, 4));
    recurs("rnn relu", Rnn::builder(3, 4).relu().build(&mut rng()));
}

#[test]
fn lstm() {
    agrees("lstm", Lstm::new(3, 4, &mut rng()), |layer, x| layer.forward(x));
    recurs_in_all_settings("lstm", Lstm::builder(3, 4));
}

#[test]
fn gru() {
    agrees("gru", Gru::new(3, 4, &mut rng()), |layer, x| layer.forward(x));
    recurs_in_all_settings("gru", Gru::builder(3, 4));
}

#[test]
fn a_recurrent_layer_names_its_parameters_as_pytorch() {
    let layer = Gru::builder(3, 4).num_layers(2).bidirectional().build(&mut rng());
    let names: Vec<_> = layer.named_params().into_iter().map(|(name, _)| name).collect();
    let expected: Vec<_> = ["l0", "l0_reverse", "l1", "l1_reverse"]
        .iter()
        .flat_map(|at| {
            ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map(|n| format!("{n}_{at}"))
        })
        .collect();
    assert_eq!(names, expected);
    let shape = |name: &str| layer.param(name).unwrap().value().shape();
    assert_eq!(shape("weight_ih_l1_reverse"), [12, 8].into());
    // The largest is within 1 / sqrt(4), and close to it.
    let flat = layer.flatten().abs().max().item();
    assert!((0.49..=0.5).contains(&flat), "{flat}");
}

#[test]
fn one_position_at_a_time_gives_the_same() {
    let layer = Lstm::builder(3, 4).num_layers(2).build(&mut rng());
    let x = Tensor::randn([2, 5, 3], &mut rng());
    let whole = evaluate(|tape| layer.forward(tape.constant(&x)));
    let mut state = layer.zero_state(2);
    for t in 0..5 {
        let tape = Tape::evaluating();
        let (y, next) =
            layer.forward_from(tape.constant(&x.narrow(1, t, 1)), [&state[0], &state[1]]);
        pytorch::assert_near("an output", &y.value(), &whole.narrow(1, t, 1));
        state = next.map(|state| state.value());
    }
}

#[test]
fn derivatives_of_recurrent_layers() {
    let x = Tensor::randn([2, 3, 2], &mut rng());
    let lstm = Lstm::builder(2, 2).bidirectional().build(&mut rng());
    check_model(&lstm, |tape| lstm.forward(tape.constant(&x)).square().sum()).unwrap();
    let gru = Gru::builder(2, 2).num_layers(2).build(&mut rng());
    check_model(&gru, |tape| gru.forward(tape.constant(&x)).square().sum()).unwrap();
}

#[test]
fn dropout_between_recurrent_layers_is_for_training() {
    let of = |p| Rnn::builder(3, 64).num_layers(2).dropout(p).build(&mut rng());
    let x = Tensor::randn([2, 5, 3], &mut rng());
    let evaluated = |p| evaluate(|tape| of(p).forward(tape.constant(&x)));
    assert_eq!(evaluated(0.5), evaluated(0.0));
    let trained = |p, key| {
        let tape = wengert::seeded(key).tape();
        of(p).forward(tape.constant(&x)).value()
    };
    assert_ne!(trained(0.5, 1), evaluated(0.0));
    assert_ne!(trained(0.5, 1), trained(0.5, 2));
    assert_eq!(trained(0.5, 1), trained(0.5, 1));
    // The last layer does not drop.
    let layer = Rnn::builder(3, 4).dropout(0.5).build(&mut rng());
    let tape = wengert::seeded(1).tape();
    let y = layer.forward(tape.constant(&x)).value();
    assert_eq!(y, evaluate(|tape| layer.forward(tape.constant(&x))));
}

// Attention.

/// The boolean `attn_mask` of PyTorch's cases.
fn blocked() -> Tensor {
    tensor![
        [0.0, 0.0, 1.0, 0.0, 0.0],
        [1.0, 0.0, 0.0, 0.0, 1.0],
        [0.0, 1.0, 1.0, 1.0, 1.0],
        [0.0, 0.0, 0.0, 0.0, 0.0]
    ]
}

fn padding() -> Tensor {
    tensor![[0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0, 1.0]]
}

#[test]
fn scaled_dot_product_attention() {
    let plain = Attention::new();
    holds("sdpa", Function, |_, x| plain.forward(x[0], x[1], x[2]));
    holds("sdpa causal", Function, |_, x| plain.causal().forward(x[0], x[1], x[2]));
    holds("sdpa scale", Function, |_, x| plain.scale(0.7).forward(x[0], x[1], x[2]));
    let mask = masks::from_bool(&blocked());
    holds("sdpa blocked", Function, |_, x| plain.masked(&mask).forward(x[0], x[1], x[2]));
    holds("sdpa added", Function, |_, x| plain.masked(x[3]).forward(x[0], x[1], x[2]));
}

#[test]
fn burn_4694_a_fully_masked_query_gives_zero() {
    let (q, k, v) = (
        Tensor::randn([2, 3, 4], &mut rng()),
        Tensor::randn([2, 3, 4], &mut rng()),
        Tensor::randn([2, 3, 2], &mut rng()),
    );
    // The second query sees no key, the first none that the causal mask leaves.
    let mask = masks::from_bool(&tensor![[1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]]);
    let causal = Attention::new().causal();
    let tape = Tape::new();
    let x = [&q, &k, &v].map(|x| tape.variable(x));
    let y = causal.masked(&mask).forward(x[0], x[1], x[2]);
    let rows = y.value().narrow(1, 0, 2);
    assert!(rows.as_slice().iter().all(|y| *y == 0.0), "{rows:?}");
    let loss = y.square().sum() + y.sum();
    let computed = loss.backward();
    for (x, recorded) in x.iter().zip(grad(loss, &x)) {
        let computed = computed.wrt(*x).unwrap();
        assert!(computed.is_finite() && recorded.value().is_finite());
    }
    let of_queries = computed.wrt(x[0]).unwrap();
    assert!(of_queries.narrow(1, 0, 2).as_slice().iter().all(|g| *g == 0.0), "{of_queries:?}");
    assert!(of_queries.narrow(1, 2, 1).as_slice().iter().all(|g| *g != 0.0), "{of_queries:?}");
    check_gradients(|x| causal.masked(&mask).forward(x[0], x[1], x[2]).square().sum(), &[q, k, v])
        .unwrap();
}

#[test]
fn dropout_of_weights_keeps_their_mean() {
    let tape = wengert::seeded(1).tape();
    let (q, v) = (Tensor::zeros([500, 1, 4]), Tensor::ones([500, 20, 1]));
    let (q, v) = (tape.constant(&q), tape.constant(&v));
    let k = tape.constant(&Tensor::zeros([500, 20, 4]));
    let y = Attention::new().dropout(0.25).forward(q, k, v).value();
    // 10,000 weights of 1 / 20, each with standard deviation sqrt(1 / 3) / 20: four of them of the mean.
    assert!((y.mean().item() - 1.0).abs() < 4.0 * (1.0f64 / 3.0 / 1e4).sqrt());
    assert!(y.as_slice().iter().any(|y| (y - 1.0).abs() > 0.05));
}

/// A model that names the layer as the case of `layers.json` does.
struct Attending {
    attention: MultiHeadAttention,
}
params! { Attending { attention } }

fn attend<'t>(layer: &MultiHeadAttention, x: Var<'t>) -> Var<'t> {
    layer.forward(x, x, x)
}

fn heads() -> MultiHeadAttention {
    MultiHeadAttention::new(8, 2, &mut rng())
}

#[test]
fn attention_of_several_heads() {
    let of = |attention| Attending { attention };
    agrees("attention", of(heads()), |model, x| attend(&model.attention, x));
    agrees("attention causal", of(heads().causal()), |model, x| attend(&model.attention, x));
    holds("cross attention", heads(), |layer, x| layer.forward(x[0], x[1], x[2]));
    holds("attention no bias", heads().without_bias(), |layer, x| attend(layer, x[0]));
}

#[test]
fn masks_of_several_heads() {
    let masked = |case: &str, mask: Tensor| {
        holds(case, heads(), |layer, x| layer.masked(&mask).forward(x[0], x[1], x[2]));
    };
    masked("attention key_padding_mask", masks::key_padding(&padding()));
    masked("attention attn_mask blocked", masks::from_bool(&blocked()));
    let theirs: serde_json::Value = serde_json::from_str(FIXTURE).expect("JSON");
    masked(
        "attention attn_mask added",
        pytorch::tensor(&theirs["cases"]["sdpa added"]["inputs"][3]),
    );
    let padding = tensor![[0.0, 0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0, 1.0]];
    let both = masks::key_padding(&padding) + masks::from_bool(&blocked());
    masked("attention both masks", both);
    let mask = masks::key_padding(&self::padding().narrow(1, 1, 4));
    holds("attention causal key_padding_mask", heads().causal(), |layer, x| {
        layer.masked(&mask).forward(x[0], x[0], x[0])
    });
}

#[test]
fn initial_values_of_attention_are_those_of_pytorch() {
    let layer = MultiHeadAttention::new(64, 4, &mut rng());
    let largest = |x: &Tensor| x.abs().max().item();
    let within = |x: &Tensor, bound: f64| (0.99 * bound..=bound).contains(&largest(x));
    assert!(within(layer.in_proj_weight.value(), (6.0f64 / (64.0 + 192.0)).sqrt()));
    assert!(within(layer.out_proj.weight.value(), 64f64.sqrt().recip()));
    assert_eq!(largest(layer.in_proj_bias.as_ref().unwrap().value()), 0.0);
    assert_eq!(largest(layer.out_proj.bias.as_ref().unwrap().value()), 0.0);
}

// Transformer blocks.

fn block() -> TransformerBlock {
    TransformerBlock::new(8, 2, 12, &mut rng())
}

#[test]
fn transformer_blocks() {
    let forward = |case: &str, block: TransformerBlock| {
        holds(case, block, |block, x| block.forward(x[0]));
    };
    forward("block", block());
    forward("block norm_first", block().norm_first());
    forward("block gelu", block().activation(|x| x.gelu()));
    forward("block causal", block().causal());
    let all = block().causal().norm_first().activation(|x| x.gelu());
    forward("block causal norm_first gelu", all);
    let mask = masks::key_padding(&padding().narrow(1, 1, 4));
    holds("block padding", block(), |block, x| block.masked(&mask).forward(x[0]));
}

#[test]
fn derivatives_of_a_transformer_block() {
    let x = Tensor::randn([2, 3, 4], &mut rng());
    let block =
        TransformerBlock::new(4, 2, 3, &mut rng()).causal().norm_first().activation(|x| x.gelu());
    check_model(&block, |tape| block.forward(tape.constant(&x)).square().sum()).unwrap();
}

#[test]
fn a_causal_block_does_not_look_ahead() {
    let block = block().causal();
    let x = Tensor::randn([1, 5, 8], &mut rng());
    let whole = evaluate(|tape| block.forward(tape.constant(&x)));
    let front = evaluate(|tape| block.forward(tape.constant(&x.narrow(1, 0, 3))));
    pytorch::assert_near("the front", &whole.narrow(1, 0, 3), &front);
}

// Positions.

#[test]
fn positions() {
    let waves = || SinusoidalPositions::new(20, 8);
    holds("sinusoidal", waves(), |layer, x| layer.forward(x[0]));
    holds("sinusoidal from 3", waves(), |layer, x| layer.forward_at(x[0], 3));
    let turns = || RotaryPositions::new(20, 6);
    holds("rotary", turns(), |layer, x| layer.forward(x[0]));
    holds("rotary from 7", turns(), |layer, x| layer.forward_at(x[0], 7));
    let other = RotaryPositions::with_base(20, 6, 100.0);
    holds("rotary base 100", other, |layer, x| layer.forward_at(x[0], 2));
    holds("rotary interleaved", turns().interleaved(), |layer, x| layer.forward_at(x[0], 2));
}

#[test]
fn rotary_products_depend_on_the_distance_alone() {
    let (q, k) = (Tensor::randn([1, 8], &mut rng()), Tensor::randn([1, 8], &mut rng()));
    let halves = RotaryPositions::new(100, 8);
    for turns in [halves.clone(), halves.interleaved()] {
        let product = |at: usize, other: usize| {
            let tape = Tape::evaluating();
            let q = turns.forward_at(tape.constant(&q), at);
            let k = turns.forward_at(tape.constant(&k), other);
            (q * k).sum().item()
        };
        for (distance, shift) in [(0, 40), (3, 17), (9, 90)] {
            let (near, far) = (product(distance, 0), product(distance + shift, shift));
            assert!((near - far).abs() < 1e-12, "{near} and {far} at distance {distance}");
        }
        assert!((product(1, 0) - product(0, 0)).abs() > 1e-3);
    }
    // In a layer the rotation changes the output.
    let layer = heads().rotary(RotaryPositions::new(10, 4));
    let x = Tensor::randn([1, 4, 8], &mut rng());
    let turned = evaluate(|tape| attend(&layer, tape.constant(&x)));
    assert_ne!(turned, evaluate(|tape| attend(&heads(), tape.constant(&x))));
}

// Mistakes.

/// A call that must panic.
type Mistake = for<'t> fn(&'t Tape) -> Var<'t>;

/// Returns the message of the panic of `f`, which must be at a line of this file.
fn mistake(f: Mistake) -> String {
    use std::sync::{Arc, Mutex};
    let file = Arc::new(Mutex::new(String::new()));
    let (seen, thread) = (file.clone(), std::thread::current().id());
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match info.location() {
        Some(at) if std::thread::current().id() == thread => {
            *seen.lock().unwrap() = at.file().into()
        }
        _ => before(info),
    }));
    let panic = std::panic::catch_unwind(|| f(&Tape::new()).item()).expect_err("a panic");
    drop(std::panic::take_hook());
    assert!(file.lock().unwrap().ends_with("sequences.rs"), "the panic is at {file:?}");
    *panic.downcast().expect("a message")
}

#[test]
fn a_shape_mistake_names_layer_shapes_and_line() {
    fn on<'t>(tape: &'t Tape, shape: impl Into<Shape>) -> Var<'t> {
        tape.constant(&Tensor::zeros(shape))
    }
    let cases: [(Mistake, &str); 9] = [
        (
            |t| Lstm::new(3, 4, &mut rng()).forward(on(t, [2, 5, 4])),
            "LSTM: expected input [batch, time >= 1, 3], found [2, 5, 4]",
        ),
        (
            |t| Gru::new(3, 4, &mut rng()).forward(on(t, [2, 0, 3])),
            "GRU: expected input [batch, time >= 1, 3], found [2, 0, 3]",
        ),
        (
            |t| Rnn::new(3, 4, &mut rng()).forward_from(on(t, [2, 5, 3]), [on(t, [2, 4])]).0,
            "RNN: expected state [1, 2, 4], found [2, 4]",
        ),
        (
            |t| Module::forward(&heads(), on(t, [2, 5, 6])),
            "MultiheadAttention: expected input [.., time, 8], found [2, 5, 6]",
        ),
        (
            |t| block().masked(on(t, [5, 4])).forward(on(t, [2, 5, 8])),
            "Attention: mask [5, 4] does not broadcast to [2, 2, 5, 5] [.., time, keys], \
             in self_attn (MultiheadAttention)",
        ),
        (
            |t| Attention::new().forward(on(t, [5, 8]), on(t, [5, 7]), on(t, [5, 8])),
            "Attention: expected queries [.., time, width] and keys [.., keys, width], found [5, 8] and [5, 7]",
        ),
        (
            |t| SinusoidalPositions::new(4, 8).forward(on(t, [2, 5, 8])),
            "SinusoidalPositions: input [2, 5, 8] from position 0 ends at 5, after 4",
        ),
        (
            |t| RotaryPositions::new(4, 8).forward(on(t, [2, 3, 6])),
            "RotaryPositions: expected input [.., time, 8], found [2, 3, 6]",
        ),
        (
            |t| t.constant(&masks::key_padding(&Tensor::zeros([5]))),
            "key_padding: expected [batch, keys], found [5]",
        ),
    ];
    for (f, expected) in cases {
        assert_eq!(mistake(f), expected);
    }
}
