//! Transposed convolution and upsampling: values against plain loops, derivatives against finite differences.

use crate::common::{differentiates, mistake, near, of, property};
use proptest::prelude::*;
use wengert::f64::prelude::*;
use wengert::{Value, ops};

/// One axis: input, kernel, stride, padding, dilation, output padding.
type Along = [usize; 6];

fn extent([input, kernel, stride, padding, dilation, added]: Along) -> Option<usize> {
    let all = (input - 1) * stride + dilation * (kernel - 1) + 1 + added;
    all.checked_sub(2 * padding).filter(|&extent| extent > 0)
}

fn along() -> impl Strategy<Value = Along> {
    let parts = (1usize..=4, 1usize..=3, 1usize..=3, 0usize..=2, 1usize..=2, 0usize..=2);
    parts.prop_filter_map(
        "something is left",
        |(input, kernel, stride, padding, dilation, added)| {
            let along = [input, kernel, stride, padding, dilation, added.min(stride - 1)];
            extent(along).map(|_| along)
        },
    )
}

/// Transposed convolution by the definition: each element of the input `[n, c, h, w]` adds its multiple of the kernel
/// `[c, out / groups, kh, kw]` to the output.
fn spread(x: &Tensor, w: &Tensor, [rows, columns]: [Along; 2], groups: usize) -> Tensor {
    let (n, c, outputs) = (x.shape()[0], x.shape()[1], w.shape()[1]);
    let [oh, ow] = [rows, columns].map(|axis| extent(axis).expect("drawn so"));
    let to = |[_, _, stride, padding, dilation, _]: Along, extent: usize, i: usize, k: usize| {
        (i * stride + k * dilation).checked_sub(padding).filter(|&place| place < extent)
    };
    let mut y = vec![0.0; n * groups * outputs * oh * ow];
    for flat in 0..x.numel() {
        let [i, j] = [flat / columns[0] % rows[0], flat % columns[0]];
        let channel = flat / (rows[0] * columns[0]) % c;
        let image = flat / (rows[0] * columns[0] * c);
        for o in 0..outputs {
            let plane = image * groups * outputs + channel / (c / groups) * outputs + o;
            for ki in 0..rows[1] {
                for kj in 0..columns[1] {
                    if let (Some(row), Some(column)) = (to(rows, oh, i, ki), to(columns, ow, j, kj))
                    {
                        y[(plane * oh + row) * ow + column] +=
                            x.as_slice()[flat] * w.at(&[channel, o, ki, kj]);
                    }
                }
            }
        }
    }
    Tensor::from_vec(y, [n, groups * outputs, oh, ow])
}

#[test]
fn transposed_convolution() {
    let counts = [0usize..=2, 1..=2, 1..=2, 1..=2];
    let drawn = (counts, along(), along()).prop_flat_map(|(counts, rows, columns)| {
        let [n, groups, c, o] = counts;
        let x = of(&[n, groups * c, rows[0], columns[0]]);
        (Just((groups, [rows, columns])), x, of(&[groups * c, o, rows[1], columns[1]]))
    });
    property("ConvInput as an operation", drawn, |((groups, axes), x, w)| {
        let [rows, columns] = axes;
        let of = |i: usize| [rows[i], columns[i]];
        let by = ConvOptions::new().groups(groups).stride(of(2)).padding(of(3)).dilation(of(4));
        let by = by.output_padding(of(5));
        near("conv_transpose2d", &x.conv_transpose2d(&w, by), &spread(&x, &w, axes, groups))?;
        differentiates(|x| x[0].conv_transpose2d(x[1], by), [x.clone(), w.clone()])?;
        // In one dimension the settings of the rows must not matter.
        let flat = [[1, 1, 1, 0, 1, 0], columns];
        let (x, w) = (x.narrow(2, 0, 1), w.narrow(2, 0, 1));
        let loops = spread(&x, &w, flat, groups).squeeze(2);
        let (x, w) = (x.squeeze(2), w.squeeze(2));
        near("conv_transpose1d", &x.conv_transpose1d(&w, by), &loops)?;
        differentiates(|x| x[0].conv_transpose1d(x[1], by), [x, w])
    });
}

#[test]
fn padding_same_keeps_the_extents() {
    let (x, w) = (Tensor::ones([1, 1, 4]), tensor![[[1.0, 10.0, 100.0, 1000.0]]]);
    let same = ConvOptions::new().padding(Padding::Same);
    // All four elements are added up where the kernels overlap; one falls off at the front, two at the end.
    let y = x.conv_transpose1d(&w, same);
    assert_eq!(y, tensor![[[11.0, 111.0, 1111.0, 1110.0]]]);
}

#[test]
fn nearest_upsampling() {
    let drawn = (1usize..=3, 1usize..=3, of(&[2, 1, 2, 3]));
    property("upsampling", drawn, |(rows, columns, x)| {
        let loops = Tensor::from_fn([2, 1, 2 * rows, 3 * columns], |flat| {
            let (i, j) = (flat / (3 * columns) % (2 * rows), flat % (3 * columns));
            x.at(&[flat / (6 * rows * columns), 0, i / rows, j / columns])
        });
        near("upsample_nearest2d", &x.upsample_nearest2d([rows, columns]), &loops)?;
        let line = Tensor::from_fn([2, 1, 2, 3 * columns], |flat| {
            x.as_slice()[flat / (3 * columns) * 3 + flat % (3 * columns) / columns]
        });
        near("upsample_nearest1d", &x.upsample_nearest1d(columns), &line)?;
        differentiates(|x| x[0].upsample_nearest2d([rows, columns]), [x.clone()])?;
        differentiates(|x| x[0].upsample_nearest1d(columns), [x])
    });
}

/// Linear interpolation by the definition, from the places of the elements.
fn interpolated(x: &[f64], count: usize, align_corners: bool) -> Vec<f64> {
    let n = x.len();
    let place = |i: usize| match align_corners {
        true if count == 1 => 0.0,
        true => i as f64 * (n - 1) as f64 / (count - 1) as f64,
        // The centre of a cell of the segment from 0 to n, whose elements stand at 0.5, 1.5, ..
        false => (i as f64 + 0.5) / count as f64 * n as f64 - 0.5,
    };
    let at = |i: usize| {
        let place = place(i).clamp(0.0, (n - 1) as f64);
        let (below, above) = (place.floor() as usize, place.ceil() as usize);
        x[below] + (place - place.floor()) * (x[above] - x[below])
    };
    (0..count).map(at).collect()
}

#[test]
fn linear_upsampling() {
    let drawn = ([1usize..=3, 1..=3, 1..=3, 1..=4, 0..=2], any::<bool>()).prop_flat_map(
        |(sizes, align)| (Just((sizes, align)), of(&[sizes[4], 2, sizes[2], sizes[3]])),
    );
    property("Interpolate", drawn, |(([rows, columns, h, w, n], align), x)| {
        let rows_of = |x: &Tensor, to: usize| {
            let lines = x.as_slice().chunks(x.shape()[3]);
            let lines = lines.flat_map(|line| interpolated(line, to, align)).collect();
            Tensor::from_vec(lines, [n, 2, x.shape()[2], to])
        };
        let wide = rows_of(&x, w * columns);
        near("upsample_linear1d", &x.upsample_linear1d(columns, align), &wide)?;
        let both = rows_of(&wide.transpose(2, 3), h * rows).transpose(2, 3);
        near("upsample_bilinear2d", &x.upsample_bilinear2d([rows, columns], align), &both)?;
        differentiates(|x| x[0].upsample_linear1d(columns, align), [x.clone()])?;
        differentiates(|x| x[0].upsample_bilinear2d([rows, columns], align), [x])
    });
}

/// An element whose weight is 0 is not read, and gets nothing.
#[test]
fn elements_without_a_share() {
    let x = Tensor::from([1.0, f64::INFINITY, 2.0]);
    assert_eq!(x.upsample_linear1d(1, false), x);
    let y = x.apply_op(ops::Interpolate { axis: 0, to: 5, align_corners: true });
    assert_eq!(y, Tensor::from([1.0, f64::INFINITY, f64::INFINITY, f64::INFINITY, 2.0]));
    let back = ops::InterpolateBackward {
        of: ops::Interpolate { axis: 0, to: 3, align_corners: false },
        input: 3,
    };
    assert_eq!(x.apply_op(back), x);
}

#[test]
fn interpolation_of_any_axis_to_any_extent() {
    let drawn = ([1usize..=4, 0..=3, 0..=9], any::<bool>())
        .prop_flat_map(|(sizes, align)| (Just((sizes, align)), of(&[sizes[0], sizes[1]])));
    property("Interpolate", drawn, |(([n, inner, to], align_corners), x)| {
        let op = ops::Interpolate { axis: 0, to, align_corners };
        let y = x.apply_op(op);
        let columns = (0..inner).map(|j| {
            let column = x.narrow(1, j, 1).to_vec();
            Tensor::from_vec(interpolated(&column, to, align_corners), [to, 1])
        });
        let columns = columns.collect::<Vec<_>>();
        if inner > 0 {
            near("a column", &y, &Tensor::concat(&columns.iter().collect::<Vec<_>>(), 1))?;
        }
        differentiates(|x| x[0].apply_op(op), [x])?;
        differentiates(|x| x[0].apply_op(ops::InterpolateBackward { of: op, input: n }), [y])
    });
}

/// Sizes that are shared among threads: the bits are those of one thread, and of each plane alone.
#[test]
fn large_planes() {
    let x = Tensor::from_fn([5, 3, 70, 90], |i| ((i * 7919) % 1009) as f64 / 500.0 - 1.0);
    let run = |x: &Tensor| {
        let tape = Tape::new();
        let v = tape.variable(x);
        let y = v.upsample_bilinear2d([2, 3], false);
        [y.value(), y.square().sum().backward().wrt(v).unwrap().clone()]
    };
    let whole = run(&x);
    for plane in 0..5 {
        let alone = run(&x.narrow(0, plane, 1));
        for (whole, alone) in whole.iter().zip(alone) {
            assert_eq!(whole.narrow(0, plane, 1), alone);
        }
    }
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| run(&x)) == whole, "threads matter");
    }
}

#[test]
fn a_plane_needs_no_axes_in_front() {
    // The new elements are at -1/4, 1/4, 3/4 and 5/4 of the distance between two, and the outer ones repeat the nearest.
    let rows =
        [[0.0, 0.5, 1.5, 2.0], [1.0, 1.5, 2.5, 3.0], [3.0, 3.5, 4.5, 5.0], [4.0, 4.5, 5.5, 6.0]];
    let plane = tensor![[0.0, 2.0], [4.0, 6.0]];
    assert_eq!(plane.upsample_bilinear2d(2, false), Tensor::from(rows));
    assert_eq!(
        plane.upsample_nearest2d([1, 2]),
        tensor![[0.0, 0.0, 2.0, 2.0], [4.0, 4.0, 6.0, 6.0]]
    );
    assert_eq!(tensor![0.0, 2.0].upsample_linear1d(2, false), Tensor::from(rows[0]));
    assert_eq!(tensor![0.0, 2.0].upsample_nearest1d(2), tensor![0.0, 0.0, 2.0, 2.0]);
}

#[test]
fn an_empty_axis_stays_empty() {
    let x = Tensor::zeros([2, 0, 3]);
    assert_eq!(x.upsample_bilinear2d(2, true).shape(), [2, 0, 6].into());
    assert_eq!(x.transpose(1, 2).upsample_linear1d(2, false).shape(), [2, 3, 0].into());
    differentiates(|x| x[0].upsample_bilinear2d(2, false), [x]).unwrap();
}

#[test]
#[rustfmt::skip] // one line each: the line is part of the claim
fn mistakes_say_what_does_not_fit() {
    let (x, w) = (Tensor::zeros([1, 4, 5, 5]), Tensor::zeros([4, 2, 3, 3]));
    let by = ConvOptions::new();
    mistake("conv_transpose2d: [1, 4, 5, 5] with weight [2, 4, 3, 3] in 1 groups: channels differ (4 and 2)", || { x.conv_transpose2d(Tensor::zeros([2, 4, 3, 3]), by); });
    mistake("conv_transpose2d: [1, 4, 5, 5] with weight [4, 2, 3, 3] in 3 groups: 4 input channels are not divisible", || { x.conv_transpose2d(&w, by.groups(3)); });
    mistake("output padding 2 must be below the stride 2", || { x.conv_transpose2d(&w, by.stride(2).output_padding([1, 2])); });
    mistake("padding 14 leaves nothing of 7 elements", || { x.conv_transpose2d(&w, by.padding(7)); });
    mistake("kernel 0, input 5: none may be 0", || { x.conv_transpose2d(Tensor::zeros([4, 2, 3, 0]), by); });
    mistake("padding 'same' needs stride 1, not 2", || { x.conv_transpose2d(&w, by.stride(2).padding(Padding::Same)); });
    mistake("conv_transpose1d: [1, 4, 5, 5] with weight [4, 2, 3, 3]: expected 3 axes each", || { x.conv_transpose1d(&w, by); });
    mistake("upsample_nearest2d: [3] has fewer than two axes", || { Tensor::zeros([3]).upsample_nearest2d(2); });
    mistake("upsample_bilinear2d: [3] has fewer than two axes", || { Tensor::zeros([3]).upsample_bilinear2d(2, true); });
    mistake("upsample_linear1d: a scalar has no last axis", || { Tensor::scalar(1.0).upsample_linear1d(2, true); });
    mistake("interpolate: axis 1 of [2, 0] is empty", || { Tensor::zeros([2, 0]).apply_op(ops::Interpolate { axis: 1, to: 2, align_corners: false }); });
    mistake("interpolate_backward: expected 3 elements in axis 0, found [2]", || { Tensor::zeros([2]).apply_op(ops::InterpolateBackward { of: ops::Interpolate { axis: 0, to: 3, align_corners: false }, input: 2 }); });
}
