//! Recurrent layers on sequences of several lengths, against PyTorch's packed sequences: the cases of
//! `fixtures/lengths.json`.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::f64::prelude::*;
use wengert::{Recurrent, RecurrentBuilder, RecurrentCell, check_model};

use super::pytorch;

const FIXTURE: &str = include_str!("../../fixtures/lengths.json");
const LENGTHS: [usize; 3] = [2, 5, 1];

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

/// Compares outputs, last states and all gradients, from the state among the inputs of the case.
fn packs<C: RecurrentCell<N>, const N: usize>(case: &str, layer: Recurrent<C, N, f64>) {
    pytorch::agrees(FIXTURE, case, layer, |layer, x| {
        let state = std::array::from_fn::<_, N, _>(|i| x[1 + i]);
        let (y, last) = layer.with_lengths(LENGTHS).forward_from(x[0], state);
        std::iter::once(y).chain(last).collect()
    });
}

fn packs_in_all_settings<C: RecurrentCell<N>, const N: usize>(
    kind: &str,
    layer: RecurrentBuilder<C, N, f64>,
) {
    packs(kind, layer.clone().build(&mut rng()));
    packs(&format!("{kind} bidirectional"), layer.clone().bidirectional().build(&mut rng()));
    let both = layer.num_layers(2).bidirectional().build(&mut rng());
    packs(&format!("{kind} two layers bidirectional"), both);
}

#[test]
fn packed_sequences() {
    packs_in_all_settings("rnn", Rnn::builder(3, 4));
    packs_in_all_settings("lstm", Lstm::builder(3, 4));
    packs_in_all_settings("gru", Gru::builder(3, 4));
}

#[test]
fn full_lengths_change_nothing() {
    let layer = Lstm::builder(3, 4).num_layers(2).bidirectional().build(&mut rng());
    let x = Tensor::randn([2, 5, 3], &mut rng());
    let plain = evaluate(|tape| layer.forward(tape.constant(&x)));
    assert_eq!(evaluate(|tape| layer.with_lengths([5, 5]).forward(tape.constant(&x))), plain);
}

#[test]
fn padding_may_hold_anything() {
    let layer = Gru::builder(3, 4).bidirectional().build(&mut rng());
    let x = Tensor::randn([3, 5, 3], &mut rng());
    let step = |padding: f64| {
        let inside =
            Tensor::from_fn([3, 5, 3], |i| f64::from(u8::from(i / 3 % 5 < LENGTHS[i / 15])));
        let tape = Tape::new();
        let x = tape.variable(&inside.where_cond(&x, padding));
        let y = layer.with_lengths(LENGTHS).forward(x);
        let grads = y.square().sum().backward();
        let by_input = grads.wrt(x).unwrap().clone();
        assert_eq!(inside.where_cond(0.0, &by_input), Tensor::zeros([3, 5, 3]));
        (y.value(), by_input, grads.flatten_for(&layer))
    };
    assert_eq!(step(0.0), step(f64::NAN));
    assert_eq!(step(0.0), step(f64::INFINITY));
}

#[test]
fn an_empty_sequence_keeps_its_first_state() {
    let layer = Lstm::builder(3, 4).bidirectional().build(&mut rng());
    let (x, first) = (Tensor::randn([2, 3, 3], &mut rng()), Tensor::randn([2, 2, 4], &mut rng()));
    let tape = Tape::new();
    let lengths = layer.with_lengths([0, 3]);
    let (y, [h, c]) = lengths.forward_from(tape.constant(&x), [&first, &first]);
    assert_eq!(y.value().narrow(0, 0, 1), Tensor::zeros([1, 3, 8]));
    for last in [h, c] {
        assert_eq!(last.value().narrow(1, 0, 1), first.narrow(1, 0, 1));
        assert_ne!(last.value().narrow(1, 1, 1), first.narrow(1, 1, 1));
    }
    let empty = Indices::from_vec(vec![], [0]);
    let none = evaluate(|tape| {
        layer.with_lengths(&empty).forward(tape.constant(&Tensor::zeros([0, 3, 3])))
    });
    assert_eq!(none.shape(), [0, 3, 8].into());
}

#[test]
fn derivatives_agree_with_finite_differences() {
    let x = Tensor::randn([3, 5, 2], &mut rng());
    let lstm = Lstm::builder(2, 2).bidirectional().build(&mut rng());
    check_model(&lstm, |tape| lstm.with_lengths(LENGTHS).forward(tape.constant(&x)).square().sum())
        .unwrap();
}

/// Lengths among the inputs of a program change from run to run.
#[test]
fn a_program_runs_again_with_other_lengths() {
    let layer = Gru::builder(3, 4).num_layers(2).bidirectional().build(&mut rng());
    let mut step = Program::<Gru, (Tensor, Indices)>::new(|layer, _, (x, lengths)| {
        layer.with_lengths(lengths).forward(x).square().sum()
    });
    for run in 0..6u64 {
        let x = Tensor::randn([3, 5, 3], &mut ChaCha8Rng::seed_from_u64(run));
        let lengths = Indices::from([run as usize % 6, 5, 1]);
        let (loss, grads) = gradients(|tape| {
            layer.with_lengths(&lengths).forward(tape.constant(&x)).square().sum()
        });
        let (again, same) = step.gradients(&layer, (&x, &lengths));
        assert_eq!(loss.to_bits(), again.to_bits(), "run {run}");
        assert_eq!(grads.flatten_for(&layer), same.flatten_for(&layer), "run {run}");
    }
}

#[test]
#[should_panic(expected = "LSTM: expected lengths [2], one for each sequence, found [3]")]
fn there_is_a_length_for_each_sequence() {
    let layer = Lstm::new(3, 4, &mut rng());
    evaluate(|tape| layer.with_lengths(LENGTHS).forward(tape.constant(&Tensor::zeros([2, 5, 3]))));
}

#[test]
#[should_panic(
    expected = "GRU: lengths of sequences with 4 positions: index 5 at place 1 is out of range (0..5)"
)]
fn a_length_does_not_exceed_the_positions() {
    let layer = Gru::new(3, 4, &mut rng());
    evaluate(|tape| layer.with_lengths(LENGTHS).forward(tape.constant(&Tensor::zeros([3, 4, 3]))));
}
