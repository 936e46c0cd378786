//! The exercise that must always hold: one update of a two-layer net by gradient descent.
//!
//! The numbers of the exercise to a relative tolerance of 1e-5, in both precisions, written with
//! plain matrices and with layers; the draws that it begins with, from NumPy's generator; and nets
//! of any size against the same calculation in plain loops.
#![allow(unreachable_pub, reason = "modules of an example")]

use approx::{assert_relative_eq, relative_eq};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use rand_mt::Mt;

#[path = "../../examples/03_two_layer_net/exercise.rs"]
mod exercise;

/// NumPy's generator of old, as `numpy.random.seed` and `numpy.random.randn` use it.
struct NumPy {
    bits: Mt,
    /// The polar method makes two draws at a time; the other one waits here.
    other: Option<f64>,
}

impl NumPy {
    fn seed(seed: u32) -> Self {
        Self { bits: Mt::new(seed), other: None }
    }

    /// 53 random bits as a number from 0 to 1.
    fn uniform(&mut self) -> f64 {
        let (high, low) = (self.bits.next_u32() >> 5, self.bits.next_u32() >> 6);
        (f64::from(high) * f64::from(1 << 26) + f64::from(low)) / (1u64 << 53) as f64
    }

    /// Marsaglia's polar method: a point of the unit disc makes two independent normal draws.
    fn normal(&mut self) -> f64 {
        if let Some(draw) = self.other.take() {
            return draw;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 && square != 0.0 {
                let scale = (-2.0 * square.ln() / square).sqrt();
                self.other = Some(scale * x);
                return scale * y;
            }
        }
    }
}

#[test]
fn the_weights_are_numpys_draws_with_seed_0() {
    let mut numpy = NumPy::seed(0);
    let net = exercise::net();
    for w in [net.w1.value(), net.w2.value()] {
        let draws = w.as_slice().iter().map(|_| numpy.normal()).collect::<Vec<_>>();
        assert_eq!(w.as_slice(), draws);
    }
}

#[test]
fn the_function_of_the_example_gives_the_numbers_of_the_exercise() {
    let net = exercise::updated();
    for (found, expected) in [&net.w1, &net.b1, &net.w2, &net.b2].iter().zip(exercise::expected()) {
        assert_all_close(found.value().as_slice(), expected.as_slice(), 1e-5);
    }
}

#[track_caller]
fn assert_all_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (&found, &expected) in found.iter().zip(expected) {
        assert_relative_eq!(found, expected, max_relative = tolerance, epsilon = 0.0);
    }
}

/// The exercise in one precision, with plain matrices and with layers.
macro_rules! in_precision {
    ($F:ident, $($prelude:ident)::+) => {
        mod $F {
            use super::{assert_all_close, exercise};
            use $($prelude)::+::*;
            use wengert::optim::{Recipe, Sgd};

            struct Matrices { w1: Param, b1: Param, w2: Param, b2: Param }
            params! { Matrices { w1, b1, w2, b2 } }
            impl Module<$F> for Matrices {
                fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
                    let hidden = (x.matmul(&self.w1) + &self.b1).relu();
                    (hidden.matmul(&self.w2) + &self.b2).sigmoid()
                }
            }

            struct Layers { hidden: Linear, output: Linear }
            params! { Layers { hidden, output } }
            impl Module<$F> for Layers {
                fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
                    self.output.forward(self.hidden.forward(x).relu()).sigmoid()
                }
            }

            /// The loss, and `W := W - eta * gradient / n_examples`.
            fn descend(net: &mut impl Module<$F>) -> $F {
                let (x, y) = exercise::batch();
                let (x, y) = (x.cast(), y.cast());
                let (loss, grads) =
                    gradients(|tape| net.forward(tape.constant(&x)).half_sse(&y));
                Optimizer::new(Recipe::new(0.01, Sgd::default())).step(net, &(grads / 2.0));
                loss
            }

            fn assert_expected(found: [Tensor; 4]) {
                for (found, expected) in found.iter().zip(exercise::expected()) {
                    let found = found.cast::<f64>();
                    assert_eq!(found.shape(), expected.shape());
                    assert_all_close(found.as_slice(), expected.as_slice(), 1e-5);
                }
            }

            #[test]
            fn plain_matrices() {
                let net = exercise::net();
                let [w1, b1, w2, b2] =
                    [net.w1, net.b1, net.w2, net.b2].map(|w| Param::new(w.value().cast()));
                let mut net = Matrices { w1, b1, w2, b2 };
                descend(&mut net);
                assert_expected([net.w1, net.b1, net.w2, net.b2].map(|w| w.value().clone()));
            }

            #[test]
            fn layers() {
                let net = exercise::net();
                // A layer stores its weight [outputs, inputs], the exercise [inputs, outputs].
                let layer = |w: &wengert::f64::prelude::Param, b: &wengert::f64::prelude::Param| {
                    let (w, b) = (w.value().cast::<$F>(), b.value().cast());
                    Linear::from_tensors(w.transpose(0, 1), Some(b))
                };
                let mut net =
                    Layers { hidden: layer(&net.w1, &net.b1), output: layer(&net.w2, &net.b2) };
                descend(&mut net);
                let Layers { hidden, output } = net;
                let bias = |layer: &Linear| layer.bias.as_ref().unwrap().value().clone();
                let weight = |layer: &Linear| layer.weight.value().transpose(0, 1);
                assert_expected([weight(&hidden), bias(&hidden), weight(&output), bias(&output)]);
            }
        }
    };
}

in_precision! { f32, wengert::prelude }
in_precision! { f64, wengert::f64::prelude }

/// A net and its training, drawn at random.
#[derive(Clone, Debug)]
struct Training {
    inputs: usize,
    hidden: usize,
    outputs: usize,
    examples: usize,
    /// `examples` for full-batch descent, 1 for stochastic descent, between them mini-batches.
    batch_size: usize,
    eta: f64,
    seed: u64,
}

fn training() -> impl Strategy<Value = Training> {
    let sizes = (1..6usize, 1..8usize, 1..5usize, 1..9usize);
    (sizes, 0.0..1.0, 0.001..1.0, any::<u64>()).prop_map(|(sizes, share, eta, seed)| {
        let (inputs, hidden, outputs, examples) = sizes;
        let batch_size = 1 + (share * examples as f64) as usize;
        Training { inputs, hidden, outputs, examples, batch_size, eta, seed }
    })
}

/// The same net in plain loops: the derivatives by hand, nothing of the library.
struct Loops {
    w1: Vec<Vec<f64>>,
    b1: Vec<f64>,
    w2: Vec<Vec<f64>>,
    b2: Vec<f64>,
}

impl Loops {
    /// One update of half the sum of squares, and the loss before it.
    fn descend(&mut self, x: &[Vec<f64>], y: &[Vec<f64>], eta: f64) -> f64 {
        let zeros = |w: &[Vec<f64>]| vec![vec![0.0; w[0].len()]; w.len()];
        let (mut dw1, mut dw2) = (zeros(&self.w1), zeros(&self.w2));
        let (mut db1, mut db2) = (vec![0.0; self.b1.len()], vec![0.0; self.b2.len()]);
        let mut loss = 0.0;
        for (x, y) in x.iter().zip(y) {
            let mut hidden = self.b1.clone();
            for (j, h) in hidden.iter_mut().enumerate() {
                for (i, x) in x.iter().enumerate() {
                    *h += x * self.w1[i][j];
                }
                *h = h.max(0.0);
            }
            let mut back = vec![0.0; hidden.len()];
            for (k, y) in y.iter().enumerate() {
                let mut z = self.b2[k];
                for (j, h) in hidden.iter().enumerate() {
                    z += h * self.w2[j][k];
                }
                let s = 1.0 / (1.0 + (-z).exp());
                loss += 0.5 * (s - y) * (s - y);
                // By z: (s - y) from half the square, s (1 - s) from the sigmoid.
                let dz = (s - y) * s * (1.0 - s);
                db2[k] += dz;
                for (j, h) in hidden.iter().enumerate() {
                    dw2[j][k] += dz * h;
                    back[j] += dz * self.w2[j][k];
                }
            }
            for j in (0..hidden.len()).filter(|&j| hidden[j] > 0.0) {
                db1[j] += back[j];
                for (i, x) in x.iter().enumerate() {
                    dw1[i][j] += back[j] * x;
                }
            }
        }
        let rate = eta / x.len() as f64;
        let update = |w: &mut [f64], d: &[f64]| {
            for (w, d) in w.iter_mut().zip(d) {
                *w -= rate * d;
            }
        };
        self.w1.iter_mut().zip(&dw1).for_each(|(w, d)| update(w, d));
        self.w2.iter_mut().zip(&dw2).for_each(|(w, d)| update(w, d));
        update(&mut self.b1, &db1);
        update(&mut self.b2, &db2);
        loss
    }
}

proptest! {
    /// Three epochs of descent, with a batch size that makes it full-batch, mini-batch or stochastic.
    #[test]
    fn nets_of_any_size_are_trained_as_plain_loops_train_them(training in training()) {
        use wengert::f64::prelude::*;

        let Training { inputs, hidden, outputs, examples, batch_size, eta, seed } = training;
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut draw = |rows: usize, columns: usize| -> Vec<Vec<f64>> {
            let mut row = || (0..columns).map(|_| rng.random_range(-2.0..2.0)).collect();
            (0..rows).map(|_| row()).collect()
        };
        let (x, y) = (draw(examples, inputs), draw(examples, outputs));
        let (w1, b1) = (draw(inputs, hidden), draw(1, hidden).remove(0));
        let (w2, b2) = (draw(hidden, outputs), draw(1, outputs).remove(0));

        let matrix = |rows: &[Vec<f64>]| Tensor::from_vec(rows.concat(), [rows.len(), rows[0].len()]);
        let vector = |x: &[f64]| Param::new(Tensor::from_vec(x.to_vec(), [x.len()]));
        let mut net = exercise::Net {
            w1: Param::new(matrix(&w1)),
            b1: vector(&b1),
            w2: Param::new(matrix(&w2)),
            b2: vector(&b2),
        };
        let mut loops = Loops { w1, b1, w2, b2 };
        for _ in 0..3 {
            for (x, y) in x.chunks(batch_size).zip(y.chunks(batch_size)) {
                let expected = loops.descend(x, y, eta);
                let n_examples = x.len();
                let (x, y) = (matrix(x), matrix(y));
                let (loss, grads) = gradients(|tape| net.forward(tape.constant(&x)).half_sse(&y));
                exercise::update(&grads, eta, &mut net, n_examples);
                prop_assert!(close(loss, expected), "loss {loss:e}, by loops {expected:e}");
            }
        }
        let expected = [loops.w1.concat(), loops.b1, loops.w2.concat(), loops.b2];
        for ((name, found), expected) in net.named_params().into_iter().zip(expected) {
            let found = found.value();
            prop_assert_eq!(found.numel(), expected.len());
            for (&found, expected) in found.as_slice().iter().zip(expected) {
                prop_assert!(close(found, expected), "{name} {found:e}, by loops {expected:e}");
            }
        }
    }
}

/// To ten digits; a number that is all but zero by cancellation, to what is left of those.
fn close(found: f64, expected: f64) -> bool {
    relative_eq!(found, expected, max_relative = 1e-10, epsilon = 1e-14)
}
