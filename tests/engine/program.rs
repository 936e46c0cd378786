//! Programs: a recording run again has the bits of a new one, and what cannot be repeated is refused.

use std::cell::Cell;

use wengert::core::{Program, evaluate, grad, gradients, hvp, jvp, seeded};
use wengert::{
    BinaryOps, Buffer, Float, Gradients, IndexOps, Indices, MatmulOps, MovementOps, Param, Params,
    Random, ReduceOps, Tape, Tensor, UnaryOps, Var, core::params_generic,
};

struct Net<F: Float> {
    first: Param<F>,
    second: Param<F>,
    mean: Buffer<F>,
}
params_generic! { Net { first, second, mean } }

impl<F: Float> Net<F> {
    fn new() -> Self {
        Self {
            first: Param::new(irregular([3, 4], 1)),
            second: Param::new(irregular([4, 2], 2)),
            mean: Buffer::new(irregular([4], 3)),
        }
    }

    /// A step that changes parameters and buffers.
    fn update(&mut self, grads: &Gradients<F>) {
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

fn irregular<F: Float, const N: usize>(shape: [usize; N], key: usize) -> Tensor<F> {
    Tensor::from_fn(shape, |i| F::of(((i + 2) * (key + 3)) as f64 % 1.618 - 0.7))
}

/// Everything that a step computes, as bits.
fn bits<F: Float>((loss, grads): (F, &Gradients<F>)) -> Vec<u64> {
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

fn logits<'t, F: Float>(net: &Net<F>, x: Var<'t, F>) -> Var<'t, F> {
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
fn refusal(f: impl FnOnce()) -> String {
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

/// The loss and gradients of each example have the bits of a tape of its own, for any number of threads.
#[test]
fn examples_one_by_one() {
    fn loss<'t, F: Float>(net: &Net<F>, x: Var<'t, F>, y: Indices) -> Var<'t, F> {
        -logits(net, x).log_softmax().pick(y).mean()
    }
    fn check<F: Float>() {
        let (x, y) = (irregular([37, 3], 1), Indices::from([0, 1].repeat(37)[..37].to_vec()));
        let mut net = Net::<F>::new();
        let mut step =
            Program::<Net<F>, (Tensor<F>, Indices), F>::new(|net, _, (x, y)| loss(net, x, y));
        for _ in 0..4 {
            let found = step
                .per_example(&net, (&x, &y), |example, loss, grads| (example, bits((loss, grads))));
            let one = |i: usize| {
                let (x, y) = (x.take_rows(&[i]), Indices::from([y.as_slice()[i]]));
                let (value, grads) = gradients(|tape| loss(&net, tape.constant(&x), y));
                (i, bits((value, &grads)))
            };
            assert_eq!(found, (0..37).map(one).collect::<Vec<_>>());
            // The model is not held: it changes in place.
            let (_, grads) = gradients(|tape| loss(&net, tape.constant(&x), y.clone()));
            net.update(&grads);
        }
        let nothing = (&x.take_rows(&[]), &Indices::from([0; 0]));
        assert_eq!(step.per_example(&net, nothing, |example, _, _| example), [0; 0]);
    }
    for threads in [1, 2, 3, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(check::<f32>);
        pool.install(check::<f64>);
    }
}

#[test]
fn mistakes_of_examples_panic_as_on_a_tape() {
    let net = Net::<f64>::new();
    let mut step = Program::<Net<f64>, (Tensor<f64>, Indices), f64>::new(|net, _, (x, y)| {
        logits(net, x).pick(y).sum()
    });
    let x = irregular([9, 3], 0);
    let label = refusal(|| {
        let labels = Indices::from([0, 1, 0, 1, 0, 1, 0, 2, 1]);
        step.per_example(&net, (&x, &labels), |_, _, _| ());
    });
    assert!(label.contains("pick: index 2 at place 0 is out of range (0..2)"), "{label}");
    let rows = refusal(|| drop(step.per_example(&net, (&x, &Indices::from([0; 8])), |_, _, _| ())));
    assert!(rows.contains("the inputs differ in the number of examples: [[9, 3], [8]]"), "{rows}");
    let mut none = Program::<Net<f64>, (), f64>::new(|net, tape, ()| tape.param(&net.first).sum());
    let none = refusal(|| drop(none.per_example(&net, (), |_, _, _| ())));
    assert!(none.contains("no axis of examples"), "{none}");
}

/// Large elementwise operations run together, chunk by chunk and on all threads.
#[test]
fn large_elementwise_operations() {
    type Wide<F> = [Param<F>; 3];
    const SIZE: usize = 70_001;
    fn tanh<'t, F: Float>(p: &Wide<F>, tape: &'t Tape<F>, x: Var<'t, F>) -> Var<'t, F> {
        let [a, b, c] = p.each_ref().map(|p| tape.param(p));
        ((x * a + b).tanh() * a.sigmoid() * c).mean()
    }
    /// Values that are read outside of the run, too, and numbers that are not differentiated.
    fn reused<'t, F: Float>(p: &Wide<F>, tape: &'t Tape<F>, x: Var<'t, F>) -> Var<'t, F> {
        let [a, b, c] = p.each_ref().map(|p| tape.param(p));
        let scale = x.mean().square();
        let h = (a * scale + b).exp().maximum(x);
        let k = h.greater(F::ONE).where_cond(h.mul_scalar(0.5), c / h.add_scalar(2.0));
        let peak = h.max();
        let norm = (k - h.square().mean()).sin();
        (norm * h + a).sum() + peak + k.square().sum() + norm.cos().sum()
    }
    /// The second derivative, recorded.
    fn curved<'t, F: Float>(p: &Wide<F>, tape: &'t Tape<F>, x: Var<'t, F>) -> Var<'t, F> {
        let [a, b, c] = p.each_ref().map(|p| tape.param(p));
        let x = x.to_variable();
        let slope = grad(((x * a).tanh() * b).sum(), &[x])[0];
        (slope * c).square().mean() + x.reshape([1, SIZE]).expand([2, SIZE]).sin().mean()
    }
    fn check<F: Float>(loss: for<'t> fn(&Wide<F>, &'t Tape<F>, Var<'t, F>) -> Var<'t, F>) {
        let mut model = [1, 2, 3].map(|key| Param::new(irregular([SIZE], key)));
        let mut step = Program::<Wide<F>, Tensor<F>, F>::new(loss);
        for run in 0..5 {
            let x = irregular([SIZE], run);
            let (value, grads) = gradients(|tape| loss(&model, tape, tape.constant(&x)));
            let repeated = bits(step.gradients(&model, &x));
            assert!(repeated == bits((value, &grads)), "run {run}");
            for param in &mut model {
                *param.value_mut() = param.value() - &(grads.get(param).unwrap() * 0.1);
            }
        }
    }
    for threads in [1, 2, 3, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            check::<f32>(tanh);
            check::<f64>(tanh);
            check::<f32>(reused);
            check::<f64>(reused);
            check::<f32>(curved);
            check::<f64>(curved);
        });
    }
}

/// Each model of an ensemble has the bits of a run of its own; one of another structure is recorded.
#[test]
fn models_one_by_one() {
    fn check<F: Float>() {
        let mut nets = [0, 1, 2, 3, 4].map(|key| {
            let mut net = Net::<F>::new();
            net.first.set(irregular([3, 4], key));
            net
        });
        nets[3].second.set_frozen(true);
        let x = irregular([5, 3], 1);
        let mut step = Program::<Net<F>, Tensor<F>, F>::new(|net, tape, x| {
            tape.update_buffer(&net.mean, tape.buffer(&net.mean) * 0.5);
            logits(net, x).square().sum()
        });
        for _ in 0..3 {
            let all = nets.each_ref();
            let found = step.per_model(&all, &x, |model, loss, grads| {
                let ids = grads.as_slice().iter().chain(grads.updates()).map(|(id, _)| *id);
                (model, ids.collect::<Vec<_>>(), bits((loss, grads)))
            });
            for (model, net) in nets.iter_mut().enumerate() {
                let (loss, grads) = gradients(|tape| {
                    tape.update_buffer(&net.mean, tape.buffer(&net.mean) * 0.5);
                    logits(net, tape.constant(&x)).square().sum()
                });
                let ids = grads.as_slice().iter().chain(grads.updates()).map(|(id, _)| *id);
                assert_eq!(found[model], (model, ids.collect(), bits((loss, &grads))));
                net.update(&grads);
            }
        }
    }
    for threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(check::<f32>);
        pool.install(check::<f64>);
    }
}
