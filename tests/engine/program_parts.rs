//! Programs in parts: examples and models one by one, and large elementwise operations chunk by chunk.

use wengert::core::{Program, grad, gradients};
use wengert::{
    BinaryOps, Float, IndexOps, Indices, MovementOps, Param, ReduceOps, Tape, Tensor, UnaryOps, Var,
};

use crate::program::{Net, bits, irregular, logits, refusal};

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
        let k = h.greater(x).where_cond(h.mul_scalar(0.5), c / h.add_scalar(2.0));
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
    type Loss<F> = for<'t> fn(&Wide<F>, &'t Tape<F>, Var<'t, F>) -> Var<'t, F>;
    fn check<F: Float>(loss: Loss<F>) {
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
    for threads in [1, 3] {
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
