//! Runs the cases whose instructions `.ci/counts` counts. Prints the name of each, and how often it ran.
//!
//! A case is a line of `main`. It is counted while it is in [`counted`], on one thread.

use std::hint::black_box;

use wengert::empty_cache;
use wengert::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

fn main() {
    // Before the first parallel loop, which makes the pool.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    pool.expect("the first pool");
    let rng = &mut ChaCha8Rng::seed_from_u64(0);

    let net = Sequential::new();
    let w1 = net.then(Linear::new(2, 3, rng)).then(Relu).then(Linear::new(3, 2, rng));
    training("W1", &w1, "kind = 'sgd'\nlr = 0.01", [[2, 2], [2, 2]], |prediction, y| {
        prediction.sigmoid().half_sse(y) * 0.5
    });
    let net = Sequential::new().then(Linear::new(16, 32, rng)).then(Tanh);
    let w2 = net.then(Linear::new(32, 32, rng)).then(Tanh).then(Linear::new(32, 1, rng));
    training("W2", &w2, "kind = 'adam'\nlr = 1e-3", [[32, 16], [32, 1]], |prediction, y| {
        prediction.mse(y)
    });
    update("sgd", &w2, "kind = 'sgd'\nlr = 0.01");
    update("momentum", &w2, "kind = 'momentum'\nlr = 0.01");
    update("adam", &w2, "kind = 'adam'");
    let large = Param::from(numbers([100_000]));
    update("adam/100000", &large, "kind = 'adam'");
    update("chain/100000", &large, "kind = 'adamw'\nclip_value = 1.0\nema = 0.999");

    operation("matmul/4", [&[4, 4], &[4, 4]], |[a, b]| a.matmul(b));
    operation("matmul/24", [&[24, 24], &[24, 24]], |[a, b]| a.matmul(b));
    operation("matmul/64", [&[64, 64], &[64, 64]], |[a, b]| a.matmul(b));
    operation("linear", [&[32, 196], &[32, 196], &[32]], |[x, weight, b]| x.linear(weight, b));
    operation("conv2d", [&[4, 6, 14, 14], &[16, 6, 5, 5]], |[x, weight]| {
        x.conv2d(weight, ConvOptions::new())
    });
    operation("conv2d/lanes", [&[16, 6, 14, 14], &[16, 6, 5, 5]], |[x, weight]| {
        x.conv2d(weight, ConvOptions::new())
    });
    operation("conv2d/depthwise", [&[2, 8, 28, 28], &[8, 1, 3, 3]], |[x, weight]| {
        x.conv2d(weight, ConvOptions::new().padding(1).groups(8))
    });
    operation("max_pool2d", [&[4, 6, 28, 28]], |[x]| x.max_pool2d(2));

    operation("tanh", [&[10_000]], |[x]| x.tanh());
    operation("exp", [&[10_000]], |[x]| x.exp());
    operation("gelu", [&[10_000]], |[x]| x.gelu());
    operation("add", [&[100, 100], &[100]], |[a, b]| a + b);
    operation("sum", [&[10_000]], |[x]| x.sum());
    operation("sum/columns", [&[100, 100]], |[x]| x.sum_axes(0, false));
    operation("sum/rows", [&[100, 100]], |[x]| x.sum_axes(1, false));
    operation("cumsum", [&[100, 100]], |[x]| x.cumsum(1));

    operation("softmax", [&[100, 64]], |[x]| x.softmax());
    let norm = LayerNorm::new([64]);
    operation("layer_norm", [&[100, 64]], |[x]| norm.forward(x));
    operation("attention", [&[4, 64, 16]; 3], |[q, k, v]| Attention::new().forward(q, k, v));
    let gru = Gru::new(32, 64, rng);
    operation("gru", [&[16, 4, 32]], |[x]| gru.forward(x));

    let rows = indices([100]);
    operation("index_select", [&[100, 64]], |[x]| x.index_select(0, &rows));
    let places = indices([100, 64]);
    operation("gather", [&[100, 64]], |[x]| x.gather(0, &places));
    let mut table = Embedding::from_tensor(numbers([1_000, 64]));
    let mut optimizer = Optimizer::from_toml("kind = 'sgd'\nlr = 0.01").expect("a recipe");
    case("embedding/step", || {
        let (_, grads) = gradients(|tape| table.forward(tape, &rows).sum());
        optimizer.step(&mut table, &grads);
    });
}

/// Runs before those that are counted: memory is there then, and a program has its plan.
const WARM_UP: usize = 5;
/// Runs that are counted. A program compares itself with a new recording in its fourth and in its eighth run.
const RUNS: usize = 2;

/// Runs a case; `.ci/counts` knows this function and the next one by name.
#[inline(never)]
fn counted(run: &mut dyn FnMut()) {
    (0..RUNS).for_each(|_| run());
}

#[inline(never)]
fn print(name: &str) {
    println!("{name} {RUNS}");
}

fn case<T>(name: &str, mut run: impl FnMut() -> T) {
    empty_cache();
    let mut run = || drop(black_box(run()));
    (0..WARM_UP).for_each(|_| run());
    counted(&mut run);
    print(name);
}

/// Two cases: the value of an operation, and the value with the gradients of its sum.
fn operation<const N: usize>(
    name: &str,
    shapes: [&[usize]; N],
    f: impl for<'t> Fn([Var<'t>; N]) -> Var<'t>,
) {
    let inputs = shapes.map(|shape| Param::from(numbers(shape)));
    case(name, || evaluate(|tape| f(inputs.each_ref().map(|x| tape.param(x)))));
    case(&format!("{name}/gradients"), || {
        gradients(|tape| f(inputs.each_ref().map(|x| tape.param(x))).sum())
    });
}

/// A step of an optimizer with the same gradients each time.
fn update<N: Params + Clone>(name: &str, model: &N, recipe: &str) {
    let mut model = model.clone();
    let mut optimizer = Optimizer::from_toml(recipe).expect("a recipe");
    let mut tensors = Vec::new();
    model.for_each_param_mut(&mut |_, param| {
        tensors.push((param.id(), numbers(param.value().shape())));
    });
    let grads = Gradients::from_params(tensors);
    case(name, || optimizer.step(&mut model, &grads));
}

/// Two cases: a training step that is recorded each time, and the same as a program.
fn training(
    name: &str,
    net: &Sequential,
    recipe: &str,
    [x, y]: [[usize; 2]; 2],
    loss: impl for<'t> Fn(Var<'t>, Var<'t>) -> Var<'t>,
) {
    let (x, y) = (numbers(x), numbers(y));
    let optimizer = || Optimizer::from_toml(recipe).expect("a recipe");
    let (mut model, mut rule) = (net.clone(), optimizer());
    case(&format!("{name}/tape"), || {
        let (_, grads) =
            gradients(|tape| loss(model.forward(tape.constant(&x)), tape.constant(&y)));
        rule.step(&mut model, &grads);
    });
    let (mut model, mut rule) = (net.clone(), optimizer());
    let mut program =
        Program::<Sequential, (Tensor, Tensor)>::new(|net, _, (x, y)| loss(net.forward(x), y));
    case(&format!("{name}/program"), || {
        let (_, grads) = program.gradients(&model, (&x, &y));
        rule.step(&mut model, grads);
    });
}

/// Numbers between -1 and 1.
fn numbers(shape: impl Into<Shape>) -> Tensor {
    Tensor::from_fn(shape, |i| (i * 37 % 101) as f32 / 50.0 - 1.0)
}

/// Indices below 100.
fn indices<const N: usize>(shape: [usize; N]) -> Indices {
    Indices::from_vec((0..shape.iter().product()).map(|i| i * 37 % 100).collect(), shape)
}
