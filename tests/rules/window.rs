//! Convolution and pooling: values against plain loops, derivatives against finite differences.

use crate::common::{Outcome, differentiates, mistake, near, of, property};
use proptest::prelude::*;
use wengert::f64::prelude::*;
use wengert::{Value, ops};

/// One axis: input, kernel, stride, padding before and after, dilation.
type Along = [usize; 6];

/// Correlation by the definition: input `[n, c, h, w]`, weight `[out, c / groups, kh, kw]`.
fn correlation(x: &Tensor, w: &Tensor, [rows, columns]: [Along; 2], groups: usize) -> Tensor {
    let (n, out, inputs) = (x.shape()[0], w.shape()[0], w.shape()[1]);
    let extent = |[input, kernel, stride, before, behind, dilation]: Along| {
        (input + before + behind - dilation * (kernel - 1) - 1) / stride + 1
    };
    let at = |[input, _, stride, before, _, dilation]: Along, o: usize, k: usize| {
        (o * stride + k * dilation).checked_sub(before).filter(|&i| i < input)
    };
    let (oh, ow) = (extent(rows), extent(columns));
    let (plane, window) = (rows[0] * columns[0], rows[1] * columns[1]);
    Tensor::from_fn([n, out, oh, ow], |flat| {
        let (image, o) = (flat / (ow * oh * out), flat / (ow * oh) % out);
        let x = &x.as_slice()[(image * groups + o / (out / groups)) * inputs * plane..];
        let w = &w.as_slice()[o * inputs * window..];
        let mut sum = 0.0;
        for ki in 0..rows[1] {
            for kj in 0..columns[1] {
                let places = (at(rows, flat / ow % oh, ki), at(columns, flat % ow, kj));
                let (Some(i), Some(j)) = places else { continue };
                let (from, by) = (i * columns[0] + j, ki * columns[1] + kj);
                for c in 0..inputs {
                    sum += x[c * plane + from] * w[c * window + by];
                }
            }
        }
        sum
    })
}

/// Draws images, groups, channels and outputs per group; two axes; whether padding is "same".
fn convolutions() -> impl Strategy<Value = ([usize; 4], [Along; 2], bool)> {
    let along = || {
        let parts = (1usize..=5, 1usize..=3, 1usize..=3, 0usize..=2, 1usize..=2);
        parts.prop_filter_map("the kernel fits", |(input, kernel, stride, padding, dilation)| {
            let fits = dilation * (kernel - 1) < input + 2 * padding;
            fits.then_some([input, kernel, stride, padding, padding, dilation])
        })
    };
    let counts = [0usize..=2, 1..=2, 1..=2, 1..=2];
    let same = prop::bool::weighted(0.2);
    (counts, along(), along(), same).prop_map(|(counts, mut rows, mut columns, same)| {
        if same {
            for axis in [&mut rows, &mut columns] {
                let [_, kernel, stride, before, behind, dilation] = axis;
                let total = *dilation * (*kernel - 1);
                (*stride, *before, *behind) = (1, total / 2, total - total / 2);
            }
        }
        (counts, [rows, columns], same)
    })
}

fn settings([rows, columns]: [Along; 2], groups: usize, same: bool) -> ConvOptions {
    let by = ConvOptions::new().groups(groups).dilation([rows[5], columns[5]]);
    let by = by.stride([rows[2], columns[2]]);
    if same { by.padding(Padding::Same) } else { by.padding([rows[3], columns[3]]) }
}

#[test]
fn convolution_in_two_dimensions() {
    let drawn = convolutions().prop_flat_map(|drawn| {
        let ([n, groups, c, o], [rows, columns], _) = drawn;
        let x = of(&[n, groups * c, rows[0], columns[0]]);
        (Just(drawn), x, of(&[groups * o, c, rows[1], columns[1]]), of(&[groups * o]))
    });
    property("Conv", drawn, |(([_, groups, ..], axes, same), x, w, bias)| {
        let by = settings(axes, groups, same);
        let (y, loops) = (x.conv2d(&w, by), correlation(&x, &w, axes, groups));
        near("conv2d", &y, &loops)?;
        let spread = bias.reshape([w.shape()[0], 1, 1]);
        near("conv2d_with_bias", &x.conv2d_with_bias(&w, &bias, by), &(loops + &spread))?;
        let (input, weight) = (x.shape(), w.shape());
        differentiates(|x| x[0].conv2d(x[1], by), [x.clone(), w.clone()])?;
        differentiates(
            |x| Value::apply(ops::ConvInput { options: by, input }, [&x[0], &x[1]]),
            [y.clone(), w.clone()],
        )?;
        differentiates(
            |x| Value::apply(ops::ConvWeight { options: by, weight }, [&x[0], &x[1]]),
            [x.clone(), y],
        )?;
        differentiates(|x| x[0].conv2d_with_bias(x[1], x[2], by), [x, w, bias])
    });
}

#[test]
fn convolution_in_one_dimension() {
    let drawn = convolutions().prop_flat_map(|drawn| {
        let ([n, groups, c, o], [_, along], _) = drawn;
        let x = of(&[n, groups * c, along[0]]);
        (Just(drawn), x, of(&[groups * o, c, along[1]]), of(&[groups * o]))
    });
    property("Conv of rows", drawn, |(([n, groups, c, o], axes, same), x, w, bias)| {
        // Stride, padding and dilation of the rows must not matter.
        let by = settings(axes, groups, same);
        let (flat, along) = ([1, 1, 1, 0, 0, 1], axes[1]);
        let (plane, kernel) = ([n, groups * c, 1, along[0]], [groups * o, c, 1, along[1]]);
        let loops = correlation(&x.reshape(plane), &w.reshape(kernel), [flat, along], groups);
        let y = x.conv1d(&w, by);
        near("conv1d", &y, &loops.reshape(y.shape()))?;
        differentiates(|x| x[0].conv1d_with_bias(x[1], x[2], by), [x, w, bias])
    });
}

/// Sizes at which images are shared among threads and weight gradients are summed in parts.
#[test]
fn large_batches() {
    let draw = |shape: &[usize], seed: usize| {
        Tensor::from_fn(shape, |i| ((i * 7919 + seed * 31) % 1009) as f64 / 500.0 - 1.0)
    };
    let plain = [16, 3, 1, 1, 1, 1];
    let single = [16, 1, 1, 0, 0, 1];
    for (axes, groups) in [([plain; 2], 1), ([plain, [16, 2, 2, 1, 1, 2]], 2), ([single; 2], 2)] {
        let channels = if axes == [single; 2] { 16 } else { 8 };
        let x = draw(&[37, channels, 16, 16], 0);
        let w = draw(&[2 * channels, channels / groups, axes[0][1], axes[1][1]], 1);
        let by = settings(axes, groups, false);
        let loops = correlation(&x, &w, axes, groups);
        let g = draw(&loops.shape(), 2);
        let run = || {
            let tape = Tape::new();
            let (x, w) = (tape.variable(&x), tape.variable(&w));
            let y = x.conv2d(w, by);
            let gradients = (y * &g).sum().backward();
            [y.value(), gradients.wrt(x).unwrap().clone(), gradients.wrt(w).unwrap().clone()]
        };
        let [y, dx, dw] = run();
        near("large", &y, &loops).unwrap();
        // The function is linear in each input: <dx, x> = <g, y> = <dw, w>, and differences in single
        // directions are exact.
        let inner = |a: &Tensor, b: &Tensor| (a * b).sum().item();
        let value = inner(&g, &y);
        assert!((inner(&dx, &x) - value).abs() < 1e-9 * value.abs().max(1e3));
        assert!((inner(&dw, &w) - value).abs() < 1e-9 * value.abs().max(1e3));
        let (u, v) = (draw(&x.shape(), 3), draw(&w.shape(), 4));
        let along_x = inner(&g, &correlation(&u, &w, axes, groups));
        let along_w = inner(&g, &correlation(&x, &v, axes, groups));
        assert!((inner(&dx, &u) - along_x).abs() < 1e-9 * along_x.abs().max(1e3));
        assert!((inner(&dw, &v) - along_w).abs() < 1e-9 * along_w.abs().max(1e3));
        for threads in [1, 2] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(run) == [y.clone(), dx.clone(), dw.clone()], "threads matter");
        }
    }
}

/// Where images are shared among threads, in up to sixteen pieces, every piece counts.
#[test]
fn the_gradient_of_a_weight_is_the_sum_over_the_images() {
    // Integers, so that no sum is rounded.
    let draw = |shape: &[usize], seed: usize| {
        Tensor::from_fn(shape, |i| ((i * 7919 + seed * 31) % 11) as f64 - 5.0)
    };
    let w = draw(&[8, 8, 3, 3], 0);
    let gradient = |x: &Tensor, g: &Tensor| {
        let tape = Tape::new();
        let (x, w) = (tape.constant(x), tape.variable(&w));
        let y = x.conv2d(w, ConvOptions::new().padding(1));
        (y * g).sum().backward().wrt(w).unwrap().clone()
    };
    for images in [15, 16, 17, 32] {
        let (x, g) = (draw(&[images, 8, 16, 16], 1), draw(&[images, 8, 16, 16], 2));
        let each = (0..images).map(|i| gradient(&x.narrow(0, i, 1), &g.narrow(0, i, 1)));
        let sum = each.reduce(|sum, one| sum + one).unwrap();
        assert_eq!(gradient(&x, &g), sum, "{images} images");
    }
}

/// The places of an axis that pooling combines, without padding.
type Cells = Vec<Vec<usize>>;

/// The settings of a pooling window along one axis.
#[derive(Clone, Copy, Debug)]
struct Window {
    input: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    dilation: usize,
    ceil_mode: bool,
}

impl Window {
    /// Elements under the window, gaps included.
    fn reach(self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }

    fn padded(self) -> usize {
        self.input + 2 * self.padding
    }

    /// Where the windows begin. In ceil mode there is one more as long as the last has not reached the end, unless it
    /// would begin in the padding there.
    fn starts(self) -> impl Iterator<Item = usize> {
        (0..self.input + self.padding).step_by(self.stride).take_while(move |&start| {
            let before = start.checked_sub(self.stride).map(|before| before + self.reach());
            let another = before.is_none_or(|end| end < self.padded());
            if self.ceil_mode { another } else { start + self.reach() <= self.padded() }
        })
    }

    fn places(self, start: usize) -> impl Iterator<Item = usize> {
        (start..start + self.reach()).step_by(self.dilation)
    }

    fn cells(self) -> Cells {
        let input = self.padding..self.input + self.padding;
        let cell = |start| {
            let inside = self.places(start).filter(|place| input.contains(place));
            inside.map(|place| place - self.padding).collect()
        };
        self.starts().map(cell).collect()
    }

    /// The divisors of averages: elements of a cell, with padding or without.
    fn counts(self, count_include_pad: bool) -> Vec<f64> {
        if !count_include_pad {
            return self.cells().iter().map(|cell| cell.len() as f64).collect();
        }
        let count = |start| self.places(start).filter(|&place| place < self.padded()).count();
        self.starts().map(|start| count(start) as f64).collect()
    }
}

fn adaptive(n: usize, m: usize) -> Cells {
    let cell = |i: usize| {
        let (from, to) = (i as f64 * n as f64 / m as f64, (i + 1) as f64 * n as f64 / m as f64);
        (from.floor() as usize..to.ceil() as usize).collect()
    };
    (0..m).map(cell).collect()
}

/// Each place of an axis alone.
fn single(n: usize) -> Cells {
    (0..n).map(|place| vec![place]).collect()
}

/// `f` of the elements of each cell of the planes of `x`.
fn pooled(x: &Tensor, [rows, columns]: [&Cells; 2], f: impl Fn(&[f64]) -> f64) -> Tensor {
    let shape = x.shape();
    let (n, c) = (shape[0], shape[1]);
    Tensor::from_fn([n, c, rows.len(), columns.len()], |flat| {
        let plane = flat / (rows.len() * columns.len());
        let (row, column) = (flat / columns.len() % rows.len(), flat % columns.len());
        let mut cell = Vec::new();
        for &i in &rows[row] {
            for &j in &columns[column] {
                cell.push(x.at(&[plane / c, plane % c, i, j]));
            }
        }
        f(&cell)
    })
}

fn largest(cell: &[f64]) -> f64 {
    cell.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn average(cell: &[f64]) -> f64 {
    cell.iter().sum::<f64>() / cell.len() as f64
}

/// Draws distinct elements, a tenth apart, in random order: no finite difference reaches a tie.
fn distinct(shape: [usize; 4]) -> impl Strategy<Value = Tensor> {
    let numel = shape.iter().product::<usize>();
    let order = Just((0..numel).collect::<Vec<_>>()).prop_shuffle();
    order.prop_map(move |order| Tensor::from_fn(shape, |i| order[i] as f64 * 0.1 - 2.0))
}

fn pooling() -> impl Strategy<Value = Window> {
    let parts = (1usize..=5, 1usize..=3, 1usize..=3, 0usize..=1, 1usize..=2, any::<bool>());
    parts.prop_filter_map("the kernel fits", |(input, kernel, stride, padding, dilation, ceil)| {
        let padding = padding.min(kernel / 2);
        let window = Window { input, kernel, stride, padding, dilation, ceil_mode: ceil };
        let is_legal = padding == 0 || dilation <= input;
        (is_legal && window.reach() <= window.padded()).then_some(window)
    })
}

#[test]
fn sliding_pools() {
    let drawn = (pooling(), pooling(), 0usize..=2, 1usize..=2, any::<bool>()).prop_flat_map(
        |(rows, columns, n, c, counts)| {
            let rows = Window { ceil_mode: columns.ceil_mode, ..rows };
            (Just((rows, columns, counts)), distinct([n, c, rows.input, columns.input]))
        },
    );
    property("sliding pools", drawn, |((rows, columns, counts), x)| {
        let by = Pooling::new([rows.kernel, columns.kernel])
            .stride([rows.stride, columns.stride])
            .padding([rows.padding, columns.padding])
            .dilation([rows.dilation, columns.dilation])
            .ceil_mode(columns.ceil_mode)
            .count_include_pad(counts);
        let (r, c) = (rows.cells(), columns.cells());
        let total = |cell: &[f64]| cell.iter().sum::<f64>();
        let [down, across] = [rows, columns].map(|window| {
            let counts = window.counts(counts);
            Tensor::from_fn([counts.len()], |i| counts[i])
        });
        near("max_pool2d", &x.max_pool2d(by), &pooled(&x, [&r, &c], largest))?;
        let mean = pooled(&x, [&r, &c], total) / down.outer(&across);
        near("avg_pool2d", &x.avg_pool2d(by), &mean)?;
        differentiates(|x| x[0].max_pool2d(by), [x.clone()])?;
        differentiates(|x| x[0].avg_pool2d(by), [x.clone()])?;
        // In one dimension each row is pooled alone.
        let line = single(rows.input);
        near("max_pool1d", &x.max_pool1d(by), &pooled(&x, [&line, &c], largest))?;
        near("avg_pool1d", &x.avg_pool1d(by), &(pooled(&x, [&line, &c], total) / across))?;
        differentiates(|x| x[0].max_pool1d(by) + x[0].avg_pool1d(by), [x])
    });
}

#[test]
fn adaptive_pools() {
    let drawn = ([1usize..=5, 1..=5, 1..=4, 1..=4])
        .prop_flat_map(|[h, w, rows, columns]| (Just([rows, columns]), distinct([2, 1, h, w])));
    property("adaptive pools", drawn, |([rows, columns], x)| {
        let (r, c) = (adaptive(x.shape()[2], rows), adaptive(x.shape()[3], columns));
        let cells = [&r, &c];
        near("max", &x.adaptive_max_pool2d([rows, columns]), &pooled(&x, cells, largest))?;
        near("avg", &x.adaptive_avg_pool2d([rows, columns]), &pooled(&x, cells, average))?;
        let line = single(x.shape()[2]);
        near("max", &x.adaptive_max_pool1d(columns), &pooled(&x, [&line, &c], largest))?;
        near("avg", &x.adaptive_avg_pool1d(columns), &pooled(&x, [&line, &c], average))?;
        differentiates(|x| x[0].adaptive_max_pool2d([rows, columns]), [x.clone()])?;
        differentiates(|x| x[0].adaptive_avg_pool2d([rows, columns]), [x.clone()])?;
        let lines =
            |x: Var<'_>| (x.adaptive_max_pool1d(columns) * x.adaptive_avg_pool1d(columns)).value();
        let tape = Tape::new();
        let product = x.adaptive_max_pool1d(columns) * x.adaptive_avg_pool1d(columns);
        near("on the tape", &lines(tape.constant(&x)), &product)
    });
}

#[test]
fn nan_wins_and_takes_the_gradient() {
    let nan = f64::NAN;
    let x = tensor![[[5.0, nan, 9.0, nan], [1.0, 2.0, 3.0, -f64::INFINITY]]];
    let tape = Tape::new();
    let v = tape.variable(&x);
    let y = v.max_pool1d(4);
    assert!(y.value().as_slice()[0].is_nan() && y.value().as_slice()[1] == 3.0);
    let expected = tensor![[[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]];
    assert_eq!(*y.sum().backward().wrt(v).unwrap(), expected);
    let least = tensor![[[-f64::INFINITY, -f64::INFINITY]]];
    assert_eq!(least.max_pool1d(2), tensor![[[-f64::INFINITY]]]);
}

/// The derivative of the derivative: 0 with respect to x, and at the largest elements with respect to the
/// cotangent.
#[test]
fn a_plane_needs_no_axes_in_front() {
    let plane = tensor![[1.0, 3.0, 2.0, 4.0], [5.0, 0.0, 1.0, 1.0]];
    assert_eq!(plane.max_pool2d(2), tensor![[5.0, 4.0]]);
    assert_eq!(plane.avg_pool2d(2), tensor![[2.25, 2.0]]);
    assert_eq!(plane.adaptive_max_pool2d([1, 2]), tensor![[5.0, 4.0]]);
    let row = tensor![1.0, 3.0, 2.0, 4.0];
    assert_eq!(row.max_pool1d(2), tensor![3.0, 4.0]);
    assert_eq!(row.adaptive_avg_pool1d(2), tensor![2.0, 3.0]);
}

#[test]
fn winners_have_a_derivative_of_exactly_zero() {
    let outcome = || -> Outcome {
        let tape = Tape::new();
        let x = tape.variable(&tensor![[[1.0, 3.0, 2.0, 0.0]]]);
        let c = tape.variable(&tensor![[[5.0, 7.0]]]);
        let first = wengert::vjp(x.max_pool1d(2), &[x], c)[0];
        near("first", &first.value(), &tensor![[[0.0, 5.0, 7.0, 0.0]]])?;
        let second = grad(first.square().sum(), &[x, c]);
        near("by x", &second[0].value(), &tensor![[[0.0, 0.0, 0.0, 0.0]]])?;
        near("by the cotangent", &second[1].value(), &tensor![[[10.0, 14.0]]])?;
        let third = grad((second[1] * second[1]).sum(), &[x, c]);
        near("by x again", &third[0].value(), &tensor![[[0.0, 0.0, 0.0, 0.0]]])?;
        near("by the cotangent again", &third[1].value(), &tensor![[[40.0, 56.0]]])
    };
    outcome().unwrap();
}

#[test]
#[rustfmt::skip] // one line each: the line is part of the claim
fn mistakes_say_what_does_not_fit() {
    let (x, w) = (Tensor::zeros([1, 4, 5, 5]), Tensor::zeros([2, 4, 3, 3]));
    let by = ConvOptions::new();
    mistake("channels differ (4 and 3 per group)", || { x.conv2d(Tensor::zeros([2, 3, 3, 3]), by); });
    mistake("2 output channels are not divisible", || { x.conv2d(&w, by.groups(3)); });
    mistake("channels differ (4 and 4 per group)", || { x.conv2d(&w, by.groups(2)); });
    mistake("over 7 elements does not fit into 5", || { x.conv2d(&w, by.dilation(3)); });
    mistake("padding 'same' needs stride 1, not 2", || { x.conv2d(&w, by.stride(2).padding(Padding::Same)); });
    mistake("ConvOptions: stride must be 1 or above", || { x.conv2d(&w, by.stride(0)); });
    mistake("kernel 0, input 5: none may be 0", || { x.conv2d(Tensor::zeros([2, 4, 0, 3]), by); });
    mistake("conv1d: [1, 4, 5, 5] with weight [2, 4, 3, 3]: expected 3 axes each", || { x.conv1d(&w, by); });
    mistake("conv2d_with_bias: [1, 4, 5] with weight [2, 4, 3]: expected 4 axes each", || { Tensor::zeros([1, 4, 5]).conv2d_with_bias(Tensor::zeros([2, 4, 3]), Tensor::zeros([2]), by); });
    mistake("conv_input: expected a cotangent of shape [1, 2, 3, 3], found [1, 2, 3, 4]", || { Value::apply(ops::ConvInput { options: by, input: x.shape() }, [&Tensor::zeros([1, 2, 3, 4]), &w]); });
    mistake("conv_weight: expected a cotangent of shape [1, 2, 3, 3], found [1, 2, 3, 4]", || { Value::apply(ops::ConvWeight { options: by, weight: w.shape() }, [&x, &Tensor::zeros([1, 2, 3, 4])]); });
    mistake("weight [2, 4, 3, 3] and bias [3]: output channels differ", || { x.conv2d_with_bias(&w, Tensor::zeros([3]), by); });
    mistake("max_pool: kernel over 6 elements does not fit into 5 with padding", || { x.max_pool2d(6); });
    mistake("avg_pool: kernel over 7 elements does not fit into 5", || { x.avg_pool2d(Pooling::new(4).dilation(2)); });
    mistake("max_pool: kernel over 7 elements does not fit into 5", || { x.max_pool2d(Pooling::new(7).stride(2).ceil_mode(true)); });
    mistake("max_pool: dilation 6, input 5: a window could hold nothing but padding", || { x.max_pool2d(Pooling::new(2).padding(1).dilation(6)); });
    mistake("Pooling: dilation must be 1 or above", || { x.max_pool2d(Pooling::new(2).dilation([1, 0])); });
    mistake("avg_pool: kernel 2, stride 2, padding 2", || { x.avg_pool2d(Pooling::new(2).padding(2)); });
    mistake("max_pool: [] has fewer than 1 axes", || { Tensor::scalar(1.0).max_pool1d(1); });
}
