//! Derivatives that are recorded on the tape, so that they can be differentiated again.

use crate::diff::sweep::{forward_mode, reverse_mode};
use crate::op::Value;
use crate::ops::MovementOps;
use crate::tape::backward::check_scalar;
use crate::{Float, Shape, Tape, Tensor, Var};

/// Returns the derivatives of a loss with respect to `wrt`, each of the shape of its value.
///
/// The derivatives are variables of the same tape: use them in a loss, or differentiate them again. A value
/// that the loss does not depend on has the derivative zero.
///
/// ```
/// use wengert_core::{Tape, Tensor, UnaryOps, grad};
///
/// // The derivatives of sin at 0: 1, 0, -1.
/// let tape = Tape::<f64>::new();
/// let x = tape.variable(&Tensor::scalar(0.0));
/// let first = grad(x.sin(), &[x])[0];
/// let second = grad(first, &[x])[0];
/// let third = grad(second, &[x])[0];
/// assert_eq!((first.item(), second.item(), third.item()), (1.0, 0.0, -1.0));
/// ```
///
/// # Panics
/// If the loss has more than one element, or one of `wrt` is a constant.
#[track_caller]
pub fn grad<'t, F: Float>(loss: Var<'t, F>, wrt: &[Var<'t, F>]) -> Vec<Var<'t, F>> {
    check_scalar(loss.shape());
    check_variables("grad", loss.tape, wrt);
    vjp(loss, wrt, loss.constant_like(loss.shape(), 1.0))
}

/// Returns the vector-Jacobian products of `y` with respect to `wrt`: for each, `cotangent^T J`, where `J` is the
/// Jacobian of `y` by that value. This takes one sweep backward (reverse mode).
///
/// `cotangent` has the shape of `y`; each result has the shape of its value.
///
/// ```
/// use wengert_core::{Tape, Tensor, UnaryOps, vjp};
///
/// let tape = Tape::<f64>::new();
/// let x = tape.variable(&Tensor::from([1.0, 2.0, 3.0]));
/// let cotangent = tape.constant(&Tensor::from([1.0, 0.0, -1.0]));
/// assert_eq!(vjp(x.square(), &[x], cotangent)[0].value(), Tensor::from([2.0, 0.0, -6.0]));
/// ```
///
/// # Panics
/// If `cotangent` has another shape than `y`, or one of `wrt` is a constant.
#[track_caller]
pub fn vjp<'t, F: Float>(
    y: Var<'t, F>,
    wrt: &[Var<'t, F>],
    cotangent: Var<'t, F>,
) -> Vec<Var<'t, F>> {
    check_variables("vjp", y.tape, wrt);
    cotangent.on_tape(y.tape);
    check_shape("vjp", "cotangent", y.shape(), cotangent.shape());
    or_zeros(reverse_mode(y, wrt, cotangent), wrt)
}

/// Returns the Jacobian-vector product of `y`: its derivative where the values `wrt` move along `tangents`. This
/// takes one sweep forward (forward mode).
///
/// Each tangent has the shape of its value; the result has the shape of `y`.
///
/// ```
/// use wengert_core::{Tape, Tensor, UnaryOps, jvp};
///
/// let tape = Tape::<f64>::new();
/// let x = tape.variable(&Tensor::from([1.0, 2.0, 3.0]));
/// let tangent = tape.constant(&Tensor::from([1.0, 0.0, -1.0]));
/// assert_eq!(jvp(x.square(), &[x], &[tangent]).value(), Tensor::from([2.0, 0.0, -6.0]));
/// ```
///
/// # Panics
/// If there are more or fewer tangents than values, a shape disagrees, or one of `wrt` is a constant.
#[track_caller]
pub fn jvp<'t, F: Float>(y: Var<'t, F>, wrt: &[Var<'t, F>], tangents: &[Var<'t, F>]) -> Var<'t, F> {
    y.on_tape(y.tape);
    check_variables("jvp", y.tape, wrt);
    check_tangents("jvp", wrt, tangents);
    or_zeros(forward_mode(&[y], wrt, tangents), &[y])[0]
}

/// Returns the product of the Hessian of a loss with a vector: the derivative of its gradient where the values `wrt`
/// move along `vectors`. This is forward over reverse mode; the Hessian is never built.
///
/// Each vector and each result has the shape of its value.
///
/// ```
/// use wengert_core::{ReduceOps, Tape, Tensor, UnaryOps, hvp};
///
/// // The Hessian of sum(x^3) is diag(6 x).
/// let tape = Tape::<f64>::new();
/// let x = tape.variable(&Tensor::from([1.0, 2.0]));
/// let v = tape.constant(&Tensor::from([1.0, -1.0]));
/// assert_eq!(hvp((x.square() * x).sum(), &[x], &[v])[0].value(), Tensor::from([6.0, -12.0]));
/// ```
///
/// # Panics
/// If the loss has more than one element, there are more or fewer vectors than values, a shape disagrees,
/// or one of `wrt` is a constant.
#[track_caller]
pub fn hvp<'t, F: Float>(
    loss: Var<'t, F>,
    wrt: &[Var<'t, F>],
    vectors: &[Var<'t, F>],
) -> Vec<Var<'t, F>> {
    check_tangents("hvp", wrt, vectors);
    let gradient = grad(loss, wrt);
    or_zeros(forward_mode(&gradient, wrt, vectors), &gradient)
}

/// Returns all derivatives of `y` with respect to `x`, of the shape of `y` followed by that of `x`.
///
/// This takes one sweep for each element of `y`, or for each element of `x` if those are fewer.
///
/// For the rows of a Jacobian by the parameters of a model, let [`Program::per_example`](crate::Program::per_example)
/// run `(y * e).sum()` over unit vectors `e`, on all threads and without recording:
///
/// ```
/// use wengert_core::{MatmulOps, Param, Program, ReduceOps, Tensor, UnaryOps};
///
/// let weight = Param::new(Tensor::<f64>::from([[1.0, 0.0], [0.0, 2.0]]));
/// let x = Tensor::from([[0.5, -1.0]]);
/// let mut rows = Program::<Param<f64>, Tensor<f64>, f64>::new(|weight, tape, unit| {
///     (tape.constant(&x).matmul(weight).square() * unit).sum()
/// });
/// let units = Tensor::from([[1.0, 0.0], [0.0, 1.0]]);
/// let jacobian = rows.per_example(&weight, &units, |_, _, grads| grads.get(&weight).cloned());
/// assert_eq!(jacobian[1].as_ref().unwrap(), &Tensor::from([[0.0, -2.0], [0.0, 4.0]]));
/// ```
///
/// ```
/// use wengert_core::{Tape, Tensor, UnaryOps, jacobian};
///
/// let tape = Tape::<f64>::new();
/// let x = tape.variable(&Tensor::from([1.0, 2.0]));
/// assert_eq!(jacobian(x.square(), x).value(), Tensor::from([[2.0, 0.0], [0.0, 4.0]]));
/// ```
///
/// # Panics
/// If `x` is a constant, or the two shapes together have more than [`MAX_RANK`](crate::MAX_RANK) axes.
#[track_caller]
pub fn jacobian<'t, F: Float>(y: Var<'t, F>, x: Var<'t, F>) -> Var<'t, F> {
    check_variables("jacobian", y.tape, &[x]);
    let shape = crate::error::expect_shape!(y.shape().followed_by(&x.shape()));
    let (m, n) = (y.shape().numel(), x.shape().numel());
    if m == 0 || n == 0 {
        return y.constant_like(shape, 0.0);
    }
    let row = |i| vjp(y, &[x], basis(y, i))[0].reshape([1, n]);
    let column = |j| jvp(y, &[x], &[basis(x, j)]).reshape([m, 1]);
    let matrix = if m <= n {
        Var::concat(&(0..m).map(row).collect::<Vec<_>>(), 0)
    } else {
        Var::concat(&(0..n).map(column).collect::<Vec<_>>(), 1)
    };
    matrix.reshape(shape)
}

/// Returns all second derivatives of a loss with respect to `x`, of the shape of `x` twice.
///
/// ```
/// use wengert_core::{ReduceOps, Tape, Tensor, UnaryOps, hessian};
///
/// let tape = Tape::<f64>::new();
/// let x = tape.variable(&Tensor::from([1.0, 2.0]));
/// let loss = (x.square() * x).sum();
/// assert_eq!(hessian(loss, x).value(), Tensor::from([[6.0, 0.0], [0.0, 12.0]]));
/// ```
///
/// # Panics
/// If the loss has more than one element, `x` is a constant, or `x` has more than half of
/// [`MAX_RANK`](crate::MAX_RANK) axes.
#[track_caller]
pub fn hessian<'t, F: Float>(loss: Var<'t, F>, x: Var<'t, F>) -> Var<'t, F> {
    jacobian(grad(loss, &[x])[0], x)
}

/// The unit vector along element `i`, in the shape of `like`.
fn basis<'t, F: Float>(like: Var<'t, F>, i: usize) -> Var<'t, F> {
    let element = |at| if at == i { F::ONE } else { F::ZERO };
    like.tape.constant(&Tensor::from_fn(like.shape(), element))
}

/// The derivatives that a sweep found, and zeros of the shape of `like` where it found none.
fn or_zeros<'t, F: Float>(found: Vec<Option<Var<'t, F>>>, like: &[Var<'t, F>]) -> Vec<Var<'t, F>> {
    let zeros = |like: &Var<'t, F>| like.constant_like(like.shape(), 0.0);
    found.into_iter().zip(like).map(|(g, like)| g.unwrap_or_else(|| zeros(like))).collect()
}

#[track_caller]
fn check_variables<F: Float>(function: &str, tape: &Tape<F>, wrt: &[Var<'_, F>]) {
    for (place, var) in wrt.iter().enumerate() {
        let tracked = tape.record.borrow().nodes[var.on_tape(tape) as usize].tracked;
        assert!(tracked, "{function}: value {place} is a constant, which has no derivative");
    }
}

#[track_caller]
fn check_tangents<F: Float>(function: &str, wrt: &[Var<'_, F>], tangents: &[Var<'_, F>]) {
    let (values, given) = (wrt.len(), tangents.len());
    assert!(values == given, "{function}: expected {values} tangents, found {given}");
    for (var, tangent) in wrt.iter().zip(tangents) {
        tangent.on_tape(var.tape);
        check_shape(function, "tangent", var.shape(), tangent.shape());
    }
}

#[track_caller]
fn check_shape(function: &str, what: &str, expected: Shape, found: Shape) {
    assert!(
        expected == found,
        "{function}: expected a {what} of shape {expected:?}, found {found:?}"
    );
}
