//! Programs that divide a batch: the loss and the gradients of the whole batch, with the same bits on any number of threads.

use wengert::core::{Program, gradients, seeded};
use wengert::{Float, IndexOps, Indices, MovementOps, Param, Random, ReduceOps, Tensor, UnaryOps};

use crate::program::{Net, bits, irregular, logits, refusal};

type Inputs<F> = (Tensor<F>, Indices);

fn batch<F: Float>(rows: usize, key: usize) -> Inputs<F> {
    (irregular([rows, 3], key), Indices::from((0..rows).map(|row| row % 2).collect::<Vec<_>>()))
}

fn on_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(f)
}

/// The largest difference between two lists of gradients.
fn distance<F: Float>(net: &Net<F>, a: &wengert::Gradients<F>, b: &wengert::Gradients<F>) -> f64 {
    let flat = [a, b].map(|grads| grads.flatten_for(net));
    (&flat[0] - &flat[1]).abs().max().item().to_f64()
}

/// The mean, and the sum, of the losses of rows: parts give those of the batch, whatever the rows, parts and threads.
#[test]
fn parts_make_up_the_batch() {
    for sum in [false, true] {
        for (parts, rows) in [(1, 5), (2, 8), (2, 9), (3, 8), (4, 3), (5, 21)] {
            let mut net = Net::<f64>::new();
            let scale = move |rows: usize| if sum { rows as f64 } else { 1.0 };
            let step = Program::<Net<f64>, Inputs<f64>, f64>::new(move |net, _, (x, y)| {
                let rows = x.shape()[0];
                -logits(net, x).log_softmax().pick(y).mean() * scale(rows)
            });
            let mut step = if sum { step.split_sum(parts) } else { step.split(parts) };
            for run in 0..5 {
                let (x, y) = batch(rows, run);
                let (loss, expected) = gradients(|tape| {
                    -logits(&net, tape.constant(&x)).log_softmax().pick(y.clone()).mean()
                        * scale(rows)
                });
                let (found, grads) = step.gradients(&net, (&x, &y));
                assert!((found - loss).abs() <= 1e-14 * loss, "{parts}, {rows}: {found}, {loss}");
                let distance = distance(&net, grads, &expected);
                assert!(distance < 1e-14, "{parts}, {rows}: {distance:e}");
                net.update(&expected);
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    fn run<F: Float>(threads: usize) -> Vec<u64> {
        on_threads(threads, || {
            let mut net = Net::<F>::new();
            let mut step = Program::<Net<F>, Inputs<F>, F>::new(|net, _, (x, y)| {
                -logits(net, x).log_softmax().pick(y).mean()
            })
            .split(3);
            let mut all = Vec::new();
            for (run, rows) in [31, 31, 7, 31, 7, 31].into_iter().enumerate() {
                let (x, y) = batch(rows, run);
                let (loss, grads) = step.gradients(&net, (&x, &y));
                all.extend(bits((loss, grads)));
                net.update(&grads.clone());
            }
            all
        })
    }
    for threads in [2, 3, 5] {
        assert!(run::<f32>(1) == run::<f32>(threads), "{threads} threads");
        assert!(run::<f64>(1) == run::<f64>(threads), "{threads} threads");
    }
}

/// Parts draw numbers of their own, the same for a key.
#[test]
fn parts_draw_other_numbers() {
    let scale = Param::new(Tensor::<f64>::scalar(1.0));
    let x = Tensor::<f64>::zeros([4, 100]);
    let mut noise = Program::<Param<f64>, Tensor<f64>, f64>::new(|scale, tape, x| {
        ((x + tape.random(x.shape(), Random::Normal)) * scale).mean()
    })
    .split(2);
    let mut draws =
        (0..6).map(|run| noise.seeded(run % 3).gradients(&scale, &x).0).collect::<Vec<_>>();
    assert_eq!(draws[..3], draws[3..]);
    // If both parts drew the same, the mean would be that of one part.
    for (key, draw) in draws.drain(..3).enumerate() {
        let once = seeded(key as u64)
            .evaluate(|tape| (tape.random([2, 100], Random::Normal) * &scale).mean());
        assert!((once.item() - draw).abs() > 1e-3);
    }
}

#[test]
fn rows_of_a_table_stay_known() {
    let table = Param::new(irregular::<f32, 2>([50, 4], 1));
    let mut step = Program::<Param<f32>, Indices>::new(|table, tape, rows| {
        tape.param(table).embedding(rows, None).square().mean()
    })
    .split(2);
    let rows = Indices::from([3, 7, 3, 9]);
    for _ in 0..4 {
        let (_, grads) = step.gradients(&table, &rows);
        assert_eq!(grads.rows(&table).unwrap().collect::<Vec<_>>(), [3, 7, 3, 9]);
    }
}

#[test]
fn mistakes_are_refused() {
    let net = Net::<f64>::new();
    let (x, y) = batch::<f64>(8, 1);
    let sum = refusal(|| {
        let mut step = Program::<Net<f64>, Inputs<f64>, f64>::new(|net, _, (x, y)| {
            -logits(net, x).log_softmax().pick(y).sum()
        })
        .split(2);
        step.gradients(&net, (&x, &y));
    });
    assert!(
        sum.starts_with("split: the loss of 8 rows is ") && sum.contains("the mean of its 2 parts"),
        "{sum}"
    );

    let differ = refusal(|| {
        let mut step =
            Program::<Net<f64>, Inputs<f64>, f64>::new(|net, _, (x, _)| logits(net, x).mean())
                .split(2);
        step.gradients(&net, (&x, &Indices::from([1, 0])));
    });
    assert!(differ.starts_with("split: the inputs differ in the number of examples"), "{differ}");

    let none = refusal(|| {
        let mut step =
            Program::<Net<f64>, (), f64>::new(|net, tape, ()| tape.param(&net.first).mean())
                .split(2);
        step.gradients(&net, ());
    });
    assert!(none.starts_with("split: the inputs have no axis of examples"), "{none}");

    let buffer = refusal(|| {
        let mut step = Program::<Net<f64>, Inputs<f64>, f64>::new(|net, tape, (x, _)| {
            tape.update_buffer(&net.mean, logits(net, x).stop_gradient().mean().expand([4]));
            logits(net, x).mean()
        })
        .split(2);
        step.gradients(&net, (&x, &y));
    });
    assert!(buffer.starts_with("split: the step has new values for 1 buffers"), "{buffer}");

    let zero = refusal(|| {
        let step =
            Program::<Net<f64>, Inputs<f64>, f64>::new(|net, _, (x, _)| logits(net, x).mean());
        drop(step.split(0));
    });
    assert_eq!(zero, "split: a batch has at least one part");
}

/// A bad label fails at the user's line, in whichever part it is, and later runs are as before.
#[test]
fn a_bad_label_fails_as_in_a_whole_batch() {
    let net = Net::<f64>::new();
    let mut step = Program::<Net<f64>, Inputs<f64>, f64>::new(|net, _, (x, y)| {
        -logits(net, x).log_softmax().pick(y).mean()
    })
    .split(2);
    let (x, y) = batch::<f64>(8, 1);
    let before = (0..3).map(|_| bits(step.gradients(&net, (&x, &y)))).last().unwrap();
    for place in [1, 6] {
        let mut labels = y.as_slice().to_vec();
        labels[place] = 99;
        let message = refusal(|| {
            step.gradients(&net, (&x, &Indices::from(labels.clone())));
        });
        assert!(message.contains("99"), "{message}");
        assert_eq!(bits(step.gradients(&net, (&x, &y))), before);
    }
}
