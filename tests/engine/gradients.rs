//! Gradients as values, the functions that compute them, the identity of parameters, and threads.

use std::thread;

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::Path;
use wengert::core::{Leaf, LeafMut};
use wengert::f64::prelude::*;

/// Two parameters, `a` of shape [2] and `b` of shape [].
struct Pair {
    a: Param,
    b: Param,
}
params! { Pair { a, b } }

impl Pair {
    fn new() -> Self {
        Self { a: tensor![2.0, -1.0].into(), b: Tensor::scalar(3.0).into() }
    }

    /// The sum of `x a^2 + b`. Its gradient is `2 x a` by `a` and 2 by `b`.
    fn loss<'t>(&self, x: Var<'t>) -> Var<'t> {
        let a = x.tape().param(&self.a);
        (x * a.square() + &self.b).sum()
    }

    fn gradients(&self, x: [f64; 2]) -> Gradients {
        gradients(|tape| self.loss(tape.constant(&Tensor::from(x)))).1
    }
}

/// The gradient by `a`, followed by that by `b`.
fn numbers(gradients: &Gradients, pair: &Pair) -> Vec<f64> {
    [&pair.a, &pair.b].iter().flat_map(|p| gradients.get(p).expect("a gradient").to_vec()).collect()
}

#[test]
fn gradients_are_found_by_parameter_by_name_and_in_order() {
    let pair = Pair::new();
    let (loss, gradients) = gradients(|tape| pair.loss(tape.constant(&tensor![1.0, 10.0])));
    assert_eq!(loss, 4.0 + 3.0 + 10.0 + 3.0);
    assert_eq!(numbers(&gradients, &pair), [4.0, -20.0, 2.0]);
    assert_eq!(gradients.named(&pair, "a").unwrap().to_vec(), [4.0, -20.0]);
    assert_eq!(gradients.named(&pair, "b").unwrap().item(), 2.0);
    assert!(gradients.named(&pair, "c").is_none());
    let ids = gradients.as_slice().iter().map(|(id, _)| *id).collect::<Vec<_>>();
    assert_eq!(ids, [pair.a.id(), pair.b.id()]);
    for hint in 0..4 {
        assert_eq!(gradients.find(pair.a.id(), hint), Some(0));
        assert_eq!(gradients.find(pair.b.id(), hint), Some(1));
        assert_eq!(gradients.find(Pair::new().a.id(), hint), None);
    }
}

#[test]
fn gradients_add_and_scale() {
    let pair = Pair::new();
    let mut sum = pair.gradients([1.0, 10.0]);
    sum += &pair.gradients([0.5, 0.0]);
    assert_eq!(numbers(&sum, &pair), [6.0, -20.0, 4.0]);
    let mean = sum / 2.0;
    assert_eq!(numbers(&mean, &pair), [3.0, -10.0, 2.0]);
    assert_eq!(numbers(&(mean * -3.0), &pair), [-9.0, 30.0, -6.0]);
}

#[test]
fn gradients_of_other_parameters_join_in_a_sum() {
    let (one, other) = (Pair::new(), Pair::new());
    let mut sum = one.gradients([1.0, 1.0]);
    sum += &other.gradients([2.0, 2.0]);
    assert_eq!(numbers(&sum, &one), [4.0, -2.0, 2.0]);
    assert_eq!(numbers(&sum, &other), [8.0, -4.0, 2.0]);
}

#[test]
fn gradients_have_a_norm_and_lie_flat() {
    let pair = Pair::new();
    let mut gradients = pair.gradients([1.0, 10.0]);
    assert_eq!(gradients.global_norm(), 420f64.sqrt());
    assert_eq!(gradients.flatten(), tensor![4.0, -20.0, 2.0]);
    gradients.set_flat(&[1.0, 2.0, 3.0]);
    assert_eq!(numbers(&gradients, &pair), [1.0, 2.0, 3.0]);
    assert!(gradients.is_finite());
    gradients.set_flat(&[1.0, f64::INFINITY, 3.0]);
    assert!(!gradients.is_finite());
}

#[test]
#[should_panic(expected = "set_flat: expected 3 numbers, found 2")]
fn a_flat_slice_of_another_length_is_refused() {
    Pair::new().gradients([1.0, 1.0]).set_flat(&[1.0, 2.0]);
}

#[test]
fn a_model_and_its_gradients_are_flat_in_the_same_order() {
    // The tape uses b first; the model declares a first.
    let mut pair = Pair::new();
    let (_, found) = gradients(|tape| (tape.param(&pair.b) * 3.0 * &pair.a).sum());
    pair.set_flat(&[5.0, 6.0, 7.0]);
    assert_eq!((pair.a.value().to_vec(), pair.b.value().to_vec()), (vec![5.0, 6.0], vec![7.0]));
    assert_eq!(pair.flatten(), tensor![5.0, 6.0, 7.0]);
    assert_eq!(found.flatten_for(&pair).as_slice()[..2], found.get(&pair.a).unwrap().to_vec());
    assert_eq!(found.flatten_for(&pair).as_slice()[2..], found.get(&pair.b).unwrap().to_vec());
    pair.a.set_frozen(true);
    pair.set_flat(&[1.0]);
    assert_eq!(pair.a.value(), &tensor![5.0, 6.0]);
    assert_eq!(pair.flatten(), tensor![1.0]);
    assert_eq!(&found.flatten_for(&pair).to_vec(), &found.get(&pair.b).unwrap().to_vec());
}

#[test]
#[should_panic(expected = "set_flat: 2 numbers for 3 of the model")]
fn a_model_refuses_a_flat_slice_of_another_length() {
    Pair::new().set_flat(&[1.0, 2.0]);
}

#[test]
#[should_panic(expected = "flatten_for: no gradient for a")]
fn a_missing_gradient_does_not_flatten() {
    let pair = Pair::new();
    gradients(|tape| tape.param(&pair.b).square().sum()).1.flatten_for(&pair);
}

#[test]
fn burn_5692_parameters_without_a_gradient_are_listed_by_name() {
    let mut pair = Pair::new();
    let (_, found) = gradients(|tape| tape.param(&pair.b).square());
    assert_eq!(found.missing(&pair), ["a"]);
    assert!(found.get(&pair.a).is_none());
    assert!(pair.gradients([1.0, 1.0]).missing(&pair).is_empty());
    // Recorded, but the loss does not depend on it.
    let (_, found) = gradients(|tape| {
        let _ = tape.param(&pair.a).square();
        tape.param(&pair.b).square()
    });
    assert_eq!(found.missing(&pair), ["a"]);
    // A frozen parameter is not listed.
    pair.a.set_frozen(true);
    assert!(found.missing(&pair).is_empty());
}

#[test]
fn uses_of_a_shared_parameter_add_up() {
    let w = Param::new(tensor![2.0, 3.0]);
    let (_, found) = gradients(|tape| {
        let x = tape.constant(&tensor![10.0, 100.0]);
        (x * &w + (&w * tape.param(&w)) + (&w - x * 0.0)).sum()
    });
    assert_eq!(found.as_slice().len(), 1);
    assert_eq!(found.get(&w).unwrap().to_vec(), [10.0 + 4.0 + 1.0, 100.0 + 6.0 + 1.0]);
}

#[test]
fn a_frozen_parameter_is_a_constant() {
    let mut pair = Pair::new();
    pair.a.set_frozen(true);
    let found = pair.gradients([1.0, 1.0]);
    assert!(found.get(&pair.a).is_none() && found.get(&pair.b).is_some());
    pair.a.set_frozen(false);
    assert_eq!(numbers(&pair.gradients([1.0, 1.0]), &pair), [4.0, -2.0, 2.0]);
}

#[test]
fn a_clone_is_another_parameter_on_the_same_tape() {
    let (student, teacher) = {
        let student = Linear::new(2, 2, &mut ChaCha8Rng::seed_from_u64(0));
        let teacher = student.clone();
        (student, teacher)
    };
    assert!(student.weight.id() != teacher.weight.id());
    assert_eq!(student.weight.value(), teacher.weight.value());
    let (loss, found) = gradients(|tape| {
        let x = tape.constant(&tensor![[1.0, 2.0]]);
        (student.forward(x) - teacher.forward(x) * 2.0).sum()
    });
    assert!(loss != 0.0);
    let (one, two) = (found.get(&student.weight).unwrap(), found.get(&teacher.weight).unwrap());
    assert_eq!((one * -2.0).to_vec(), two.to_vec());
}

/// A layer that keeps the mean of its last input in a buffer.
struct MeanTracker {
    weight: Param,
    mean: Buffer,
}
params! { MeanTracker { weight, mean } }

impl Module<f64> for MeanTracker {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        if x.tape().is_training() {
            x.tape().update_buffer(&self.mean, x.mean());
        }
        x * &self.weight
    }
}

#[test]
fn buffer_updates_are_returned_with_the_gradients() {
    let mut layer =
        MeanTracker { weight: Tensor::scalar(2.0).into(), mean: Buffer::new(Tensor::scalar(0.5)) };
    let x = tensor![1.0, 3.0];
    let run =
        |layer: &MeanTracker, x: &Tensor| gradients(|tape| layer.forward(tape.constant(x)).sum()).1;
    let mut found = run(&layer, &x);
    assert_eq!(found.updates().len(), 1);
    assert_eq!(found.updates()[0], (layer.mean.id(), Tensor::scalar(2.0)));
    assert_eq!(layer.mean.value().item(), 0.5, "a tape never writes a buffer");
    // The update that was added last is kept.
    found += &run(&layer, &tensor![5.0, 6.0]);
    assert_eq!(found.updates(), [(layer.mean.id(), Tensor::scalar(5.5))]);
    assert_eq!(found.get(&layer.weight).unwrap().item(), 4.0 + 11.0);
    layer.visit_mut(Path::ROOT, &mut |path, leaf| {
        if let LeafMut::Buffer(buffer) = leaf {
            assert_eq!(path.to_string(), "mean");
            buffer.set(found.updates()[0].1.clone());
        }
    });
    assert_eq!(layer.mean.value().item(), 5.5);
    let mut names = Vec::new();
    layer.visit(Path::ROOT, &mut |path, leaf| {
        names.push((path.to_string(), matches!(leaf, Leaf::Buffer(_))));
    });
    assert_eq!(names, [("weight".to_owned(), false), ("mean".to_owned(), true)]);
    assert_eq!(evaluate(|tape| layer.forward(tape.constant(&x))), tensor![2.0, 6.0]);
}

#[test]
fn mode_and_seed_belong_to_the_tape() {
    let seen = |tape: &Tape| (tape.is_training(), tape.seed());
    let (_, _, train) = gradients_with(|tape| (tape.variable(&Tensor::scalar(1.0)), seen(tape)));
    assert_eq!(train, (true, None));
    let one = Tensor::scalar(1.0);
    let (_, _, train) = seeded(7).gradients_with(|tape| (tape.constant(&one), seen(tape)));
    assert_eq!(train, (true, Some(7)));
    let mut eval = None;
    evaluate(|tape| {
        eval = Some(seen(tape));
        tape.constant(&one)
    });
    assert_eq!(eval, Some((false, None)));
    seeded(9).evaluate(|tape| {
        eval = Some(seen(tape));
        tape.constant(&one)
    });
    assert_eq!(eval, Some((false, Some(9))));
}

#[test]
fn gradients_with_returns_a_further_value() {
    let pair = Pair::new();
    let (loss, found, prediction) = gradients_with(|tape| {
        let y = tape.param(&pair.a) * 2.0;
        (y.sum(), y.value())
    });
    assert_eq!((loss, prediction), (2.0, tensor![4.0, -2.0]));
    assert_eq!(found.get(&pair.a).unwrap().to_vec(), [2.0, 2.0]);
}

#[test]
fn gradients_can_be_nested() {
    let pair = Pair::new();
    let (_, outer) = gradients(|tape| {
        let inner = pair.gradients([1.0, 10.0]);
        (tape.constant(inner.get(&pair.a).unwrap()) * &pair.a).sum()
    });
    assert_eq!(outer.get(&pair.a).unwrap().to_vec(), [4.0, -20.0]);
}

#[test]
fn backward_does_not_change_the_tape() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![1.0, 2.0]);
    let y = x.square();
    let loss = y.sum();
    let (once, twice) = (loss.backward(), loss.backward());
    assert_eq!(once.wrt(x), twice.wrt(x));
    assert_eq!(once.wrt(x).unwrap().to_vec(), [2.0, 4.0]);
    assert_eq!(y.value(), tensor![1.0, 4.0]);
    assert_eq!((y * 2.0).sum().backward().wrt(x).unwrap().to_vec(), [4.0, 8.0]);
}

#[test]
fn writing_a_parameter_does_not_change_a_live_tape() {
    let mut pair = Pair::new();
    let tape = Tape::new();
    let before = {
        let a = tape.param(&pair.a);
        pair.a.value_mut().as_mut_slice().fill(100.0);
        a.square().sum()
    };
    assert_eq!(before.item(), 5.0);
    assert_eq!(before.backward().get(&pair.a).unwrap().to_vec(), [4.0, -2.0]);
    assert_eq!(pair.a.value(), &tensor![100.0, 100.0]);
}

#[test]
fn threads_share_a_model_and_have_a_tape_each() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    fn is_send<T: Send>(_: &T) {}
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let net = Sequential::new()
        .then(Linear::new(3, 5, &mut rng))
        .then(Tanh)
        .then(Linear::new(5, 2, &mut rng));
    let (x, y) = (Tensor::randn([8, 3], &mut rng), Tensor::randn([8, 2], &mut rng));
    is_send_and_sync(&net);
    let part = |rows: &[usize]| {
        let (x, y) = (x.take_rows(rows), y.take_rows(rows));
        gradients(|tape| net.forward(tape.constant(&x)).half_sse(&y))
    };
    let whole = part(&[0, 1, 2, 3, 4, 5, 6, 7]);
    let summed = || {
        let parts = thread::scope(|scope| {
            let workers = [[0, 1], [2, 3], [4, 5], [6, 7]].map(|rows| {
                let part = &part;
                scope.spawn(move || part(&rows))
            });
            workers.map(|worker| worker.join().expect("a worker's gradients"))
        });
        is_send(&parts);
        parts.into_iter().reduce(|(loss, mut sum), (other, gradients)| {
            sum += &gradients;
            (loss + other, sum)
        })
    };
    let (loss, sum) = summed().expect("four parts");
    assert!((loss - whole.0).abs() < 1e-13 * loss);
    assert_eq!(sum.as_slice().len(), 4);
    for (one, all) in sum.flatten().as_slice().iter().zip(whole.1.flatten().as_slice()) {
        assert!((one - all).abs() < 1e-13, "{one} for {all}");
    }
    // The order of the sum is fixed, and so are its bits.
    assert_eq!(sum.flatten(), summed().expect("four parts").1.flatten());
}
