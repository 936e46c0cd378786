//! Programs: a recording run again has the bits of a new one, and what cannot be repeated is refused.

use std::cell::Cell;

use wengert::core::{Program, evaluate, grad, gradients, hvp, jvp, seeded};
use wengert::{
    Buffer, Float, Gradients, IndexOps, Indices, MatmulOps, MovementOps, Param, Random, ReduceOps,
    Tape, Tensor, UnaryOps, Var, core::params_generic,
};

pub(crate) struct Net<F: Float> {
    pub(crate) first: Param<F>,
    pub(crate) second: Param<F>,
    pub(crate) mean: Buffer<F>,
}
params_generic! { Net { first, second, mean } }

impl<F: Float> Net<F> {
    pub(crate) fn new() -> Self {
        Self {
            first: Param::new(irregular([3, 4], 1)),
            second: Param::new(irregular([4, 2], 2)),
            mean: Buffer::new(irregular([4], 3)),
        }
    }

    /// A step that changes parameters and buffers.
    pub(crate) fn update(&mut self, grads: &Gradients<F>) {
        for param in [&mut self.first, &mut self.second] {
            if let Some(g) = grads.get(param) {
                *param.value_mut() = param.value() - &(g * 0.1);
            }
        }
        if let Some((_, value)) = grads.updates().last() {
            self.mean.set(value.clone());
        }
    }
}

pub(crate) fn irregular<F: Float, const N: usize>(shape: [usize; N], key: usize) -> Tensor<F> {
    Tensor::from_fn(shape, |i| F::of(((i + 2) * (key + 3)) as f64 % 1.618 - 0.7))
}

/// Everything that a step computes, as bits.
pub(crate) fn bits<F: Float>((loss, grads): (F, &Gradients<F>)) -> Vec<u64> {
    let all = |x: &Tensor<F>| x.as_slice().iter().map(|x| x.to_f64().to_bits()).collect::<Vec<_>>();
    let grads = grads.as_slice().iter().chain(grads.updates());
    [loss.to_f64().to_bits()].into_iter().chain(grads.flat_map(|(_, g)| all(g))).collect()
}

type Loss<F> = for<'t> fn(&Net<F>, &'t Tape<F>, Var<'t, F>, Indices) -> Var<'t, F>;

/// Ten training steps, each recorded and run by a program with the same key, have the same bits. The last batch is
/// smaller.
fn repeats<F: Float>(loss: Loss<F>) {
    let mut net = Net::new();
    let mut step =
        Program::<Net<F>, (Tensor<F>, Indices), F>::new(|net, tape, (x, y)| loss(net, tape, x, y));
    for run in 0..10 {
        let rows = if run % 5 == 4 { 3 } else { 5 };
        let x = irregular([rows, 3], run);
        let y = Indices::from((0..rows).map(|row| (row + run) % 2).collect::<Vec<_>>());
        let key = run as u64;
        let value = seeded(key).evaluate(|tape| loss(&net, tape, tape.constant(&x), y.clone()));
        assert_eq!(step.seeded(key).evaluate(&net, (&x, &y)), value, "run {run}");
        let (again, grads) =
            seeded(key).gradients(|tape| loss(&net, tape, tape.constant(&x), y.clone()));
        let (value, repeated) = step.seeded(key).gradients(&net, (&x, &y));
        let ids = |grads: &Gradients<F>| grads.as_slice().iter().map(|g| g.0).collect::<Vec<_>>();
        assert_eq!(ids(repeated), ids(&grads), "run {run}");
        assert_eq!(bits((value, repeated)), bits((again, &grads)), "run {run}");
        net.update(&grads);
    }
}

fn in_both_precisions(single: Loss<f32>, double: Loss<f64>) {
    repeats(single);
    repeats(double);
}

macro_rules! repeats {
    ($($name:ident: |$net:ident, $tape:ident, $x:ident, $y:ident| $body:expr;)*) => {$(
        #[test]
        fn $name() {
            fn loss<'t, F: Float>(
                $net: &Net<F>,
                $tape: &'t Tape<F>,
                $x: Var<'t, F>,
                $y: Indices,
            ) -> Var<'t, F> {
                $body
            }
            in_both_precisions(loss, loss);
        }
    )*};
}

pub(crate) fn logits<'t, F: Float>(net: &Net<F>, x: Var<'t, F>) -> Var<'t, F> {
    x.matmul(&net.first).tanh().matmul(&net.second)
}

repeats! {
    a_classifier: |net, _tape, x, y| -logits(net, x).log_softmax().pick(y).mean();

    indices_that_the_closure_makes: |net, _tape, x, y| {
        logits(net, x).index_select(0, [1, 1, 0]).sum() + logits(net, x).pick(&y).square().mean()
    };

    a_replaced_index: |net, _tape, x, y| logits(net, x).pick(y.replaced(1, 0)).square().sum();

    random_numbers: |net, tape, x, _y| {
        let noise = tape.random(x.shape(), Random::Normal);
        let kept = tape.random([4], Random::Bernoulli(0.5));
        ((x + noise).matmul(&net.first) * kept).matmul(&net.second).square().mean()
    };

    a_buffer_that_is_updated: |net, tape, x, _y| {
        let h = x.matmul(&net.first);
        let mean = tape.buffer(&net.mean);
        if tape.is_training() {
            let batch = h.stop_gradient().mean_axes(0, false);
            tape.update_buffer(&net.mean, mean * 0.9 + batch * 0.1);
        }
        (h - mean).matmul(&net.second).square().sum()
    };

    values_that_share_memory: |net, tape, x, _y| {
        let h = x.matmul(&net.first).mean_axes(0, true);
        tape.update_buffer(&net.mean, h.stop_gradient().reshape([4]));
        h.matmul(&net.second).square().sum_axes(-1, true).sum()
    };

    a_checkpoint: |net, _tape, x, _y| {
        x.checkpoint(|x| x.matmul(&net.first).tanh().exp().checkpoint(|h| h.sin().square()))
            .matmul(&net.second)
            .square()
            .mean()
    };

    a_derivative_through_a_checkpoint: |net, _tape, x, _y| {
        let x = x.to_variable();
        let y = x.checkpoint(|x| x.matmul(&net.first).tanh().exp()).matmul(&net.second);
        let slope = grad(y.square().sum(), &[x])[0];
        slope.square().sum() + y.sum()
    };

    a_physics_informed_loss: |net, _tape, x, _y| {
        let x = x.to_variable();
        let u = logits(net, x);
        let first = grad(u.sum(), &[x])[0];
        let second = grad(first.sum(), &[x])[0];
        (second + u.sum_axes(1, true).sin()).square().mean()
    };

    forward_mode_and_curvature: |net, tape, x, _y| {
        let weight = tape.param(&net.first);
        let x = x.to_variable();
        let y = x.matmul(weight).tanh();
        let along = jvp(y, &[x], &[x.cos()]);
        let curvature = hvp(y.square().sum(), &[x], &[x.sin()])[0];
        along.square().sum() + curvature.mean()
    };

    a_bound_parameter: |net, tape, x, _y| {
        let second = tape.param(&net.second);
        if tape.is_training() {
            let loss = x.matmul(&net.first).matmul(second).square().mean();
            tape.bind(&net.second, second - grad(loss, &[second])[0] * 0.1);
        }
        logits(net, x).square().mean()
    };

    a_temporary_recording: |net, tape, x, _y| {
        let mut start = x.mean_axes(0, true).stop_gradient();
        for _ in 0..3 {
            start = tape.temporarily(|| {
                let [cos, sin] = tape.temporarily(|| [start.cos(), start.sin()]);
                cos * 0.5 + sin * tape.random([1, 3], Random::Uniform)
            });
        }
        logits(net, x - start).square().mean()
    };

    constants_of_a_temporary_recording: |net, tape, x, _y| {
        let shift = tape.temporarily(|| {
            let scale = tape.constant(&irregular([3], 7));
            (x.mean_axes(0, false) * scale).exp()
        });
        logits(net, x - shift).square().mean()
    };

    a_derivative_of_rows_that_are_an_input: |net, _tape, x, y| {
        let x = x.to_variable();
        let rows = logits(net, x).index_select(0, y);
        grad(rows.square().sum(), &[x])[0].square().sum()
    };

    a_part_in_evaluation_mode: |net, tape, x, _y| {
        let scale = tape.eval_mode(|| if tape.is_training() { 2.0 } else { 3.0 });
        logits(net, x * scale).square().mean()
    };

    a_reshaped_parameter_and_an_unused_one: |net, _tape, x, _y| {
        (x.tape().param(&net.first).reshape([4, 3]).sum_axes(0, false) + x).square().mean()
    };
}

#[test]
fn a_frozen_parameter_is_recorded_anew() {
    let mut net = Net::<f64>::new();
    let mut step = Program::<Net<f64>, Tensor<f64>, f64>::new(|net, _, x| logits(net, x).sum());
    let x = irregular([5, 3], 0);
    for run in 0..12 {
        net.first.set_frozen(run % 4 > 1);
        let again = gradients(|tape| logits(&net, tape.constant(&x)).sum());
        let (loss, grads) = step.gradients(&net, &x);
        assert_eq!(grads.get(&net.first).is_none(), run % 4 > 1);
        assert_eq!(bits((loss, grads)), bits((again.0, &again.1)));
        net.update(&again.1);
    }
}

#[test]
fn another_model_and_another_shape_are_recorded_anew() {
    let mut nets = [Net::<f32>::new(), Net::new()];
    nets[1].first = Param::new(irregular([3, 6], 5));
    nets[1].second = Param::new(irregular([6, 2], 5));
    let mut step = Program::<Net<f32>, Tensor<f32>>::new(|net, _, x| logits(net, x).square().sum());
    for run in 0..10 {
        let net = &mut nets[run % 2];
        let x = irregular([5, 3], run);
        let again = gradients(|tape| logits(net, tape.constant(&x)).square().sum());
        assert_eq!(bits(step.gradients(net, &x)), bits((again.0, &again.1)));
        assert_eq!(step.evaluate(net, &x).item(), again.0);
        net.update(&again.1);
    }
    // A parameter that grows in place.
    nets[0].second = Param::new(irregular([4, 7], 0));
    let x = irregular([5, 3], 0);
    let again = evaluate(|tape| logits(&nets[0], tape.constant(&x)).square().sum());
    assert_eq!(step.evaluate(&nets[0], &x), again);
}

#[test]
fn results_stay_as_they_are_when_the_program_runs_again() {
    let net = Net::<f64>::new();
    let mut step = Program::<Net<f64>, Tensor<f64>, f64>::new(|net, _, x| logits(net, x));
    let values = (0..8).map(|run| step.evaluate(&net, &irregular([5, 3], run))).collect::<Vec<_>>();
    for (run, value) in values.iter().enumerate() {
        let x = irregular([5, 3], run);
        assert_eq!(value, &evaluate(|tape| logits(&net, tape.constant(&x))));
    }
    let mut step = Program::<Net<f64>, Tensor<f64>, f64>::new(|net, _, x| logits(net, x).sum());
    let kept = (0..8).map(|run| step.gradients(&net, &irregular([5, 3], run)).1.clone());
    for (run, kept) in kept.collect::<Vec<_>>().iter().enumerate() {
        let x = irregular([5, 3], run);
        let (_, again) = gradients(|tape| logits(&net, tape.constant(&x)).sum());
        assert_eq!(kept.get(&net.first), again.get(&net.first));
    }
}

/// The message of the panic of `f`, and its line.
pub(crate) fn refusal(f: impl FnOnce()) -> String {
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_err();
    panic
        .downcast::<String>()
        .map(|text| *text)
        .or_else(|panic| panic.downcast::<&str>().map(|text| text.to_string()))
        .unwrap()
}

fn refused(loss: Loss<f64>, runs: usize) -> String {
    refusal(|| {
        let mut net = Net::new();
        let mut step =
            Program::<Net<f64>, (Tensor<f64>, Indices), f64>::new(|net, tape, (x, y)| {
                loss(net, tape, x, y)
            });
        for run in 0..runs {
            let (x, y) = (irregular([2, 3], run), Indices::from([run % 2, 0]));
            let (_, grads) = step.gradients(&net, (&x, &y));
            net.update(&grads.clone());
        }
    })
}

#[test]
fn what_the_closure_reads_is_refused() {
    let item = refused(
        |net, _, x, _| if logits(net, x).sum().item() > 0.0 { x.sum() } else { x.mean() },
        1,
    );
    assert!(
        item.starts_with("item: a program runs this recording again with other values"),
        "{item}"
    );
    let value = refused(|net, tape, x, _| (x * &x.value()).sum() * tape.param(&net.first).sum(), 1);
    assert!(value.starts_with("value: "), "{value}");
    let backward = refused(
        |net, _, x, _| {
            logits(net, x).sum().backward();
            x.sum()
        },
        1,
    );
    assert!(backward.starts_with("backward: "), "{backward}");
    let labels = refused(|net, _, x, y| logits(net, x).sum() * y.as_slice()[0] as f64, 1);
    assert!(labels.contains("runs this recording again with other indices"), "{labels}");
    let one_hot = refused(|net, _, x, y| (logits(net, x) * &Tensor::one_hot(y, 2)).sum(), 1);
    assert!(one_hot.contains("with other indices"), "{one_hot}");
    let buffer = refused(
        |net, tape, x, _| (x.matmul(&net.first) - tape.constant(net.mean.value())).sum(),
        1,
    );
    assert!(buffer.contains("shares its memory with `mean` of the model"), "{buffer}");
    let foreign =
        refused(|net, _, x, _| (logits(net, x) * &Param::new(Tensor::ones([2]))).sum(), 1);
    assert!(
        foreign.contains("of shape [2] at ") && foreign.contains("is not in the model"),
        "{foreign}"
    );
}

#[test]
fn a_computation_that_changes_from_run_to_run_is_refused() {
    // A constant computed from a parameter, outside of the tape.
    let constant =
        refused(|net, _, x, _| (logits(net, x) * &net.second.value().abs().sum()).sum(), 2);
    assert!(
        constant.starts_with(
            "program: run 2 records another computation than the first: a leaf of shape []"
        ),
        "{constant}"
    );
    let number = refused(|net, _, x, _| logits(net, x).sum() * net.second.value().at(&[0, 0]), 2);
    assert!(number.contains("MulScalar { factor: "), "{number}");
    // Steps that count themselves, and branch late.
    let steps = Cell::new(0);
    let mut step = Program::<Net<f64>, Tensor<f64>, f64>::new(|net, _, x| {
        steps.set(steps.get() + 1);
        if steps.get() < 4 { logits(net, x).sum() } else { logits(net, x).mean() }
    });
    let (net, x) = (Net::new(), irregular([2, 3], 0));
    let branch = refusal(|| {
        (0..8).for_each(|_| {
            step.gradients(&net, &x);
        })
    });
    assert!(branch.starts_with("program: run 8 records another"), "{branch}");
}

#[test]
fn a_bad_label_fails_as_in_a_new_recording() {
    let message = refusal(|| {
        let net = Net::<f64>::new();
        let mut step = Program::<Net<f64>, Indices, f64>::new(|net, tape, y| {
            tape.param(&net.first).pick(y).sum()
        });
        for label in [0, 1, 2, 3, 4] {
            step.gradients(&net, &Indices::from([label, 0, 3]));
        }
    });
    assert!(message.contains("pick: index 4 at place 0 is out of range (0..4)"), "{message}");
}

#[test]
fn a_parameter_that_is_the_loss_has_the_gradient_one() {
    let mut loss = Param::new(Tensor::<f64>::scalar(2.0));
    let mut step = Program::<Param<f64>, (), f64>::new(|loss, tape, ()| tape.param(loss));
    for run in 0..5 {
        let (value, grads) = step.gradients(&loss, ());
        assert_eq!((value, grads.get(&loss)), (2.0 + run as f64, Some(&Tensor::scalar(1.0))));
        *loss.value_mut() = loss.value() + 1.0;
    }
    loss.set_frozen(true);
    assert_eq!(step.gradients(&loss, ()).1.get(&loss), None);
}
