//! Parts of a model with a mode of their own, and what becomes of the statistics of a batch norm.

use wengert::f64::prelude::*;
use wengert::{check_model, optim};

/// A batch norm that remembers mean 1 and variance 4. The batches below have mean 4 and biased variance 4.
fn norm() -> BatchNorm1d {
    let mut norm = BatchNorm1d::new(1).eps(0.0);
    norm.running_mean.as_mut().unwrap().set(tensor![1.0]);
    norm.running_var.as_mut().unwrap().set(tensor![4.0]);
    norm
}

fn batch() -> Tensor {
    tensor![[2.0], [6.0]]
}

fn running(norm: &BatchNorm1d) -> [f64; 3] {
    [&norm.running_mean, &norm.running_var, &norm.num_batches_tracked]
        .map(|buffer| buffer.as_ref().unwrap().value().to_vec()[0])
}

#[test]
fn a_teacher_evaluates_beside_a_student_that_trains() {
    let (teacher, mut student) = (norm(), norm());
    let (_, grads) = gradients(|tape| {
        let x = tape.constant(&batch());
        let wanted = tape.eval_mode(|| teacher.forward(x));
        let found = student.forward(x);
        assert_eq!(wanted.value(), tensor![[0.5], [2.5]]);
        assert_eq!(found.value(), tensor![[-1.0], [1.0]]);
        found.mse(wanted.stop_gradient())
    });
    // The mean and the unbiased variance, 8, of the batch enter with weight 0.1; the teacher records nothing.
    assert_eq!(grads.updates().len(), 3);
    let mut optimizer = Optimizer::from_toml("kind = 'sgd'\nlr = 0.1").unwrap();
    optimizer.step(&mut student, &grads);
    let [mean, var, count] = running(&student);
    assert!((mean - 1.3).abs() < 1e-15 && (var - 4.4).abs() < 1e-15 && count == 1.0);
    assert_eq!(running(&teacher), [1.0, 4.0, 0.0]);
}

#[test]
fn fine_tuning_keeps_statistics_and_trains_weights() {
    let mut net = Sequential::new().then(EvalMode::new(norm())).then(Dropout::new(0.0));
    assert_eq!(net.named_params()[0].0, "0.weight");
    let (_, grads) = gradients(|tape| net.forward(tape.constant(&batch())).sum());
    // The derivative by the weight is the sum of the normalized elements, 0.5 + 2.5.
    assert_eq!(grads.named(&net, "0.weight"), Some(&tensor![3.0]));
    assert_eq!(grads.named(&net, "0.bias"), Some(&tensor![2.0]));
    assert!(grads.updates().is_empty());
    Optimizer::from_toml("kind = 'sgd'\nlr = 0.1").unwrap().step(&mut net, &grads);
    check_model(&net, |tape| net.forward(tape.constant(&batch())).square().sum()).unwrap();
}

#[test]
fn dropout_in_evaluation_mode_changes_nothing_and_needs_no_key() {
    let (drop, x) = (Dropout::new(0.5), Tensor::ones([8]));
    let (_, _) = gradients(|tape| {
        let x = tape.constant(&x);
        assert_eq!(EvalMode::new(drop).forward(x).value(), x.value());
        let lstm = Dropout2d::new(1.0);
        let plane = tape.constant(&Tensor::ones([1, 2, 2, 2]));
        assert_eq!(tape.eval_mode(|| lstm.forward(plane)).value(), plane.value());
        x.sum()
    });
}

#[test]
fn the_mode_ends_with_the_part() {
    let tape = Tape::new();
    tape.eval_mode(|| {
        tape.eval_mode(|| assert!(!tape.is_training()));
        assert!(!tape.is_training());
    });
    let part =
        std::panic::AssertUnwindSafe(|| tape.eval_mode(|| std::panic::resume_unwind(Box::new(()))));
    assert!(std::panic::catch_unwind(part).is_err());
    assert!(tape.is_training() && tape.seed().is_none());
    // The values of a checkpoint are those of the mode in which it was recorded.
    let norm = norm();
    let x = tape.variable(&batch());
    let y = tape.eval_mode(|| x.checkpoint(|x| norm.forward(x)));
    assert_eq!(y.sum().backward().wrt(x), Some(&tensor![[0.5], [0.5]]));
}

#[test]
fn a_step_that_is_skipped_keeps_the_statistics() {
    let mut norm = norm();
    let (_, grads) = gradients(|tape| norm.forward(tape.constant(&batch())).sum() * f64::NAN);
    assert!(!grads.is_finite() && !grads.updates().is_empty());
    let recipe = optim::Recipe::new(0.1, optim::Sgd::default());
    let mut optimizer = Optimizer::new(recipe.with_non_finite(optim::NonFinite::Skip));
    optimizer.step(&mut norm, &grads);
    assert_eq!((optimizer.skipped(), running(&norm)), (1, [1.0, 4.0, 0.0]));
}
