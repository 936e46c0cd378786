//! Squares that overflow or vanish, products of 0 and an infinite logarithm, and empty batches. The expected values are
//! by hand.

use wengert::core::{self, Float};
use wengert::f64::prelude as double;
use wengert::prelude::*;
use wengert::{Axes, ops};

/// The value of `f` and its gradient.
fn differentiate<F: Float>(
    x: &core::Tensor<F>,
    f: impl for<'t> Fn(core::Var<'t, F>) -> core::Var<'t, F>,
) -> (core::Tensor<F>, core::Tensor<F>) {
    let tape = wengert::Tape::new();
    let x = tape.variable(x);
    let y = f(x);
    (y.value(), y.sum().backward().wrt(x).expect("a gradient").clone())
}

#[track_caller]
fn assert_near<F: Float>(found: &core::Tensor<F>, exact: &[f64]) {
    assert_eq!(found.numel(), exact.len());
    let largest = exact.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
    for (found, exact) in found.as_slice().iter().zip(exact) {
        let (found, limit) = (found.to_f64(), 8.0 * F::EPSILON.to_f64() * largest);
        assert!(found == *exact || (found - exact).abs() <= limit, "{found:e}, not {exact:e}");
    }
}

/// Norms, deviations and normalized rows of `scale` times simple rows.
fn at_scale<F: Float>(scale: f64) {
    let of = |x: &[f64]| core::Tensor::<F>::from_fn([x.len()], |i| F::of(x[i] * scale));
    let (y, g) = differentiate(&of(&[3.0, -4.0]), |x| x.norm(2.0));
    assert_near(&y, &[5.0 * scale]);
    assert_near(&g, &[0.6, -0.8]);
    // |x|_3 of (1, 2, 2) is the cube root of 17; its derivative is (x / |x|)^2.
    let (y, g) = differentiate(&of(&[1.0, -2.0, 2.0]), |x| x.norm(3.0));
    let cube_root = 17f64.cbrt();
    assert_near(&y, &[cube_root * scale]);
    assert_near(&g, &[1.0, -4.0, 4.0].map(|x| x / (cube_root * cube_root)));
    let (y, g) = differentiate(&of(&[1.0, 3.0, 5.0]), |x| x.std(1));
    assert_near(&y, &[2.0 * scale]);
    assert_near(&g, &[-0.5, 0.0, 0.5]);
    let (y, _) = differentiate(&of(&[1.0, 3.0]).reshape([1, 2]), |x| x.norm_axes(2.0, 0, false));
    assert_near(&y, &[scale, 3.0 * scale]);
    // A triplet: distances 5 and 0, and nothing overflows.
    let (y, g) = differentiate(&of(&[3.0, 4.0]), |x| {
        let settings = wengert::nn::TripletMargin::new().eps(0.0);
        x.triplet_margin_with(&core::Tensor::zeros([2]), x.stop_gradient(), settings)
    });
    assert_near(&y, &[5.0 * scale + 1.0]);
    assert_near(&g, &[0.6, 0.8]);
}

#[test]
fn norms_and_deviations_neither_overflow_nor_vanish() {
    for scale in [1.0, 1e20, 1e-25, 1e37] {
        at_scale::<f32>(scale);
    }
    for scale in [1.0, 1e200, 1e-200] {
        at_scale::<f64>(scale);
    }
}

#[test]
fn norm_layers_of_large_numbers_are_normalized_and_have_a_gradient() {
    // The rows are symmetrical about 0: normalized they are -1 and 1, and the gradient towards the first of the weighted
    // sum y[0] + 2 y[1] + 2 y[2] is by hand.
    let x = Tensor::from([[-1e20, 0.0, 1e20]]);
    let root = 1.5f64.sqrt();
    let layer = LayerNorm::new([3]);
    let (y, g) = differentiate(&x, |x| layer.forward(x) * &Tensor::from([1.0, 2.0, 2.0]));
    assert_near(&y, &[-root, 0.0, 2.0 * root]);
    // (w - mean(w) - y mean(w y)) / s with w = (1, 2, 2), y = root (-1, 0, 1), s = 1e20 / root, mean(w y) = root / 3.
    let s = 1e20 / root;
    let exact = [-1.0, 2.0, -1.0].map(|k: f64| k / 6.0 / s);
    for (g, exact) in g.as_slice().iter().zip(exact) {
        assert!((f64::from(*g) - exact).abs() < 1e-6 / s, "{g:e}, not {exact:e}");
    }
    let layer = wengert::prelude::RmsNorm::new([3]);
    let (y, g) = differentiate(&x, |x| layer.forward(x));
    assert_near(&y, &[-root, 0.0, root]);
    assert!(g.as_slice().iter().any(|g| *g != 0.0) && g.is_finite());
    let layer = GroupNorm::new(1, 3);
    assert_near(&differentiate(&x, |x| layer.forward(x)).0, &[-root, 0.0, root]);
    let tape = wengert::seeded(0).tape();
    let layer = BatchNorm1d::new(1);
    let y = layer.forward(tape.constant(&x.reshape([3, 1])));
    assert_near(&y.value(), &[-root, 0.0, root]);
}

#[test]
fn a_quotient_keeps_the_derivative_of_the_denominator() {
    let quotient = |a: f32, b: f32| differentiate(&Tensor::scalar(b), |b| &Tensor::scalar(a) / b).1;
    assert_near(&quotient(1e20, 1e20), &[-1e-20]);
    assert_near(&quotient(1e-30, 1e-25), &[-1e20]);
    let (a, b) = (1e200, 1e200);
    let (_, g) = differentiate(&double::Tensor::scalar(b), |b| &double::Tensor::scalar(a) / b);
    assert_near(&g, &[-1e-200]);
    // The cosine of vectors whose squares overflow.
    let x = Tensor::from([[1e25, 0.0], [1e-4, 0.0]]);
    let other = Tensor::from([[1e30, 1e30], [1e-4, 1e-4]]);
    let (y, g) = differentiate(&x, |x| {
        x.cosine_embedding_with(&other, &Tensor::ones([2]), wengert::Reduction::None)
    });
    assert!(y.as_slice().iter().all(|y| (y - (1.0 - 0.5f32.sqrt())).abs() < 1e-3), "{y}");
    assert_near(&g.slice(0, ..1).slice(1, 1..), &[-(0.5f64.sqrt()) * 1e-25]);
}

#[test]
fn a_variance_without_degrees_of_freedom_is_nan() {
    let x = Tensor::from([1.0, 2.0]);
    for correction in [2, 3, usize::MAX] {
        assert!(x.var(correction).item().is_nan() && x.std(correction).item().is_nan());
    }
    assert_eq!(x.var(1).item(), 0.5);
}

#[test]
fn a_share_of_zero_adds_nothing_to_a_loss() {
    let inf = f64::INFINITY;
    let logs = double::Tensor::from([[-inf, 0.0]]);
    let target = double::Tensor::from([[0.0, 1.0]]);
    let (y, g) = differentiate(&logs, |x| x.kl_div(&target));
    assert_eq!((y.item(), g), (0.0, double::Tensor::from([[0.0, -0.5]])));
    let (y, g) = differentiate(&logs, |x| x.cross_entropy(&target));
    assert_eq!((y.item(), g), (0.0, double::Tensor::zeros([1, 2])));
    let weight = double::Tensor::from([3.0, 2.0]);
    let weighted = || double::CrossEntropy::new().weight(&weight);
    let (y, g) = differentiate(&logs, |x| x.cross_entropy_with(&target, weighted()));
    assert_eq!((y.item(), g), (0.0, double::Tensor::zeros([1, 2])));
    // The logarithm of the target.
    let settings = || double::KlDiv::new().log_target(true);
    let (y, g) = differentiate(&logs, |x| x.kl_div_with(&logs, settings()));
    assert_eq!((y.item(), g), (0.0, double::Tensor::from([[0.0, -0.5]])));
    let (y, g) = differentiate(&logs, |t| t.stop_gradient().kl_div_with(t, settings()));
    assert_eq!((y.item(), g), (0.0, double::Tensor::from([[0.0, 0.5]])));
    // A class of weight 0 whose logarithm is -inf.
    let weight = double::Tensor::from([0.0, 1.0]);
    let settings = || double::Nll::new().weight(&weight).reduction(wengert::Reduction::Sum);
    let (y, g) = differentiate(&logs, |x| x.nll_with([0], settings()));
    assert_eq!((y.item(), g), (0.0, double::Tensor::zeros([1, 2])));
    // Logits that are certain and right.
    let logits = double::Tensor::from([inf, -inf]);
    let (y, g) = differentiate(&logits, |x| x.bce_with_logits(&double::Tensor::from([1.0, 0.0])));
    assert_eq!((y.item(), g), (0.0, double::Tensor::zeros([2])));
}

#[test]
fn uniform_draws_are_below_the_upper_end() {
    use rand::{SeedableRng, rngs::ChaCha8Rng};
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    // One in 2^25 draws rounds up to 1 in single precision; close to a number of few digits it is every second one.
    let up = 16_777_216.0;
    for (low, high) in [(0.0, 1.0), (up, up + 2.0), (up, up + 1.0), (-1.0, -1.0 + 1e-7), (0.1, 0.1)]
    {
        let x = Tensor::uniform([20_000], low, high, &mut rng);
        let below = |x: &f32| f64::from(*x) < high || *x == low as f32;
        assert!(x.as_slice().iter().all(|x| below(x) && *x >= low as f32), "{low}..{high}");
    }
    let x = double::Tensor::uniform([1000], 1.0, 1.0 + f64::EPSILON, &mut rng);
    assert_eq!(x, double::Tensor::ones([1000]));
    for (low, high) in [(1.0, 0.5), (f64::NAN, 1.0), (0.0, f64::NAN)] {
        let refused = crate::panics::caught(|| {
            drop(Tensor::uniform([2], low, high, &mut ChaCha8Rng::seed_from_u64(0)))
        });
        assert_eq!(refused.message, format!("uniform: {low} is not at most {high}"));
        assert!(refused.file.ends_with("magnitudes.rs"));
    }
}

#[test]
fn losses_of_empty_batches_are_nan_on_average_and_zero_in_sum() {
    use wengert::Reduction::{Mean, Sum};
    let x = Tensor::zeros([0, 3]);
    for (reduction, expected) in [(Mean, f32::NAN), (Sum, 0.0)] {
        let losses: [&dyn for<'t> Fn(Var<'t>) -> Var<'t>; 16] = [
            &|x| x.mse_with(0.0, reduction),
            &|x| x.half_sse_with(0.0, reduction),
            &|x| x.l1_with(0.0, reduction),
            &|x| x.huber_with(0.0, reduction),
            &|x| x.smooth_l1_with(0.0, reduction),
            &|x| x.gaussian_nll_with(0.0, 1.0, reduction),
            &|x| x.poisson_nll_with(0.0, reduction),
            &|x| x.cross_entropy_with([0usize; 0], reduction),
            &|x| x.cross_entropy_with(&Tensor::zeros([0, 3]), reduction),
            &|x| x.nll_with([0usize; 0], reduction),
            &|x| x.multi_margin_with([0usize; 0], reduction),
            &|x| x.bce_with(0.0, reduction),
            &|x| x.bce_with_logits_with(0.0, reduction),
            &|x| x.kl_div_with(0.0, reduction),
            &|x| x.cosine_embedding_with(x, 1.0, reduction),
            &|x| x.triplet_margin_with(x, x, reduction),
        ];
        for (k, loss) in losses.iter().enumerate() {
            let (y, g) = differentiate(&x, loss);
            assert!(y.item() == expected || y.item().is_nan() && expected.is_nan(), "{k}: {y}");
            assert_eq!(g, x, "{k}");
        }
    }
}

#[test]
fn attention_without_keys_is_zero_with_and_without_a_mask() {
    let (query, key) = (Tensor::ones([2, 3, 4]), Tensor::ones([2, 0, 4]));
    let tape = Tape::new();
    let (q, k) = (tape.variable(&query), tape.variable(&key));
    let attention = wengert::nn::Attention::new();
    let plain = attention.forward(q, k, k);
    let masked = attention.masked(&Tensor::zeros([3, 0])).forward(q, k, k);
    for y in [plain, masked, attention.causal().forward(q, k, k)] {
        assert_eq!(y.value(), Tensor::zeros([2, 3, 4]));
        assert_eq!(y.sum().backward().wrt(q), Some(&Tensor::zeros([2, 3, 4])));
    }
    // No queries and no batch.
    for extents in [[2, 0, 4], [0, 3, 4]] {
        let x = tape.constant(&Tensor::zeros(extents));
        assert_eq!(
            attention.masked(&Tensor::zeros([1, 1])).forward(x, x, x).shape(),
            extents.into()
        );
    }
}

#[test]
fn the_norm_of_one_axis_and_of_several_agree_and_have_a_kink_at_zero() {
    let x = double::Tensor::from_fn([2, 3, 4], |i| (i as f64).sin());
    let all = x.norm_axes(2.0, [0, 1, 2], false);
    assert!((all.item() - x.square().sum().sqrt().item()).abs() < 1e-14);
    assert_near(
        &x.norm_axes(2.0, [0, 2], false),
        x.square().sum_axes([0, 2], false).sqrt().as_slice(),
    );
    let axes = Axes::of([1].into(), 0).unwrap();
    let norm = ops::EuclideanNorm { axes, keepdim: false, eps: 0.0 };
    let magnitude = wengert::Value::apply_op(&Tensor::from([-3.0]), norm);
    assert_eq!(magnitude, Tensor::scalar(3.0));
    let (y, g) = differentiate(&double::Tensor::zeros([3]), |x| x.norm(2.0));
    assert_eq!((y.item(), g), (0.0, double::Tensor::zeros([3])));
}

#[test]
fn indices_are_given_by_reference_and_as_rows() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    let labels = vec![1, 0];
    let array: &[usize; 2] = &[1, 0];
    assert_eq!(x.index_select(0, array), x.index_select(0, &labels));
    assert_eq!(Indices::from([[0], [1]]).shape(), [2, 1].into());
    assert_eq!(x.gather(1, [[0], [1]]), Tensor::from([[1.0], [4.0]]));
    let loss = |y: &dyn for<'t> Fn(Var<'t>) -> Var<'t>| evaluate(|tape| y(tape.constant(&x)));
    assert_eq!(loss(&|x| x.cross_entropy(&labels)), loss(&|x| x.cross_entropy(array)));
}
