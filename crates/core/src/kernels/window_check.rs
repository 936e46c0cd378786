//! For tests: correlations beside a plain loop.

use super::tests::{on_threads, random};
use super::window::{Correlation, Slide};
use crate::float::Float;

/// A slide with a kernel, stride, dilation and padding.
pub(super) fn slide(input: usize, [kernel, stride, dilation, before]: [usize; 4]) -> Slide {
    let output = (input + 2 * before - dilation * (kernel - 1) - 1) / stride + 1;
    Slide { input, kernel, output, stride, dilation, before }
}

/// Compares a correlation and its two derivatives with loops over all outputs and taps in double precision: on one thread
/// and on two, over NaN and added to ones.
pub(super) fn check<F: Float>(
    images: usize,
    groups: usize,
    [inputs, outputs]: [usize; 2],
    slides: [Slide; 2],
) {
    let plan = Correlation { images, groups, inputs, outputs, slides };
    let [rows, columns] = slides;
    let [plane, window, places] =
        [rows.input * columns.input, rows.kernel * columns.kernel, rows.output * columns.output];
    let x = random::<F>(images * groups * inputs * plane, 1);
    let w = random::<F>(groups * outputs * inputs * window, 2);
    let g = random::<F>(images * groups * outputs * places, 3);
    let mut want = [x.len(), w.len(), g.len()].map(|len| vec![0.0; len]);
    let place = |slide: Slide, output: usize, tap: usize| {
        let at = (output * slide.stride + tap * slide.dilation).checked_sub(slide.before)?;
        (at < slide.input).then_some(at)
    };
    for at in 0..g.len() {
        let (i, j) = (at / columns.output % rows.output, at % columns.output);
        let (unit, kernel) = (at / places / outputs, at / places % (groups * outputs));
        for tap in 0..inputs * window {
            let (input, ki, kj) =
                (tap / window, tap % window / columns.kernel, tap % columns.kernel);
            let (Some(row), Some(column)) = (place(rows, i, ki), place(columns, j, kj)) else {
                continue;
            };
            let from = (unit * inputs + input) * plane + row * columns.input + column;
            let weight = kernel * inputs * window + tap;
            let (x, w, g) = (x[from].to_f64(), w[weight].to_f64(), g[at].to_f64());
            want[0][from] += w * g;
            want[1][weight] += x * g;
            want[2][at] += x * w;
        }
    }
    for (threads, accumulate) in [(1, true), (2, true), (1, false), (2, false)] {
        let (start, added) = if accumulate { (F::ONE, 1.0) } else { (F::NAN, 0.0) };
        let mut got = want.clone().map(|part| vec![start; part.len()]);
        on_threads(threads, || {
            let scratch = &mut vec![F::NAN; plan.scratch::<F>()][..];
            let [to_x, to_w, to_y] = &mut got;
            plan.forward(&x, &w, to_y, scratch, accumulate);
            plan.towards_input(&g, &w, to_x, scratch, accumulate);
            let scratch = &mut vec![F::NAN; plan.scratch_for_weight::<F>()][..];
            plan.towards_weight(&x, &g, to_w, scratch, accumulate);
        });
        for (part, (got, want)) in got.iter().zip(&want).enumerate() {
            let part = ["input", "weight", "output"][part];
            for (i, (got, want)) in got.iter().zip(want).enumerate() {
                let (got, want) = (got.to_f64(), want + added);
                let limit = 300.0 * F::EPSILON.to_f64() * want.abs().max(10.0);
                assert!(
                    (got - want).abs() <= limit,
                    "{part} {i} of {plan:?} on {threads} threads, accumulate {accumulate}: {got}, not {want}"
                );
            }
        }
    }
}
