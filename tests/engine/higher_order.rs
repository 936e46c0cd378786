//! Derivatives of higher order, compared with closed forms.

use wengert::f64::prelude::*;

/// The first `orders` derivatives of a function of one number, each the gradient of the one before. The
/// computed and the recorded sweep must agree.
fn derivatives(x: f64, orders: usize, f: impl for<'t> Fn(Var<'t>) -> Var<'t>) -> Vec<f64> {
    let tape = Tape::new();
    let x = tape.variable(&Tensor::scalar(x));
    let mut y = f(x);
    let mut found = Vec::new();
    for _ in 0..orders {
        let computed = y.backward();
        y = grad(y, &[x])[0];
        let computed = computed.wrt(x).map_or(0.0, Tensor::item);
        assert!((computed - y.item()).abs() <= 1e-12 * computed.abs().max(1.0));
        found.push(y.item());
    }
    found
}

#[track_caller]
fn assert_near(ours: impl IntoIterator<Item = f64>, expected: impl IntoIterator<Item = f64>) {
    let (ours, expected) =
        (ours.into_iter().collect::<Vec<_>>(), expected.into_iter().collect::<Vec<_>>());
    assert_eq!(ours.len(), expected.len());
    for (a, b) in ours.iter().zip(&expected) {
        assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{ours:?} for {expected:?}");
    }
}

#[test]
fn derivatives_up_to_the_fifth_match_closed_forms() {
    let x = 0.7f64;
    let (sin, cos, exp) = (x.sin(), x.cos(), x.exp());
    assert_near(derivatives(x, 5, |x| x.sin()), [cos, -sin, -cos, sin, cos]);
    assert_near(derivatives(x, 5, |x| x.exp()), [exp; 5]);
    assert_near(
        derivatives(x, 5, |x| x.ln()),
        [1.0, -1.0, 2.0, -6.0, 24.0].iter().zip(1..).map(|(c, n)| c / x.powi(n)),
    );
    assert_near(derivatives(x, 5, |x| x * x * x), [3.0 * x * x, 6.0 * x, 6.0, 0.0, 0.0]);
    assert_near(
        derivatives(x, 5, |x| x.powf(4.0)),
        [4.0 * x.powi(3), 12.0 * x * x, 24.0 * x, 24.0, 0.0],
    );
    // tanh' = 1 - t^2; the others follow with t' = 1 - t^2.
    let t = x.tanh();
    let s = 1.0 - t * t;
    assert_near(derivatives(x, 3, |x| x.tanh()), [s, -2.0 * t * s, s * (6.0 * t * t - 2.0)]);
    // sigmoid' = p q, with p = sigmoid(x) and q = 1 - p.
    let p = 1.0 / (1.0 + (-x).exp());
    let q = 1.0 - p;
    assert_near(
        derivatives(x, 3, |x| x.sigmoid()),
        [p * q, p * q * (q - p), p * q * (1.0 - 6.0 * p * q)],
    );
    assert_near(derivatives(x, 3, |x| x.softplus()), [p, p * q, p * q * (q - p)]);
    assert_near(
        derivatives(x, 3, |x| 1.0 / x),
        [-1.0 / (x * x), 2.0 / x.powi(3), -6.0 / x.powi(4)],
    );
}

#[test]
fn mul_no_nan_has_the_derivatives_of_a_product() {
    // At 0 the cotangent of sin is 2 sin(0) = 0, where `mul_no_nan` returns 0. Recorded as a selection
    // instead of a product it would have the second derivative 0.
    assert_near(derivatives(0.0, 4, |x| x.sin().square()), [0.0, 2.0, 0.0, -8.0]);
    assert_near(derivatives(0.0, 3, |x| x * x.sin()), [0.0, 2.0, 0.0]);
    assert_near(derivatives(0.0, 3, |x| x.relu() * x), [0.0, 0.0, 0.0]);
    assert_near(derivatives(0.0, 4, |x| x.powf(2.0).sin()), [0.0, 2.0, 0.0, 0.0]);
}

#[test]
fn mixed_partial_derivatives() {
    // f = x^2 y^3 + sin(x y)
    let (x0, y0) = (0.6f64, -1.3f64);
    let tape = Tape::new();
    let (x, y) = (tape.variable(&Tensor::scalar(x0)), tape.variable(&Tensor::scalar(y0)));
    let f = x.square() * y.powf(3.0) + (x * y).sin();
    let (sin, cos) = ((x0 * y0).sin(), (x0 * y0).cos());
    let first = grad(f, &[x, y]);
    assert_near(
        first.iter().map(|g| g.item()),
        [2.0 * x0 * y0.powi(3) + y0 * cos, 3.0 * x0 * x0 * y0 * y0 + x0 * cos],
    );
    let mixed = 6.0 * x0 * y0 * y0 + cos - x0 * y0 * sin;
    assert_near([grad(first[0], &[y])[0].item(), grad(first[1], &[x])[0].item()], [mixed; 2]);
    // d3f / dx dy dx, in each order of differentiation.
    let third = 6.0 * y0 * y0 - y0 * sin - y0 * sin - x0 * y0 * y0 * cos;
    for (one, two, three) in [(x, y, x), (y, x, x), (x, x, y)] {
        let g = grad(grad(grad(f, &[one])[0], &[two])[0], &[three])[0];
        assert_near([g.item()], [third]);
    }
}

#[test]
fn a_hessian_from_vector_jacobian_products() {
    // The Rosenbrock function, whose second derivatives are polynomials.
    let (a, b) = (-1.2, 1.0);
    let tape = Tape::new();
    let x = tape.variable(&tensor![a, b]);
    let (first, second) = (x.narrow(0, 0, 1), x.narrow(0, 1, 1));
    let f = ((1.0 - first).square() + 100.0 * (second - first.square()).square()).sum();
    let gradient = grad(f, &[x])[0];
    assert_near(
        gradient.value().to_vec(),
        [-2.0 * (1.0 - a) - 400.0 * a * (b - a * a), 200.0 * (b - a * a)],
    );
    let identity = Tensor::eye(2);
    let hessian = (0..2).flat_map(|row| {
        let direction = tape.constant(&identity.take_rows(&[row])).reshape([2]);
        vjp(gradient, &[x], direction)[0].value().to_vec()
    });
    assert_near(hessian, [1200.0 * a * a - 400.0 * b + 2.0, -400.0 * a, -400.0 * a, 200.0]);
}

#[test]
fn the_hessian_of_a_quadratic_form_is_its_matrix() {
    let a = tensor![[2.0, -1.0, 0.5], [0.0, 3.0, 1.0], [1.5, -2.0, 1.0]];
    let tape = Tape::new();
    let x = tape.variable(&tensor![0.3, -0.2, 0.9]);
    let form = x.matmul(&a).matmul(x);
    let gradient = grad(form, &[x])[0];
    for row in 0..3 {
        let along = gradient.narrow(0, row, 1);
        let hessian = grad(along, &[x])[0].value().to_vec();
        assert_near(hessian, (0..3).map(|column| a.at(&[row, column]) + a.at(&[column, row])));
    }
}

#[test]
fn the_hessian_of_cross_entropy() {
    // The Hessian of logsumexp is diag(p) - p p^T.
    let tape = Tape::new();
    let x = tape.variable(&tensor![0.2, -1.0, 1.5]);
    let p = x.value().softmax().to_vec();
    let loss = x.cross_entropy(Indices::from_vec(vec![1], Shape::SCALAR));
    let gradient = grad(loss, &[x])[0];
    for row in 0..3 {
        let hessian = grad(gradient.narrow(0, row, 1), &[x])[0].value().to_vec();
        assert_near(hessian, (0..3).map(|c| p[row] * (f64::from(row == c) - p[c])));
    }
}

#[test]
fn the_derivative_by_an_unused_value_is_zero() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![1.0, 2.0]);
    let unused = tape.variable(&tensor![[3.0, 4.0]]);
    let constant = tape.constant(&tensor![5.0, 6.0]);
    let later = x.square();
    let loss = (x * constant).sum();
    let found = grad(loss, &[unused, later, x]);
    assert_eq!(found[0].value(), Tensor::zeros([1, 2]));
    assert_eq!(found[1].value(), Tensor::zeros([2]));
    assert_eq!(found[2].value(), tensor![5.0, 6.0]);
    // The second derivative of a linear function is zero.
    assert_eq!(grad(found[2].sum(), &[x])[0].value(), Tensor::zeros([2]));
    assert!(loss.backward().wrt(unused).is_none());
}

#[test]
fn grad_by_an_intermediate_value() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![0.5, -1.5]);
    let middle = x.square();
    let loss = (middle * middle * x).sum();
    let found = grad(loss, &[middle, x]);
    // By the intermediate value m, with x held fixed: 2 m x. By x, with m depending on it: 5 x^4.
    assert_near(found[0].value().to_vec(), [0.25, -6.75]);
    assert_near(found[1].value().to_vec(), [5.0 * 0.0625, 5.0 * 5.0625]);
}

#[test]
fn a_gradient_penalty_trains_parameters() {
    // The gradient penalty (d/dx sum(w x^2))^2 = sum(4 w^2 x^2), by w: 8 w x^2.
    let w = Param::new(tensor![0.5, -2.0]);
    let (loss, gradients) = gradients(|tape| {
        let x = tape.variable(&tensor![1.0, 3.0]);
        let slope = grad((&w * x.square()).sum(), &[x])[0];
        slope.square().sum()
    });
    assert_eq!(loss, 4.0 * 0.25 + 4.0 * 4.0 * 9.0);
    assert_eq!(gradients.get(&w).unwrap().to_vec(), [4.0, -144.0]);
}

#[test]
fn a_loss_made_of_pieces_is_a_parabola_at_error_zero() {
    use wengert::nn::SmoothL1;
    assert_eq!(derivatives(0.3, 2, |x| x.huber(0.3)), [0.0, 1.0]);
    assert_eq!(
        derivatives(0.3, 2, |x| x.smooth_l1_with(0.3, SmoothL1::new().beta(0.5))),
        [0.0, 2.0]
    );
}

/// `1 - x^2` in their derivatives has the derivative `-2 x` to all digits.
#[test]
fn inverse_functions_near_zero_and_at_their_poles() {
    let x = 1e-12;
    for (second, sign) in [
        (derivatives(x, 2, |x| x.asin())[1], 1.0),
        (derivatives(x, 2, |x| x.acos())[1], -1.0),
        (derivatives(x, 2, |x| x.atanh())[1], 2.0),
    ] {
        assert!((second / (sign * x) - 1.0).abs() < 1e-12, "{second:e}");
    }
    let tape = Tape::new();
    let x = tape.variable(&Tensor::scalar(1.0));
    for (y, sign) in [(x.asin(), 1.0), (x.acos(), -1.0), (x.atanh(), 1.0)] {
        let first = grad(y, &[x])[0];
        assert_eq!([first, grad(first, &[x])[0]].map(|g| g.item()), [sign * f64::INFINITY; 2]);
    }
}

/// Slices that overlap, repeat, and stand beside another use of the whole.
fn sliced<'t>(x: Var<'t>) -> Var<'t> {
    let parts = [
        x.narrow(0, 0, 2).sin(),
        x.narrow(0, 1, 3).square(),
        x.index_select(0, [3, 1, 3]) * 0.7,
        x.index_select(0, [2]).exp(),
        x.narrow(1, 1, 1).expand([4, 2]),
    ];
    let columns = x.index_select(1, [1, 0, 1]).sin().sum_axes(1, true).expand([4, 2]);
    let all = Var::concat(&[&parts[..], &[columns, x.tanh()]].concat(), 0);
    (all.square() * all).sum() + x.sum()
}

#[test]
fn derivatives_through_slices_agree_with_differences() {
    let value = |i: usize| (i as f64 * 1.3 + 0.4).sin();
    let x = Param::new(Tensor::from_fn([4, 2], value));
    let direction = Tensor::from_fn([4, 2], |i| (i as f64 * 0.9).cos());
    let loss = |at: &Tensor| evaluate(|tape| sliced(tape.constant(at))).item();
    let near = |found: f64, expected: f64| {
        assert!((found - expected).abs() < 1e-6 * expected.abs().max(1.0), "{found} {expected}");
    };
    let moved = |h: f64| x.value() + &direction * h;
    let slope = (loss(&moved(1e-5)) - loss(&moved(-1e-5))) / 2e-5;
    let tape = Tape::new();
    let v = tape.variable(x.value());
    let d = tape.constant(&direction);
    let y = sliced(v);
    let computed = y.backward().wrt(v).unwrap().clone();
    let recorded = grad(y, &[v])[0];
    for (a, b) in recorded.value().as_slice().iter().zip(computed.as_slice()) {
        assert!((a - b).abs() < 1e-12);
    }
    near(jvp(y, &[v], &[d]).item(), slope);
    near((&computed * &direction).sum().item(), slope);
    let gradient = |at: &Tensor| {
        let tape = Tape::new();
        let v = tape.variable(at);
        sliced(v).backward().wrt(v).unwrap().clone()
    };
    let change = (gradient(&moved(1e-5)) - gradient(&moved(-1e-5))) / 2e-5;
    let by_hvp = hvp(y, &[v], &[d])[0].value();
    let by_grad = grad((recorded * d).sum(), &[v])[0].value();
    let by_sweep = (recorded * d).sum().backward().wrt(v).unwrap().clone();
    for i in 0..8 {
        near(by_hvp.as_slice()[i], change.as_slice()[i]);
        near(by_grad.as_slice()[i], change.as_slice()[i]);
        near(by_sweep.as_slice()[i], change.as_slice()[i]);
    }
    // Third order: the derivative of the product above, along the same direction.
    let product = |at: &Tensor| {
        let tape = Tape::new();
        let v = tape.variable(at);
        hvp(sliced(v), &[v], &[tape.constant(&direction)])[0].value()
    };
    let change = (product(&moved(1e-5)) - product(&moved(-1e-5))) / 2e-5;
    let third = jvp(hvp(y, &[v], &[d])[0], &[v], &[d]).value();
    (0..8).for_each(|i| near(third.as_slice()[i], change.as_slice()[i]));
}

/// The indices of a program's input are others at the next run.
#[test]
fn a_program_differentiates_slices_at_new_indices() {
    let x = Param::new(Tensor::from_fn([5, 2], |i| (i as f64).sin()));
    let mut step = wengert::Program::<Param, (Indices, Indices), f64>::new(|x, tape, (a, b)| {
        let x = tape.param(x);
        let rows = x.index_select(0, a).square() * x.index_select(0, b).exp();
        grad(rows.sum() + x.narrow(0, 1, 2).sin().sum(), &[x])[0].square().sum()
    });
    for run in 0..6 {
        let (a, b) = (Indices::from([run % 5, 3]), Indices::from([(run * run) % 5, run % 5]));
        let (found, grads) = step.gradients(&x, (&a, &b));
        let (fresh, expected) = gradients(|tape| {
            let x = tape.param(&x);
            let rows = x.index_select(0, &a).square() * x.index_select(0, &b).exp();
            grad(rows.sum() + x.narrow(0, 1, 2).sin().sum(), &[x])[0].square().sum()
        });
        assert!((found - fresh).abs() < 1e-12, "run {run}");
        let pairs =
            grads.get(&x).unwrap().as_slice().iter().zip(expected.get(&x).unwrap().as_slice());
        pairs.for_each(|(a, b)| assert!((a - b).abs() < 1e-12, "run {run}"));
    }
}
