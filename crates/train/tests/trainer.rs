//! The trainer beside a loop by hand.

use wengert_core::rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert_core::{Params, Tensor, evaluate, gradients};
use wengert_nn::optim::Optimizer;
use wengert_nn::{Dropout, Flatten, Linear, Loss as _, Module, Relu, Sequential};
use wengert_train::data::{Batches, Dataset, Targets, digits};
use wengert_train::metrics::Accuracy;
use wengert_train::trainer::{EarlyStopping, Every, Flow, Hook, Model, Step, Stop, Trainer};

const RECIPE: &str = "kind = 'adam'\nlr = 1e-2\naccumulate = 3\nema = 0.9";

fn net() -> Sequential<f32> {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let hidden = Sequential::new().then(Flatten::new()).then(Linear::new(64, 16, rng)).then(Relu);
    hidden.then(Linear::new(16, 10, rng))
}

fn parts() -> (Dataset, Dataset) {
    let all = digits();
    (all.take_rows(&(0..200).collect::<Vec<_>>()), all.take_rows(&(200..300).collect::<Vec<_>>()))
}

fn optimizer() -> Optimizer<f32> {
    Optimizer::from_toml(RECIPE).unwrap()
}

#[test]
fn it_does_what_a_loop_does() {
    let (data, held_out) = parts();
    let batches = Batches::new(200).size(32).seed(5);
    let (mut model, mut by_hand) = (net(), optimizer());
    for epoch in 0..2 {
        for rows in batches.epoch(epoch) {
            let batch = data.take_rows(&rows);
            let (_, grads) = gradients(|tape| {
                model.forward(tape.constant(batch.numbers())).cross_entropy(batch.labels())
            });
            by_hand.step(&mut model, &grads);
        }
    }
    // Seven batches in each of two epochs: four steps of three, and two that wait.
    by_hand.flush(&mut model);
    assert_eq!(by_hand.steps(), 5);
    let right = by_hand.with_ema(&mut model, |model| {
        let logits = evaluate(|tape| model.forward(tape.constant(held_out.numbers())));
        let classes = logits.argmax();
        let pairs = classes.as_slice().iter().zip(held_out.labels().as_slice());
        pairs.filter(|(class, label)| class == label).count()
    });

    let mut trainer = Trainer::new(net(), optimizer(), data)
        .batches(batches)
        .validation(held_out)
        .metric(Accuracy::default())
        .epochs(2);
    assert_eq!(trainer.run(&mut []), Ok(Stop::Done));
    assert_eq!(trainer.evaluation().unwrap().value("accuracy"), Some(right as f64 / 100.0));
    assert_eq!(trainer.into_model().flatten(), model.flatten());
}

#[test]
fn a_state_in_the_middle_of_an_epoch_goes_on_with_the_same_bits() {
    let trainer = || {
        let (data, held_out) = parts();
        let net = Sequential::new().then(net()).then(Dropout::new(0.2));
        let metric = Accuracy::default();
        let trainer = Trainer::new(net, optimizer(), data).validation(held_out).metric(metric);
        trainer.epochs(3).evaluate_every(Every::Steps(5)).seed(9)
    };
    let mut whole = trainer();
    let mut steps = Vec::new();
    while whole.stopped().is_none() {
        steps.push(format!("{:?}", whole.step().unwrap()));
    }
    for interrupted in [0, 1, 4, 7, 13, 21] {
        let mut first = trainer();
        (0..interrupted).for_each(|_| drop(first.step().unwrap()));
        let mut second = trainer();
        second.restore(first.state()).unwrap();
        let rest: Vec<_> = std::iter::from_fn(|| {
            second.stopped().is_none().then(|| format!("{:?}", second.step().unwrap()))
        })
        .collect();
        assert_eq!(rest, steps[interrupted..]);
        assert_eq!(second.state(), whole.state());
    }
    let other = Linear::new(3, 2, &mut ChaCha8Rng::seed_from_u64(0));
    let mut other = Trainer::new(other, optimizer(), parts().0);
    let error = other.restore(whole.state()).unwrap_err();
    assert_eq!(error, "it has no weight weight");
}

/// Counts steps, and stops at one.
struct StopAt(u64, u64);

impl<M: Model> Hook<M> for StopAt {
    fn after_step(&mut self, trainer: &mut Trainer<M>, step: &Step) -> Flow {
        self.1 += 1;
        assert_eq!((step.step, self.1), (trainer.progress().step, trainer.progress().step));
        if step.step == self.0 { Flow::Stop } else { Flow::Continue }
    }
}

#[test]
fn a_hook_of_ones_own_stops_a_training_which_then_goes_on() {
    let mut trainer = Trainer::new(net(), optimizer(), parts().0).epochs(2);
    let mut hook = StopAt(6, 0);
    assert_eq!(trainer.run(&mut [&mut hook]), Ok(Stop::Hook));
    hook.0 = u64::MAX;
    assert_eq!(trainer.run(&mut [&mut hook]), Ok(Stop::Done));
    assert_eq!(hook.1, 14);
}

#[test]
fn early_stopping_counts_evaluations_and_keeps_the_best() {
    // A line with one weight; the rate is so large that each step is worse than the one before.
    let line = Linear::from_tensors(Tensor::from([[1.0]]), None);
    let data = Dataset::new(Tensor::from([[1.0]]), Targets::Values(Tensor::from([[0.0]])));
    let optimizer = Optimizer::from_toml("kind = 'sgd'\nlr = 2.0").unwrap();
    let early = EarlyStopping { patience: Some(3), ..EarlyStopping::default() };
    let mut trainer = Trainer::new(line, optimizer, data.clone())
        .validation(data)
        .epochs(100)
        .early_stopping(early);
    assert_eq!(trainer.run(&mut []), Ok(Stop::Early));
    // w <- w - 2 * 2 w = -3 w: -3 after the first step, which stays the best; then three that are worse.
    let progress = trainer.progress();
    assert_eq!(
        (progress.step, progress.best.unwrap().step, progress.best.unwrap().value),
        (4, 1, 9.0)
    );
    assert_eq!(
        trainer.take_best_weights().unwrap(),
        [("weight".to_owned(), Tensor::from([[-3.0]]))]
    );
    assert_eq!(*trainer.model().weight.value(), Tensor::from([[81.0]]));
}

#[test]
fn a_training_that_diverges_changes_nothing_more() {
    let line = Linear::from_tensors(Tensor::from([[1.0]]), None);
    let data = Dataset::new(Tensor::from([[1.0]]), Targets::Values(Tensor::from([[0.0]])));
    let optimizer = Optimizer::from_toml("kind = 'sgd'\nlr = 1e15").unwrap();
    let mut trainer = Trainer::new(line, optimizer, data).epochs(100);
    let diverged = trainer.run(&mut []).unwrap_err();
    // 1, -2e15, 4e30: its square is infinite in single precision.
    assert_eq!((diverged.step, diverged.epoch, diverged.loss), (3, 3, f32::INFINITY));
    assert_eq!(trainer.progress().step, 2);
    let weight = trainer.model().weight.value().item();
    assert!((weight / 4e30 - 1.0).abs() < 1e-6, "{weight}");
    let found = trainer.check_step().unwrap_err();
    assert_eq!((found.is_leaf, found.number), (false, f64::INFINITY));
}
