//! Linear algebra: values by what defines them, derivatives against finite differences.

use crate::common::{Outcome, derivative_is_zero, differentiates, mistake, near, of, property};
use proptest::prelude::*;
use wengert::f64::prelude::*;
use wengert::{Value, ops};

/// Batches of square matrices, one to three rows, near a diagonal one: well conditioned, their symmetric parts positive
/// definite, their eigenvalues apart.
fn regular() -> impl Strategy<Value = Tensor> {
    (1usize..=3, prop::collection::vec(1usize..=2, 0..=1)).prop_flat_map(|(n, batch)| {
        let shape = [&batch[..], &[n, n]].concat();
        of(&shape).prop_map(move |x| {
            let diagonal = Tensor::from_fn([n, n], |at| {
                if at / n == at % n { 1.5 + 1.5 * (at % n) as f64 } else { 0.0 }
            });
            x * 0.2 + diagonal
        })
    })
}

/// A matrix, and a right-hand side of this many columns.
fn systems(columns: usize) -> impl Strategy<Value = (Tensor, Tensor)> {
    regular().prop_flat_map(move |a| {
        let shape = a.shape().with(a.shape().rank() - 1, columns).expect("small");
        (Just(a), of(&shape))
    })
}

fn eye_like(a: &Tensor) -> Tensor {
    Tensor::eye(a.shape()[a.shape().rank() - 1]).expand(a.shape())
}

fn transposed(x: &Tensor) -> Tensor {
    x.transpose(-1, -2)
}

#[test]
fn solve() {
    property("solve", systems(2), |(a, b)| {
        near("a x", &a.matmul(a.solve(&b)), &b)?;
        let op = ops::Solve { transpose: true };
        near("a^T x", &transposed(&a).matmul(Value::apply(op, [&a, &b])), &b)?;
        differentiates(|x| x[0].solve(x[1]), [a.clone(), b.clone()])?;
        differentiates(|x| Value::apply(op, [&x[0], &x[1]]), [a, b])
    });
    property("solve, broadcast", (of(&[2, 2]), of(&[3, 2, 1])), |(a, b)| {
        let a = a * 0.2 + Tensor::eye(2);
        near("a x", &a.matmul(a.solve(&b)), &b)?;
        differentiates(|x| x[0].solve(x[1]), [a, b])
    });
    property("solve, a vector", (of(&[3, 2, 2]), of(&[2])), |(a, b)| {
        let a = a * 0.2 + Tensor::eye(2);
        let x = a.solve(&b);
        near("a x", &a.matmul(x.unsqueeze(-1)).squeeze(-1), &b.expand([3, 2]))?;
        differentiates(|x| x[0].solve(x[1]), [a, b])
    });
}

#[test]
fn solve_triangular() {
    property("solve_triangular", (systems(2), any::<bool>()), |((a, b), upper)| {
        let triangle = if upper { a.triu(0) } else { a.tril(0) };
        near("t x", &triangle.matmul(a.solve_triangular(&b, upper)), &b)?;
        let op = ops::SolveTriangular { upper, transpose: true };
        near("t^T x", &transposed(&triangle).matmul(Value::apply(op, [&a, &b])), &b)?;
        differentiates(|x| x[0].solve_triangular(x[1], upper), [a.clone(), b.clone()])?;
        differentiates(|x| Value::apply(op, [&x[0], &x[1]]), [a, b])
    });
}

#[test]
fn inv() {
    property("inv", regular(), |a| {
        near("a a^-1", &a.matmul(a.inv()), &eye_like(&a))?;
        differentiates(|x| x[0].inv(), [a])
    });
}

/// The determinant of a matrix of up to three rows, by its definition.
fn leibniz(x: &[f64]) -> f64 {
    match *x {
        [a] => a,
        [a, b, c, d] => a * d - b * c,
        [a, b, c, d, e, f, g, h, i] => {
            a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
        }
        _ => unreachable!("one to three rows"),
    }
}

#[test]
fn determinants() {
    property("det", regular(), |a| {
        let n = a.shape()[a.shape().rank() - 1];
        let plain = a.as_slice().chunks(n * n).map(leibniz).collect::<Vec<_>>();
        let plain = Tensor::from_vec(plain, Shape::new(&a.shape()[..a.shape().rank() - 2]));
        near("det", &a.det(), &plain)?;
        // Of odd rows the negative has the other sign.
        let negative = if n % 2 == 1 { -&plain } else { plain.clone() };
        for (a, plain) in [(a.clone(), plain), (-&a, negative)] {
            let (sign, ln) = a.slogdet();
            near("slogdet", &(sign * ln.exp()), &plain)?;
            differentiates(|x| x[0].slogdet().1, [a.clone()])?;
            derivative_is_zero(|x| x[0].slogdet().0, [a])?;
        }
        differentiates(|x| x[0].det(), [a.clone()])?;
        differentiates(|x| x[0].apply_op(ops::Cofactors), [a])
    });
}

#[test]
fn cholesky() {
    property("cholesky", regular(), |a| {
        let l = a.cholesky();
        near("l l^T", &l.matmul_transposed(&l), &((&a + transposed(&a)) * 0.5))?;
        near("l", &l.tril(0), &l)?;
        differentiates(|x| x[0].cholesky(), [a])
    });
}

#[test]
fn qr() {
    let shapes = prop_oneof![
        regular().boxed(),
        of(&[4, 2])
            .prop_map(|x| x * 0.2 + Tensor::from_fn([4, 2], |at| f64::from(at % 3 == 0)))
            .boxed(),
        of(&[2, 2, 3])
            .prop_map(|x| x * 0.2 + Tensor::from_fn([2, 3], |at| f64::from(at % 4 == 0)))
            .boxed(),
    ];
    property("qr", shapes, |a| {
        let (q, r) = a.qr();
        near("q r", &q.matmul(&r), &a)?;
        near("r", &r.triu(0), &r)?;
        near("q^T q", &transposed(&q).matmul(&q), &eye_like(&transposed(&q).matmul(&q)))?;
        differentiates(|x| x[0].qr().0, [a.clone()])?;
        differentiates(|x| x[0].qr().1, [a.clone()])?;
        differentiates(
            |x| {
                let (q, r) = x[0].qr();
                q.exp().sum_axes([-2, -1], false) * r.sin().sum_axes([-2, -1], false)
            },
            [a],
        )
    });
}

/// Functions that do not depend on the signs of the eigenvectors.
fn spectral<'t>(x: &[Var<'t>]) -> Var<'t> {
    let (w, v) = x[0].eigh();
    let scaled = (v * w.exp().unsqueeze(-2)).matmul_transposed(v);
    MovementOps::concat(&[v.square(), scaled, w.unsqueeze(-2)], -2)
}

#[test]
fn eigh() {
    property("eigh", regular(), |a| {
        let (w, v) = a.eigh();
        let symmetric = (&a + transposed(&a)) * 0.5;
        near("a v", &symmetric.matmul(&v), &(&v * w.unsqueeze(-2)))?;
        near("v^T v", &transposed(&v).matmul(&v), &eye_like(&a))?;
        near("eigvalsh", &a.eigvalsh(), &w)?;
        if w.as_slice().chunks(w.shape()[w.shape().rank() - 1]).any(|w| !w.is_sorted()) {
            return Err("the eigenvalues are not in order".into());
        }
        differentiates(|x| x[0].eigvalsh(), [a.clone()])?;
        differentiates(spectral, [a])
    });
}

/// Equal eigenvalues do no harm to a function that does not tell them apart.
#[test]
fn equal_eigenvalues() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]);
    let loss = x.eigvalsh().square().sum();
    assert_eq!(*loss.backward().wrt(x).unwrap(), x.value() * 2.0);
    assert_eq!(grad(loss, &[x])[0].value(), x.value() * 2.0);
}

#[test]
fn singular_matrices() -> Outcome {
    let tape = Tape::new();
    let x = tape.variable(&tensor![
        [[1.0, 2.0], [2.0, 4.0]],
        [[1.0, 0.0], [0.0, 2.0]],
        [[0.0, 0.0], [0.0, 0.0]]
    ]);
    let det = x.det();
    assert_eq!(det.value(), tensor![0.0, 2.0, 0.0]);
    let cofactors =
        tensor![[[4.0, -2.0], [-2.0, 1.0]], [[2.0, 0.0], [0.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]];
    near("cofactors", det.sum().backward().wrt(x).unwrap(), &cofactors)?;
    let (sign, ln) = x.value().slogdet();
    assert_eq!(
        (sign, ln.at(&[0]), ln.at(&[2])),
        (tensor![0.0, 1.0, 0.0], f64::NEG_INFINITY, f64::NEG_INFINITY)
    );
    // One matrix without an answer does not affect the others.
    for y in [x.inv(), x.solve(&Tensor::eye(2)), (x - 0.5).cholesky()] {
        let finite = y
            .value()
            .as_slice()
            .chunks(4)
            .map(|y| y.iter().all(|y| y.is_finite()))
            .collect::<Vec<_>>();
        assert!(y.value().as_slice()[..4].iter().all(|y| y.is_nan()), "{:?}", y.value());
        assert_eq!(finite[0], finite[2], "{:?}", y.value());
    }
    assert_eq!(x.inv().value().index_select(0, [1]), tensor![[[1.0, 0.0], [0.0, 0.5]]]);
    Ok(())
}

#[test]
fn nothing_and_one_row() {
    let (none, empty) = (Tensor::zeros([0, 3, 3]), Tensor::zeros([2, 0, 0]));
    let shapes = |a: &Tensor| {
        let (sign, ln) = a.slogdet();
        let ((q, r), (w, v)) = (a.qr(), a.eigh());
        [a.inv(), a.cholesky(), a.solve(a), q, r, v, a.det(), sign, ln, w]
            .map(|x| x.shape().to_vec())
    };
    let square = |shape: Vec<usize>| std::array::from_fn::<_, 6, _>(|_| shape.clone());
    assert_eq!(shapes(&none)[..6], square(vec![0, 3, 3]));
    assert_eq!(shapes(&none)[6..], [vec![0], vec![0], vec![0], vec![0, 3]]);
    assert_eq!(shapes(&empty)[..6], square(vec![2, 0, 0]));
    assert_eq!(shapes(&empty)[6..], [vec![2], vec![2], vec![2], vec![2, 0]]);
    assert_eq!(empty.det(), tensor![1.0, 1.0]);
    assert_eq!(empty.slogdet(), (tensor![1.0, 1.0], tensor![0.0, 0.0]));
    let tape = Tape::new();
    for x in [none, empty] {
        let x = tape.variable(&x);
        let (w, v) = x.eigh();
        let (q, r) = x.qr();
        let all = [x.inv(), x.cholesky(), x.solve(x), q, r, v, w.unsqueeze(-1)];
        let loss = all.iter().fold(x.det().sum() + x.slogdet().1.sum(), |sum, y| sum + y.sum());
        let first = grad(loss, &[x])[0];
        assert_eq!(first.shape(), x.shape());
        assert_eq!(grad(first.square().sum(), &[x])[0].shape(), x.shape());
    }
    let one = tensor![[-2.0]];
    assert_eq!((one.inv(), one.det()), (tensor![[-0.5]], Tensor::scalar(-2.0)));
    assert_eq!(one.slogdet(), (Tensor::scalar(-1.0), Tensor::scalar(2f64.ln())));
    assert_eq!(one.qr(), (tensor![[1.0]], tensor![[-2.0]]));
    assert_eq!(one.eigh(), (tensor![-2.0], tensor![[1.0]]));
}

/// In single precision, the result is the one of double precision, rounded.
#[test]
fn single_precision_is_rounded_once() {
    let a = wengert::Tensor::<f32>::from([[3.0, 1.0, 0.5], [1.0, 4.0, 0.25], [0.5, 0.25, 5.0]]);
    let wide = a.cast::<f64>();
    assert_eq!(a.inv(), wide.inv().cast());
    assert_eq!(a.cholesky(), wide.cholesky().cast());
    assert_eq!(a.eigh().1, wide.eigh().1.cast());
}

#[test]
#[rustfmt::skip] // one line each: the line is part of the claim
fn mistakes_name_the_shapes_and_the_line() {
    let (x, v) = (Tensor::zeros([2, 3]), Tensor::zeros([3]));
    let of = |f: &dyn for<'t> Fn(Var<'t>)| f(Tape::new().variable(&x));
    mistake("inv: [2, 3] is not square (2 rows, 3 columns)", || { x.inv(); });
    mistake("det: [3] is not a matrix", || { v.det(); });
    mistake("slog_det: [2, 3] is not square", || { of(&|x| { x.slogdet(); }) });
    mistake("cholesky: [2, 3] is not square", || { of(&|x| { x.cholesky(); }) });
    mistake("eigh: [2, 3] is not square", || { of(&|x| { x.eigvalsh(); }) });
    mistake("qr: [3] is not a matrix", || { v.qr(); });
    mistake("solve: [2, 2] x = [3, 1]: the number of rows differs (2 and 3)", || { Tensor::eye(2).solve(Tensor::zeros([3, 1])); });
    mistake("solve: [2, 2] x = [3]: the number of rows differs (2 and 3)", || { Tensor::eye(2).solve(&v); });
    mistake("solve: [2, 2] x = []: a scalar is not a matrix", || { Tensor::eye(2).solve(1.0); });
    mistake("solve_triangular: [2, 2, 2] x = [3, 2, 1]: batches [2] and [3] do not broadcast", || { Tensor::zeros([2, 2, 2]).solve_triangular(Tensor::zeros([3, 2, 1]), true); });
}
