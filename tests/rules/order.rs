//! Elements in order: values against plain sorting, derivatives against finite differences.

use crate::common::{differentiates, mistake, near, property, spaced};
use proptest::prelude::*;
use wengert::f64::prelude::*;

/// Draws distinct elements and one of their axes.
fn rows() -> impl Strategy<Value = (Tensor, usize)> {
    (spaced(), 0usize..3).prop_filter_map("a scalar has no axis", |(x, axis)| {
        let rank = x.shape().rank();
        (rank > 0).then(|| (x, axis % rank.max(1)))
    })
}

/// Each row along an axis, replaced by what `f` makes of it.
fn by_rows(x: &Tensor, axis: usize, f: impl Fn(&mut Vec<f64>)) -> Tensor {
    let last = x.transpose(axis as isize, -1);
    let n = x.shape()[axis];
    let mut rows = Vec::new();
    let mut len = n;
    for row in last.as_slice().chunks(n.max(1)) {
        let mut row = row.to_vec();
        f(&mut row);
        len = row.len();
        rows.extend(row);
    }
    let shape = last.shape().with(x.shape().rank() - 1, len).expect("small");
    Tensor::from_vec(rows, shape).transpose(axis as isize, -1)
}

#[test]
fn sort() {
    property("sort", (rows(), any::<bool>()), |((x, axis), descending)| {
        let plain = by_rows(&x, axis, |row| {
            row.sort_by(f64::total_cmp);
            if descending {
                row.reverse();
            }
        });
        let signed = axis as isize;
        near("sort", &x.sort(signed, descending), &plain)?;
        near("argsort", &x.gather(signed, x.argsort(signed, descending)), &plain)?;
        // The keys of another tensor order this one, and get no gradient.
        let keys = x.sin();
        let by = x.gather(signed, keys.argsort(signed, descending));
        near("sort_by", &x.sort_by(&keys, signed, descending), &by)?;
        differentiates(|x| x[0].sort(signed, descending), [x.clone()])?;
        differentiates(|x| x[0].sort_by(x[0].sin(), signed, descending), [x])
    });
}

#[test]
fn topk() {
    property("topk", (rows(), any::<bool>(), 0usize..=3), |((x, axis), largest, k)| {
        let k = k.min(x.shape()[axis]);
        let signed = axis as isize - x.shape().rank() as isize;
        let first = x.sort(signed, largest).narrow(signed, 0, k);
        near("topk", &x.topk(k, signed, largest), &first)?;
        near("argtopk", &x.gather(signed, x.argtopk(k, signed, largest)), &first)?;
        differentiates(|x| x[0].topk(k, signed, largest), [x])
    });
}

#[test]
fn running_extremes() {
    property("cummax", (rows(), any::<bool>()), |((x, axis), smallest)| {
        let plain = by_rows(&x, axis, |row| {
            for i in 1..row.len() {
                let pick = if smallest { f64::min } else { f64::max };
                row[i] = pick(row[i], row[i - 1]);
            }
        });
        let signed = axis as isize;
        let ours = if smallest { x.cummin(signed) } else { x.cummax(signed) };
        near("running extremes", &ours, &plain)?;
        differentiates(|x| if smallest { x[0].cummin(signed) } else { x[0].cummax(signed) }, [x])
    });
}

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// As PyTorch: NaN is greatest, and equal elements keep their order in both directions.
#[test]
fn ties_and_nan() {
    let x = tensor![1.0, 3.0, NAN, 3.0, -INF, 0.0, -0.0, INF, NAN];
    assert_eq!(x.argsort(0, false), Indices::from([4, 5, 6, 0, 1, 3, 7, 2, 8]));
    assert_eq!(x.argsort(0, true), Indices::from([2, 8, 7, 1, 3, 0, 5, 6, 4]));
    assert_eq!(x.argtopk(4, 0, true), Indices::from([2, 8, 7, 1]));
    assert_eq!(x.argtopk(2, -1, false), Indices::from([4, 5]));
    let x = tensor![1.0, 3.0, 3.0, 2.0, 3.0, NAN, 5.0, NAN];
    let gradient = |f: for<'t> fn(Var<'t>) -> Var<'t>| {
        let tape = Tape::new();
        let x = tape.variable(&x);
        f(x).sum().backward().wrt(x).unwrap().clone()
    };
    // The last of equal elements takes the gradient, as in PyTorch.
    assert_eq!(gradient(|x| x.cummax(0)), tensor![1.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0, 1.0]);
    assert_eq!(gradient(|x| x.cummin(0)), tensor![5.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 1.0]);
}

/// NumPy 2.4: `numpy.searchsorted([1, 2, 2, 4, nan], values, side)`.
#[test]
fn searchsorted() {
    let row = tensor![1.0, 2.0, 2.0, 4.0, NAN];
    let values = tensor![[0.0, 1.0, 2.0], [3.0, 5.0, NAN]];
    let left = Indices::from([[0, 0, 1], [3, 4, 4]]);
    let right = Indices::from([[0, 1, 3], [3, 4, 5]]);
    assert_eq!(row.searchsorted(&values, false), left);
    assert_eq!(row.searchsorted(&values, true), right);
    let rows = tensor![[1.0, 2.0], [-1.0, 0.0]];
    assert_eq!(rows.searchsorted(&tensor![[1.5], [1.5]], false), Indices::from([[1], [2]]));
    let none = Tensor::zeros([0]);
    assert_eq!(none.searchsorted(&values, true), Indices::from([[0; 3]; 2]));
    assert_eq!(row.searchsorted(&none, true), Indices::from(Vec::new()));
}

#[test]
fn nothing_to_order() {
    let tape = Tape::new();
    let x = tape.variable(&Tensor::zeros([2, 0, 3]));
    assert_eq!(x.sort(1, false).shape(), x.shape());
    assert_eq!(x.topk(0, 0, true).shape(), [0, 0, 3].into());
    assert_eq!(x.cummax(0).shape(), x.shape());
    assert_eq!(x.sort(0, true).sum().backward().wrt(x).unwrap().shape(), x.shape());
    let y = tape.variable(&Tensor::ones([3]));
    assert_eq!(*y.topk(0, 0, true).sum().backward().wrt(y).unwrap(), Tensor::zeros([3]));
}

#[test]
#[rustfmt::skip] // one line each: the line is part of the claim
fn mistakes_name_the_axis_and_the_line() {
    let x = Tensor::zeros([2, 3]);
    let of = |f: &dyn for<'t> Fn(Var<'t>)| f(Tape::new().variable(&x));
    mistake("sort: axis 2 does not exist in [2, 3]", || { x.sort(2, false); });
    mistake("argsort: axis -3 does not exist in [2, 3]", || { x.argsort(-3, false); });
    mistake("sort_by: [2, 3] by keys [3]: they differ", || { of(&|x| { x.sort_by(&Tensor::zeros([3]), 0, true); }) });
    mistake("topk: 4 of 3 along axis 1 of [2, 3]", || { of(&|x| { x.topk(4, -1, true); }) });
    mistake("argtopk: 3 of 2 along axis 0 of [2, 3]", || { x.argtopk(3, 0, true); });
    mistake("cummax: axis 2 does not exist in [2, 3]", || { of(&|x| { x.cummax(2); }) });
    mistake("searchsorted: a scalar has no rows", || { Tensor::scalar(1.0).searchsorted(&x, true); });
    mistake("searchsorted: rows [2, 3] and values [3, 3] differ before the last axis", || { x.searchsorted(&Tensor::zeros([3, 3]), true); });
}
