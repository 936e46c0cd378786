//! Evaluation, which computes a value when it is read and drops it after its last reader.

use std::sync::atomic::{AtomicUsize, Ordering};

use wengert::f64::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::{Float, Op, Shape, ShapeError, Value};

use crate::panics::caught;

/// The identity, which counts how often it is computed and may refuse to be.
#[derive(Clone, Debug)]
struct Counted {
    place: usize,
    refuses: bool,
}

static COMPUTED: [AtomicUsize; 64] = [const { AtomicUsize::new(0) }; 64];

impl Op<1> for Counted {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(x)
    }
    fn forward<F: Float>(&self, [x]: [&wengert::Tensor<F>; 1], _: Shape) -> wengert::Tensor<F> {
        assert!(!self.refuses, "a value of {:?} is refused", x.shape());
        COMPUTED[self.place].fetch_add(1, Ordering::Relaxed);
        x.clone()
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        g.clone()
    }
}

fn counted(x: Var<'_>, place: usize) -> Var<'_> {
    x.apply_op(Counted { place, refuses: false })
}

fn times(place: usize) -> usize {
    COMPUTED[place].load(Ordering::Relaxed)
}

#[test]
fn evaluation_has_the_bits_of_a_recording() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let net = Sequential::new()
        .then(Linear::new(5, 7, &mut rng))
        .then(LayerNorm::new(7))
        .then(Residual::new(Sequential::new().then(Linear::new(7, 7, &mut rng)).then(Gelu)))
        .then(TransformerBlock::new(7, 1, 9, &mut rng))
        .then(Tanh);
    let x = Tensor::randn([4, 3, 5], &mut rng);
    let tape = Tape::evaluating();
    let recorded = net.forward(tape.constant(&x)).value();
    assert_eq!(evaluate(|tape| net.forward(tape.constant(&x))), recorded);
}

#[test]
fn a_value_that_nothing_reads_is_not_computed_and_others_once() {
    evaluate(|tape| {
        let x = tape.constant(&tensor![1.0]);
        let (a, _) = (counted(x, 0), counted(x, 1));
        a + a * counted(a, 2)
    });
    assert_eq!((times(0), times(1), times(2)), (1, 0, 1));
}

#[test]
fn a_variable_prints_its_value() {
    evaluate(|tape| {
        let y = tape.constant(&tensor![1.0]) + 1.0;
        assert_eq!(format!("{y:?}"), format!("Var 1: {:?}", tensor![2.0]));
        y
    });
}

#[test]
fn a_value_that_is_read_in_the_middle_is_computed_at_most_twice() {
    // Large values are dropped when one is read, and stay when they were needed again.
    let large = Tensor::ones([1 << 15]);
    let last = evaluate(|tape| {
        let mut x = tape.constant(&large);
        for step in 0..10 {
            x = counted(x + 1.0, 10 + step);
            let read = counted(x, 30 + step);
            assert_eq!(read.mean().item(), 2.0 + step as f64);
            assert_eq!(read.max().item(), 2.0 + step as f64);
        }
        x.max()
    });
    assert_eq!(last.item(), 11.0);
    for step in 0..10 {
        assert!(times(10 + step) <= 2, "step {step}: {} times", times(10 + step));
        assert!(times(30 + step) <= 2, "step {step}: {} times", times(30 + step));
    }
    // Small values stay.
    evaluate(|tape| {
        let x = counted(tape.constant(&tensor![1.0]), 50);
        let y = counted(x, 51);
        assert_eq!((y + 1.0).item() + (y + x).item(), 4.0);
        y * x
    });
    assert_eq!((times(50), times(51)), (1, 1));
}

#[test]
fn values_are_read_and_differentiated_inside_an_evaluation() {
    let p = Param::new(tensor![1.0, 2.0]);
    let y = evaluate(|tape| {
        let c = tape.param(&p) * 3.0;
        let x = tape.variable(&tensor![1.0, 2.0]);
        let y = (x.square() * c).sum();
        let first = grad(y, &[x])[0];
        assert_eq!(first.value(), tensor![6.0, 24.0]);
        assert_eq!(y.backward().wrt(x).expect("a gradient"), &tensor![6.0, 24.0]);
        assert_eq!(c.shape(), [2].into());
        let z = x.checkpoint(|x| (x * c).exp() * c.ln());
        assert!(z.sum().backward().wrt(x).expect("a gradient").is_finite());
        first.sum() + c.sum()
    });
    assert_eq!(y.item(), 30.0 + 9.0);
}

#[test]
fn checkpoints_and_temporary_recordings_work_inside_an_evaluation() {
    let large = Tensor::full([1 << 15], 0.5);
    let y = evaluate(|tape| {
        let x = tape.constant(&large);
        let mut read = 0.0;
        let y = x.checkpoint(|x| {
            let inner = x.exp();
            read = inner.mean().item();
            inner.sin()
        });
        assert!((read - 0.5f64.exp()).abs() < 1e-12);
        let outer = y * 2.0;
        let [a, b] = tape.temporarily(|| [outer + x, outer - x]);
        assert_eq!(a.shape(), x.shape());
        (a + b + outer).mean()
    });
    assert!((y.item() - 6.0 * 0.5f64.exp().sin()).abs() < 1e-12);
}

#[test]
fn updates_of_buffers_are_there_where_an_evaluation_differentiates() {
    let mean = Buffer::new(Tensor::scalar(0.0));
    evaluate(|tape| {
        let x = tape.variable(&Tensor::scalar(2.0));
        tape.update_buffer(&mean, tape.constant(&Tensor::scalar(3.0)) * 2.0);
        let grads = x.square().backward();
        assert_eq!(grads.updates()[0].1.item(), 6.0);
        x
    });
}

fn refused(x: Var<'_>) -> Var<'_> {
    x.apply_op(Counted { place: 63, refuses: true })
}

#[test]
#[rustfmt::skip] // The calls stand on the lines that are expected.
fn a_panic_in_a_deferred_operation_names_the_operation_and_both_lines() {
    let x = tensor![1.0, 2.0];
    let (recorded, read) = (line!() - 7, line!() + 1);
    let error = caught(|| _ = evaluate(|tape| refused(tape.constant(&x)).sum()));
    let message = "a value of [2] is refused\n  while computing counted recorded at ";
    assert!(error.message.starts_with(message), "{}", error.message);
    assert!(error.message.contains(&format!("{}:{recorded}:", file!())), "{}", error.message);
    assert_eq!((&*error.file, error.line), (file!(), read));
    // The same where a value is read in the middle; the tape can be used after it.
    evaluate(|tape| {
        let y = refused(tape.constant(&x)).exp();
        let read = line!() + 1;
        let error = caught(|| _ = y.value());
        assert!(error.message.starts_with(message), "{}", error.message);
        assert_eq!((&*error.file, error.line), (file!(), read));
        assert_eq!((tape.constant(&x) * 2.0).value(), tensor![2.0, 4.0]);
        tape.constant(&x).sum()
    });
}
