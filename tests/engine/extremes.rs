//! Extreme sizes: no shape exists whose elements cannot be counted, and the mistake is told at the caller's line.
//! Extreme but legal shapes, such as `[50_000_000, 0]`, cost nothing.

use std::time::{Duration, Instant};

use wengert::core::MAX_NUMEL;
use wengert::prelude::*;

use crate::panics::{caught, fails};

/// A third of 2^64, rounded up: three times it is 1, modulo 2^64.
const WRAPS: usize = 0xAAAA_AAAA_AAAA_AAAB;
const HUGE: usize = 1 << 63;

fn ones(extents: &[usize]) -> Tensor {
    Tensor::ones(extents)
}

/// The message about a shape that is too large.
fn too_large(operation: &str, shape: &str) -> String {
    format!("{operation}: {shape} is too large: at most {MAX_NUMEL} elements are supported")
}

#[test]
#[rustfmt::skip] // A call stands on the line of its `fails!`.
fn sizes_that_overflow_are_refused_where_a_tensor_is_made() {
    let side = 1 << 32;
    let square = "[4294967296, 4294967296]";
    fails! { Tensor::from_vec(vec![1.0], [WRAPS, 3]), too_large("shape", "[12297829382473034411, 3]") }
    fails! { Indices::from_vec(vec![1], [WRAPS, 3]), too_large("shape", "[12297829382473034411, 3]") }
    fails! { Tensor::zeros([side, side]), too_large("shape", square) }
    fails! { Tensor::full(&[side, side][..], 1.0), too_large("shape", square) }
    fails! { Tensor::eye(side), too_large("shape", square) }
    fails! { Tensor::arange(usize::MAX), too_large("shape", "[18446744073709551615]") }
    fails! { Tensor::linspace(0.0, 1.0, usize::MAX), too_large("shape", "[18446744073709551615]") }
    fails! { Tensor::one_hot([0, 1], usize::MAX), too_large("one_hot", "[2, 18446744073709551615]") }
    fails! { Shape::from(usize::MAX), too_large("shape", "[18446744073709551615]") }
}

#[test]
#[rustfmt::skip]
fn sizes_that_overflow_are_refused_by_operations() {
    let tape = Tape::new();
    let x = tape.constant(&ones(&[2, 3]));
    let max = "18446744073709551615";
    fails! { tape.constant(&ones(&[1, 1])).expand([1 << 32, 1 << 32]), too_large("shape", "[4294967296, 4294967296]") }
    fails! { x.reshape([-1, isize::MAX]), too_large("reshape", "[1, 9223372036854775807]") }
    fails! { x.narrow(0, usize::MAX, 2), format!("narrow: {max}..{max} is out of range in axis 0 of [2, 3]") }
    fails! { x.slice(0, ..=isize::MAX), "slice: 0..9223372036854775807 is out of range in axis 0 of [2, 3]" }
    fails! { x.split(&[usize::MAX, 4], 1), format!("split: sizes [{max}, 4] add up to {max}, axis 1 of [2, 3] has 3") }
    fails! { x.pad(1, usize::MAX, 2, 0.0), too_large("pad", &format!("[2, {max}]")) }
    fails! { x.pad(1, HUGE, HUGE, 1.0), too_large("pad", &format!("[2, {max}]")) }
    fails! { x.pad_reflect(1, usize::MAX, 2), format!("pad_reflect: axis 1 of [2, 3] is not longer than the padding ({max} and 2)") }
    fails! { x.pad_replicate(1, HUGE, HUGE), too_large("pad_replicate", &format!("[2, {max}]")) }
    fails! { x.repeat([HUGE, 2]), too_large("repeat", "[1, 9223372036854775808, 6]") }
    fails! { ones(&[2]).diag(isize::MIN), too_large("diag", "[9223372036854775810, 9223372036854775810]") }
    fails! { x.upsample_nearest1d(WRAPS), too_large("upsample_nearest1d", &format!("[2, {max}]")) }
    fails! { x.upsample_nearest2d([HUGE, 2]), too_large("upsample_nearest2d", &format!("[{max}, 6]")) }
    let (row, column) = (Tensor::zeros([0, 1, 1 << 40]), Tensor::zeros([0, 1 << 40, 1]));
    fails! { &row + &column, too_large("add", "[0, 1099511627776, 1099511627776]") }
    fails! { column.matmul(&row), too_large("matmul", "[0, 1099511627776, 1099511627776]") }
    fails! { MovementOps::concat(&[row.clone(), Tensor::zeros([0, 1, 1 << 59]), Tensor::zeros([0, 1, 1 << 59])], 2),
             too_large("concat", "[0, 1, 1152922604118474752]") }
    fails! { einsum("aij,ajk->aik", &[column.clone(), row.clone()]), too_large("matmul", "[0, 1099511627776, 1099511627776]") }
}

#[test]
#[rustfmt::skip]
fn windows_that_overflow_are_refused() {
    let tape = Tape::new();
    let x = tape.constant(&ones(&[1, 1, 4, 4]));
    let w = ones(&[1, 1, 2, 2]);
    let options = ConvOptions::new;
    let sizes = "conv: [1, 1, 4, 4] with weight [1, 1, 2, 2] in 1 groups";
    fails! { x.conv2d(&w, options().padding(HUGE)),
             format!("{sizes}: input 4, padding {HUGE}: {} elements with padding are too many", usize::MAX) }
    fails! { x.conv2d(&w, options().padding(1 << 40)), too_large("conv", "[1, 1, 2199023255555, 2199023255555]") }
    fails! { x.conv2d(&w, options().dilation(HUGE)),
             format!("{sizes}: kernel over {} elements does not fit into 4 with padding", HUGE + 1) }
    fails! { x.conv2d(&w, options().dilation(usize::MAX).padding(Padding::Same)),
             format!("{sizes}: input 4, padding {}: {} elements with padding are too many", usize::MAX / 2, usize::MAX) }
    fails! { tape.constant(&ones(&[1, 0, 4, 4])).conv2d(&ones(&[0, 1 << 32, 2, 2]), options().groups(1 << 32)),
             "conv: [1, 0, 4, 4] with weight [0, 4294967296, 2, 2] in 4294967296 groups: channels differ (0 and 4294967296 per group)" }
    fails! { x.max_pool2d(Pooling::new(3).padding(HUGE)),
             format!("max_pool: kernel 3, stride 3, padding {HUGE}: kernel and stride must be above 0, padding at most half the kernel") }
    fails! { x.avg_pool2d(usize::MAX), format!("avg_pool: kernel over {} elements does not fit into 4 with padding", usize::MAX) }
    fails! { x.max_pool2d(Pooling::new(3).dilation(usize::MAX).ceil_mode(true)),
             format!("max_pool: kernel over {} elements does not fit into 4 with padding", usize::MAX) }
    let wide = options().stride(HUGE);
    fails! { x.conv_transpose2d(&w, wide), too_large("conv_transpose2d", &format!("[1, 1, {}, 4]", usize::MAX)) }
    fails! { x.conv_transpose2d(&w, options().dilation(HUGE)), too_large("conv_transpose2d", &format!("[1, 1, {}, 4]", HUGE + 4)) }
    fails! { x.conv_transpose2d(&w, options().padding(HUGE)),
             format!("conv_transpose2d: {}: padding {} leaves nothing of 5 elements", &sizes[6..], usize::MAX) }
    fails! { x.upsample_bilinear2d([2, HUGE], false), too_large("upsample_bilinear2d", &format!("[1, 1, 8, {}]", usize::MAX)) }
    fails! { x.upsample_linear1d(WRAPS, true), too_large("upsample_linear1d", &format!("[1, 1, 4, {}]", usize::MAX)) }
    fails! { x.adaptive_max_pool2d(1 << 40), too_large("max_pool", "[1, 1, 1099511627776, 1099511627776]") }
    // One window over the whole plane and much padding: the average is a tiny number and no division by 0.
    let y = x.avg_pool2d(Pooling::new(1 << 33).padding(1 << 32).stride(1 << 33));
    assert_eq!(y.value().as_slice(), [16.0 / 2f32.powi(66)]);
}

#[test]
fn extreme_diagonals_and_steps_are_legal() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    assert_eq!(x.tril(isize::MAX), x);
    assert_eq!(x.triu(isize::MIN), x);
    assert_eq!(x.tril(isize::MIN), Tensor::zeros([2, 2]));
    assert_eq!(x.triu(isize::MAX), Tensor::zeros([2, 2]));
    for diagonal in [isize::MIN, isize::MAX, 2] {
        assert_eq!(x.diag(diagonal).shape(), [0].into());
    }
    assert_eq!(x.slice_step(1, .., usize::MAX), x.narrow(1, 0, 1));
    assert_eq!(x.roll(isize::MIN, 0), x);
    assert_eq!(x.chunk(usize::MAX, 0).len(), 2);
}

/// Runs `f`, which must not take long.
fn quick<R>(f: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = f();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    result
}

#[test]
fn empty_tensors_with_huge_axes_cost_nothing() {
    for shape in [[50_000_000, 0], [1 << 58, 0], [0, 1 << 58]] {
        quick(|| {
            let x = Tensor::zeros(shape);
            assert!(x.to_string().len() < 1000 && format!("{x:?}").len() < 1000);
            assert_eq!(x.transpose(0, 1).unsqueeze(0).shape(), [1, shape[1], shape[0]].into());
            assert_eq!(Tensor::zeros([1, 1]).expand(shape), x);
            assert_eq!((&x + 1.0) * &x, x);
            assert_eq!(x.sum().item(), 0.0);
            assert_eq!(MovementOps::concat(&[x.clone(), x.clone()], 1).numel(), 0);
            assert_eq!(
                x.index_select(0, [0; 0]).index_add(0, [0; 0], x.narrow(0, 0, 0)).numel(),
                0
            );
            assert_eq!(x.cumsum(0).numel() + x.tril(0).numel() + x.flip([0, 1]).numel(), 0);
            let tape = Tape::new();
            let v = tape.variable(&x);
            let loss = v.pad(0, 0, 0, 1.0).softmax().square().roll(1, 0).slice_step(1, .., 2).sum();
            assert_eq!(loss.backward().wrt(v), Some(&x));
        });
    }
    // A long axis of maxima over nothing, and pooling to as many cells.
    quick(|| assert_eq!(Tensor::zeros([1 << 59, 1, 0]).argmax_axis(1, false).shape().numel(), 0));
    quick(|| {
        let tape = Tape::new();
        let x = tape.variable(&Tensor::ones([1, 2, 3]));
        let y =
            x.adaptive_max_pool2d([1 << 59, 0]).sum() + x.adaptive_avg_pool2d([1 << 59, 0]).sum();
        assert_eq!(y.backward().wrt(x), Some(&Tensor::zeros([1, 2, 3])));
    });
}

#[test]
fn memory_that_the_machine_does_not_have_is_a_panic_with_the_shape() {
    let caught = caught(|| drop(Tensor::zeros([1 << 40, 1 << 18])));
    assert_eq!(caught.message, "no memory for a tensor of shape [1099511627776, 262144] f32");
    assert!(caught.file.ends_with("extremes.rs"), "{}", caught.file);
    // An operation as well; the line is the library's, the process goes on.
    let x = Tensor::ones([1 << 20, 1]);
    let caught = crate::panics::caught(|| {
        drop(x.matmul(x.reshape([1, -1])).expand([1 << 18, 1 << 20, 1 << 20]))
    });
    assert!(caught.message.starts_with("no memory for a tensor of shape ["), "{}", caught.message);
}
