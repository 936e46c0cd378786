//! Trains nets like those of W3, W5, W6 and W10 with 1, 2, 3, 4 and 7 threads, recorded at each step and replayed, in both
//! precisions, and compares all parameters bit for bit. Prints a line for each net; the status is 1 if any bits differ.
//!
//! `same_bits 200` takes 200 steps, the default is 5. The batches are large enough that products and elementwise loops are
//! shared among threads.

use std::process::ExitCode;

macro_rules! nets {
    ($name:ident, $F:ident, $prelude:path) => {
        mod $name {
            use $prelude::*;
            use wengert::Input;
            use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

            struct Mlp {
                layers: [Linear; 2],
            }
            params! { Mlp { layers } }

            struct LeNet {
                convolutions: [Conv2d; 2],
                head: Linear,
            }
            params! { LeNet { convolutions, head } }

            struct Transformer {
                tokens: Embedding,
                block: TransformerBlock,
                head: Linear,
            }
            params! { Transformer { tokens, block, head } }

            struct Recurrent {
                gru: Gru,
                head: Linear,
            }
            params! { Recurrent { gru, head } }

            /// Trains each net and returns the bits of its parameters.
            pub(crate) fn all(steps: usize, replay: bool) -> Vec<(&'static str, Vec<u64>)> {
                let rng = &mut ChaCha8Rng::seed_from_u64(1);
                let labels = |n: usize, classes: usize| -> Indices {
                    (0..n).map(|i| i * i % classes).collect::<Vec<_>>().into()
                };
                let mlp = Mlp { layers: [Linear::new(784, 128, rng), Linear::new(128, 10, rng)] };
                let x = Tensor::randn([128, 784], rng);
                let mlp = train(mlp, steps, replay, (x, labels(128, 10)), |net, _, (x, y)| {
                    net.layers[1].forward(net.layers[0].forward(x).relu()).cross_entropy(y)
                });
                let convolutions = [(1, 6), (6, 16)].map(|(inputs, outputs)| {
                    Conv2d::new(inputs, outputs, 5, ConvOptions::new(), rng)
                });
                let lenet = LeNet { convolutions, head: Linear::new(256, 10, rng) };
                let x = Tensor::randn([64, 1, 28, 28], rng);
                let lenet = train(lenet, steps, replay, (x, labels(64, 10)), |net, _, (x, y)| {
                    let x = net.convolutions.iter().fold(x, |x, layer| {
                        layer.forward(x).relu().max_pool2d(2)
                    });
                    net.head.forward(x.flatten_axes(1, -1)).cross_entropy(y)
                });
                let transformer = Transformer {
                    tokens: Embedding::new(65, 64, rng),
                    block: TransformerBlock::new(64, 4, 256, rng).causal().norm_first(),
                    head: Linear::new(64, 65, rng),
                };
                let tokens = Indices::from_vec(labels(1024, 65).as_slice().to_vec(), [16, 64]);
                let inputs = (tokens, labels(1024, 65));
                let transformer =
                    train(transformer, steps, replay, inputs, |net, tape, (tokens, y)| {
                        let x = net.block.forward(net.tokens.forward(tape, &tokens));
                        net.head.forward(x.flatten_axes(0, 1)).cross_entropy(y)
                    });
                let recurrent =
                    Recurrent { gru: Gru::new(32, 64, rng), head: Linear::new(64, 10, rng) };
                let x = Tensor::randn([64, 20, 32], rng);
                let recurrent =
                    train(recurrent, steps, replay, (x, labels(64, 10)), |net, _, (x, y)| {
                        let last = net.gru.forward(x).narrow(1, 19, 1).reshape([64, 64]);
                        net.head.forward(last).cross_entropy(y)
                    });
                vec![
                    ("fully connected", mlp),
                    ("convolutional", lenet),
                    ("transformer", transformer),
                    ("recurrent", recurrent),
                ]
            }

            /// An input that a program is given by reference.
            trait Given: for<'a> Input<$F, Given<'a> = &'a Self> + 'static {}
            impl<I: for<'a> Input<$F, Given<'a> = &'a I> + 'static> Given for I {}

            fn train<N: Params<$F> + 'static, X: Given>(
                mut net: N,
                steps: usize,
                replay: bool,
                (x, y): (X, Indices),
                loss: impl for<'t> Fn(&N, &'t Tape, (X::Recorded<'t>, Indices)) -> Var<'t> + 'static,
            ) -> Vec<u64> {
                let recipe = "kind = 'adam'\nlr = 1e-3";
                let mut optimizer = Optimizer::from_toml(recipe).expect("a valid recipe");
                if replay {
                    let mut step = Program::<N, (X, Indices)>::new(loss);
                    for _ in 0..steps {
                        let (_, grads) = step.gradients(&net, (&x, &y));
                        optimizer.step(&mut net, grads);
                    }
                } else {
                    for _ in 0..steps {
                        let (_, grads) = gradients(|tape| {
                            loss(&net, tape, tape.inputs::<(X, Indices)>((&x, &y)))
                        });
                        optimizer.step(&mut net, &grads);
                    }
                }
                net.flatten().as_slice().iter().map(|x| f64::from(*x).to_bits()).collect()
            }
        }
    };
}

nets!(single, f32, wengert::prelude);
nets!(double, f64, wengert::f64::prelude);

/// Trains in one precision.
type Train = fn(usize, bool) -> Vec<(&'static str, Vec<u64>)>;

fn main() -> ExitCode {
    let steps = std::env::args().nth(1).map_or(5, |word| word.parse().expect("a number of steps"));
    let mut same = true;
    for (precision, train) in [("f32", single::all as Train), ("f64", double::all)] {
        let on = |threads: usize, replay: bool| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.expect("a pool of threads").install(|| train(steps, replay))
        };
        let first = on(1, false);
        for threads in [1, 2, 3, 4, 7] {
            for replay in [false, true] {
                let how = if replay { "replayed" } else { "recorded" };
                for ((net, bits), (_, expected)) in on(threads, replay).iter().zip(&first) {
                    let outcome = if bits == expected { "same" } else { "DIFFERENT" };
                    same &= bits == expected;
                    println!("{precision} {net}, {threads} threads, {how}: {outcome}");
                }
            }
        }
    }
    if same { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
