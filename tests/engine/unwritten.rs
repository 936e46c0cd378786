//! Operations that write a part of their output and leave zeros elsewhere, on more elements than one chunk of a loop has.
//! In debug builds fresh memory is NaN, so that a forgotten zero is found.

use wengert::f64::prelude::*;

const N: usize = 20_000;

/// The vector 1, 2, .. `N`.
fn numbers() -> Tensor {
    Tensor::from_fn([N], |i| i as f64 + 1.0)
}

/// The gradient of the sum of `f(x) * weights`, where the weights are 1, 2, ..
fn gradient(x: &Tensor, f: impl for<'t> Fn(Var<'t>) -> Var<'t>) -> Tensor {
    let tape = Tape::new();
    let x = tape.variable(x);
    let y = f(x).flatten();
    let weights = Tensor::from_fn(y.shape(), |i| i as f64 + 1.0);
    let loss = (y * &weights).sum();
    let computed = loss.backward().wrt(x).expect("a gradient").clone();
    assert_eq!(grad(loss, &[x])[0].value(), computed);
    computed
}

fn expect(found: &Tensor, number: impl Fn(usize) -> f64) {
    for (i, &found) in found.as_slice().iter().enumerate() {
        assert_eq!(found, number(i), "at {i}");
    }
}

#[test]
fn padding_and_slices() {
    let inside = |i: usize| (100..100 + N).contains(&i);
    expect(&numbers().pad(0, 100, 50, 0.0), |i| if inside(i) { (i - 99) as f64 } else { 0.0 });
    let kept = |i: usize| (7..N - 9).contains(&i);
    expect(&gradient(&numbers(), |x| x.narrow(0, 7, N - 16)), |i| {
        if kept(i) { (i - 6) as f64 } else { 0.0 }
    });
    expect(&gradient(&numbers(), |x| x.slice_step(0, 3.., 5)), |i| {
        if i >= 3 && (i - 3).is_multiple_of(5) { ((i - 3) / 5 + 1) as f64 } else { 0.0 }
    });
    expect(&gradient(&numbers().reshape([N / 10, 10]), |x| x.narrow(1, 2, 3)), |i| {
        let (row, column) = (i / 10, i % 10);
        if (2..5).contains(&column) { (row * 3 + column - 2 + 1) as f64 } else { 0.0 }
    });
}

#[test]
fn triangles_and_diagonals() {
    let n = 150;
    let x = Tensor::from_fn([n, n], |i| i as f64 + 1.0);
    let below = |i: usize| i % n <= i / n;
    expect(&x.tril(0), |i| if below(i) { i as f64 + 1.0 } else { 0.0 });
    expect(&gradient(&x, |x| x.triu(1)), |i| if below(i) { 0.0 } else { i as f64 + 1.0 });
    expect(&gradient(&x, |x| x.diag(0)), |i| if i % n == i / n { (i / n + 1) as f64 } else { 0.0 });
}

#[test]
fn indices() {
    let rows = N / 4;
    let x = numbers().reshape([rows, 4]);
    let labels = Indices::from((0..rows).map(|row| row % 4).collect::<Vec<_>>());
    expect(&gradient(&x, |x| x.pick(&labels)), |i| {
        let (row, column) = (i / 4, i % 4);
        if column == row % 4 { (row + 1) as f64 } else { 0.0 }
    });
    expect(&gradient(&x, |x| x.index_select(0, [1, 1])), |i| match i {
        4..8 => (i - 3 + i + 1) as f64,
        _ => 0.0,
    });
    expect(&Tensor::one_hot(&labels, 4), |i| if i % 4 == i / 4 % 4 { 1.0 } else { 0.0 });
    let columns = Indices::from_vec((0..rows).map(|row| row % 4).collect(), [rows, 1]);
    expect(&gradient(&x, |x| x.gather(1, &columns)), |i| {
        let (row, column) = (i / 4, i % 4);
        if column == row % 4 { (row + 1) as f64 } else { 0.0 }
    });
    expect(&Tensor::zeros([rows, 4]).scatter_add(1, &columns, Tensor::ones([rows, 1])), |i| {
        if i % 4 == i / 4 % 4 { 1.0 } else { 0.0 }
    });
}

#[test]
fn windows_and_extremes() {
    let x = numbers().reshape([1, 1, N]);
    // The last of each window is the largest.
    expect(
        &gradient(&x, |x| x.max_pool1d(4)),
        |i| if i % 4 == 3 { (i / 4 + 1) as f64 } else { 0.0 },
    );
    // Windows of one element, four apart, read one in four.
    let apart = wengert::Pooling::new(1).stride(4);
    expect(&gradient(&x, |x| x.avg_pool1d(apart)), |i| {
        if i % 4 == 0 { (i / 4 + 1) as f64 } else { 0.0 }
    });
    let weight = Tensor::ones([1, 1, 1]);
    expect(&gradient(&x, |x| x.conv1d(&weight, ConvOptions::new().stride(4))), |i| {
        if i % 4 == 0 { (i / 4 + 1) as f64 } else { 0.0 }
    });
    expect(&gradient(&numbers(), |x| x.max()), |i| if i == N - 1 { 1.0 } else { 0.0 });
    expect(&gradient(&numbers().reshape([N / 4, 4]), |x| x.max_axes(1, false)), |i| {
        if i % 4 == 3 { (i / 4 + 1) as f64 } else { 0.0 }
    });
}
