//! Broadcasting of every pair of ranks up to 4, with every choice of repeated axes and with empty ones: values and
//! gradients equal those of plain loops exactly.

use wengert::f64::prelude::*;

const MAX_RANK: usize = 4;

/// The element of `x` that index `at` of the broadcast result reads: axes are aligned at the last.
fn read(x: &Tensor, at: &[usize]) -> usize {
    let shape = x.shape();
    let missing = at.len() - shape.rank();
    let clipped = shape.iter().zip(&at[missing..]).map(|(&n, &i)| if n == 1 { 0 } else { i });
    clipped.zip(shape.strides().iter()).map(|(i, stride)| i * stride).sum()
}

/// Compares `a * b + a` and its gradients with loops.
fn check(a: &Tensor, b: &Tensor) {
    let out = a.shape().broadcast(b.shape()).unwrap();
    let tape = Tape::new();
    let (x, y) = (tape.variable(a), tape.variable(b));
    let value = x * y + x;
    assert_eq!(value.shape(), out, "{:?} and {:?}", a.shape(), b.shape());
    let (mut ga, mut gb) = (vec![0.0; a.numel()], vec![0.0; b.numel()]);
    for (flat, &found) in value.value().as_slice().iter().enumerate() {
        let at = out.position(flat);
        let (i, j) = (read(a, &at), read(b, &at));
        let (u, v) = (a.as_slice()[i], b.as_slice()[j]);
        assert_eq!(found, u * v + u, "{:?} and {:?} at {at:?}", a.shape(), b.shape());
        ga[i] += v + 1.0;
        gb[j] += u;
    }
    let grads = value.sum().backward();
    let recorded = grad(value.sum(), &[x, y]);
    for (place, (variable, expected)) in [(x, ga), (y, gb)].into_iter().enumerate() {
        let found = grads.wrt(variable).unwrap();
        assert_eq!(found.shape(), variable.shape());
        assert_eq!(
            found.to_vec(),
            expected,
            "towards {place}: {:?} and {:?}",
            a.shape(),
            b.shape()
        );
        assert_eq!(recorded[place].value(), *found);
    }
}

/// Small whole numbers, so that sums are exact in any order.
fn whole(shape: &[usize], step: usize) -> Tensor {
    Tensor::from_fn(shape, |i| ((i * step) % 7) as f64 - 3.0)
}

#[test]
fn every_pair_of_ranks_and_every_choice_of_repeated_axes() {
    let mut pairs = 0;
    for full in [[2, 3, 4, 5], [3, 0, 2, 2], [1, 2, 1, 3]] {
        for (rank_a, rank_b) in (0..25).map(|i| (i / 5, i % 5)) {
            for (bits_a, bits_b) in
                (0..1 << rank_a).flat_map(|a| (0..1 << rank_b).map(move |b| (a, b)))
            {
                let side = |rank: usize, bits: usize| {
                    let extents = full[MAX_RANK - rank..].iter().enumerate();
                    let kept = extents.map(|(axis, &n)| if bits >> axis & 1 == 1 { 1 } else { n });
                    kept.collect::<Vec<_>>()
                };
                check(&whole(&side(rank_a, bits_a), 5), &whole(&side(rank_b, bits_b), 3));
                pairs += 1;
            }
        }
    }
    assert_eq!(pairs, 3 * 31 * 31);
}
