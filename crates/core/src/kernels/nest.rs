//! Nests of loops over the axes of a dense output and its strided operands.

use smallvec::SmallVec;

use super::pieces::pieces;
use super::{CHUNK, parallel};
use crate::float::Float;

/// One axis of a nest of loops, with the strides of the `N` operands along it.
#[derive(Clone, Copy)]
pub(super) struct Axis<const N: usize> {
    pub(super) extent: usize,
    pub(super) strides: [usize; N],
}

pub(super) type Axes<const N: usize> = SmallVec<[Axis<N>; 8]>;

/// The axes of a nest of loops, without those of extent 1; neighbours are merged if every operand steps through
/// both as through one.
pub(super) fn merge<const N: usize>(dims: &[usize], strides: [&[usize]; N]) -> Axes<N> {
    let mut axes = Axes::<N>::new();
    for (i, &extent) in dims.iter().enumerate().filter(|(_, extent)| **extent != 1) {
        let inner = Axis { extent, strides: strides.map(|s| s[i]) };
        match axes.last_mut() {
            Some(outer) if outer.strides == inner.strides.map(|s| s * extent) => {
                *outer = Axis { extent: outer.extent * extent, ..inner };
            }
            _ => axes.push(inner),
        }
    }
    axes
}

/// A loop over a slab of an output, the axes of the slab, and the offsets of the operands. Behind `dyn`, so
/// that the machinery of threads is compiled once and not for each loop.
pub(super) type Task<'a, F, const N: usize> = &'a (dyn Fn(&mut [F], &[Axis<N>], [usize; N]) + Sync);

/// Runs `task` on all of `out`, or, where threads pay off, on slabs of its outermost axis; `task` gets the axes of
/// the slab and the offsets of the operands.
pub(super) fn share<F: Float, const N: usize>(out: &mut [F], axes: Axes<N>, task: Task<'_, F, N>) {
    if out.is_empty() {
        return;
    }
    if axes.is_empty() || !parallel(out.len()) {
        return task(out, &axes, [0; N]);
    }
    let slab = out.len() / axes[0].extent;
    let group = (CHUNK / slab).max(1);
    pieces(out, group * slab, true, &|i, out| {
        let mut axes = axes.clone();
        axes[0].extent = out.len() / slab;
        task(out, &axes, axes[0].strides.map(|s| s * i * group));
    });
}

/// Calls `visit` with the offsets of the operands at each index of `axes`, in order.
#[inline(always)]
pub(super) fn walk<const N: usize>(axes: &[Axis<N>], mut visit: impl FnMut([usize; N])) {
    let mut index = [0; 8];
    let mut offsets = [0; N];
    for _ in 0..axes.iter().map(|axis| axis.extent).product() {
        visit(offsets);
        for (axis, index) in axes.iter().zip(&mut index[..axes.len()]).rev() {
            *index += 1;
            let wrapped = *index == axis.extent;
            for (offset, stride) in offsets.iter_mut().zip(axis.strides) {
                *offset += stride;
                *offset -= if wrapped { stride * axis.extent } else { 0 };
            }
            if !wrapped {
                break;
            }
            *index = 0;
        }
    }
}
