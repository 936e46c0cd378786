//! Elementwise operations: how functions of one or two numbers become operations on tensors and variables.
//!
//! The functions themselves are the rows of the tables in `functions.rs`.

use std::fmt::Debug;

use super::pairs::{MulNoNan, Pairwise, combine, combine_vjp, mul_no_nan, pair_instruction};
use crate::kernels::{zip1, zip3};
use crate::op::{Arithmetic, Cotangent, Gathered, Instruction, Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// A function of one number that acts on each element independently. Implementing it gives an [`Op`].
///
/// ```
/// use wengert_core::{Float, Tensor, UnaryOp, UnaryOps, Value, check_gradients};
///
/// /// `sin(factor x)`.
/// #[derive(Clone, Debug)]
/// struct Wave { factor: f64 }
///
/// impl UnaryOp for Wave {
///     fn value<F: Float>(&self, x: F) -> F {
///         (x * F::of(self.factor)).sin()
///     }
///     fn derivative<M: UnaryOps>(&self, x: &M, _y: &M) -> M {
///         x.mul_scalar(self.factor).cos() * self.factor
///     }
/// }
///
/// let x = Tensor::<f64>::linspace(-1.0, 1.0, 5);
/// check_gradients(|x| x[0].apply_op(Wave { factor: 3.0 }), &[x]).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function of one number",
    note = "implement `UnaryOp` for a struct that is `Clone + Debug`: its `value` and its `derivative`"
)]
pub trait UnaryOp: Debug + Clone + Send + Sync + 'static {
    /// Computes the function.
    fn value<F: Float>(&self, x: F) -> F;
    /// Computes its derivative from the input `x` and the output `y`.
    fn derivative<M: Elementwise>(&self, x: &M, y: &M) -> M;
    /// Returns whether the function is constant between jumps, such as a rounding. Nothing then flows back through it:
    /// the gradient is 0 even beside an infinite cotangent, as in PyTorch. Default: false.
    #[inline(always)]
    fn is_flat(&self) -> bool {
        false
    }

    crate::entry_points!(Op<1>);
}

/// A function of two numbers that acts on each pair of elements independently; the operands broadcast.
/// Implementing it gives an [`Op`].
///
/// ```
/// use wengert_core::{BinaryOp, Float, Tensor, UnaryOps, Value, check_gradients};
///
/// /// `a b^2`.
/// #[derive(Clone, Debug)]
/// struct TimesSquare;
///
/// impl BinaryOp for TimesSquare {
///     fn value<F: Float>(&self, a: F, b: F) -> F {
///         a * b * b
///     }
///     fn derivative<M: UnaryOps>(&self, i: usize, a: &M, b: &M) -> M {
///         if i == 0 { b.square() } else { a.mul_scalar(2.0) * b }
///     }
/// }
///
/// let x = [Tensor::<f64>::linspace(-1.0, 1.0, 5), Tensor::scalar(0.5)];
/// check_gradients(|x| Value::apply(TimesSquare, [&x[0], &x[1]]), &x).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a function of two numbers",
    note = "implement `BinaryOp` for a struct that is `Clone + Debug`: its `value` and its `derivative`"
)]
pub trait BinaryOp: Debug + Clone + Send + Sync + 'static {
    /// Computes the function.
    fn value<F: Float>(&self, a: F, b: F) -> F;
    /// Computes its derivative with respect to argument `i`.
    fn derivative<M: Elementwise>(&self, i: usize, a: &M, b: &M) -> M;
    /// Returns whether the function is constant between jumps; see [`UnaryOp::is_flat`]. Default: false.
    #[inline(always)]
    fn is_flat(&self) -> bool {
        false
    }

    crate::entry_points!(Op<2>);
}

/// Types on which derivatives of elementwise functions are computed: tensors, variables, and single numbers.
///
/// A derivative is written once, over any such type. Over numbers ([`Scalar`]) it runs fused in one loop;
/// over variables it is recorded and can be differentiated again.
pub trait Elementwise: Arithmetic {
    /// Applies a function of one number.
    #[track_caller]
    fn map(&self, op: impl UnaryOp) -> Self;

    /// Applies a function of two numbers to `self` and `other`, which broadcast.
    #[track_caller]
    fn combine(&self, op: impl BinaryOp, other: &Self) -> Self;

    /// Selects `a` where the mask `self` is not 0, else `b`; see [`Where`].
    #[track_caller]
    fn select(&self, a: &Self, b: &Self) -> Self;

    /// Returns a constant of the same shape.
    #[track_caller]
    fn filled(&self, value: f64) -> Self;

    /// Multiplies the cotangent `self` by a derivative. The result is 0 where the cotangent is 0, so that a branch
    /// that was not selected leaks no NaN or infinity (TensorFlow's `multiply_no_nan`); see [`MulNoNan`].
    #[track_caller]
    fn mul_no_nan(&self, derivative: &Self) -> Self;
}

impl<V: Value> Elementwise for V {
    #[inline]
    #[track_caller]
    fn map(&self, op: impl UnaryOp) -> Self {
        V::apply(op, [self])
    }
    #[inline]
    #[track_caller]
    fn combine(&self, op: impl BinaryOp, other: &Self) -> Self {
        V::apply(op, [self, other])
    }
    #[track_caller]
    fn select(&self, a: &Self, b: &Self) -> Self {
        V::apply(Where, [self, a, b])
    }
    #[track_caller]
    fn filled(&self, value: f64) -> Self {
        self.constant_like(self.shape(), value)
    }
    #[track_caller]
    fn mul_no_nan(&self, derivative: &Self) -> Self {
        V::apply(MulNoNan { either: false }, [self, derivative])
    }
}

/// A single number on which derivatives are computed, without temporaries.
#[derive(Clone, Copy, Debug)]
pub struct Scalar<F: Float>(pub F);

impl<F: Float> Elementwise for Scalar<F> {
    #[inline(always)]
    fn map(&self, op: impl UnaryOp) -> Self {
        Self(op.value(self.0))
    }
    #[inline(always)]
    fn combine(&self, op: impl BinaryOp, other: &Self) -> Self {
        Self(op.value(self.0, other.0))
    }
    #[inline(always)]
    fn select(&self, a: &Self, b: &Self) -> Self {
        if self.0 == F::ZERO { *b } else { *a }
    }
    #[inline(always)]
    fn filled(&self, value: f64) -> Self {
        Self(F::of(value))
    }
    #[inline(always)]
    fn mul_no_nan(&self, derivative: &Self) -> Self {
        Self(mul_no_nan(self.0, derivative.0))
    }
}

impl<F: Float> Arithmetic for Scalar<F> {}

macro_rules! scalar_operators {
    ($($Trait:ident $method:ident $op:tt;)*) => {$(
        impl<F: Float> std::ops::$Trait for Scalar<F> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0 $op other.0)
            }
        }
        impl<F: Float> std::ops::$Trait<&Self> for Scalar<F> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: &Self) -> Self {
                Self(self.0 $op other.0)
            }
        }
        impl<F: Float> std::ops::$Trait<f64> for Scalar<F> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: f64) -> Self {
                Self(self.0 $op F::of(other))
            }
        }
    )*};
}

scalar_operators! { Add add +; Sub sub -; Mul mul *; Div div /; }

impl<F: Float> std::ops::Neg for Scalar<F> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl<E: UnaryOp> Op<1> for E {
    crate::entry_points!(Op<1> by UnaryOp);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(x)
    }

    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let unary = Unary(self.clone());
        Tensor::written(out, |y| unary.forward(&[x.as_slice()], y))
    }

    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        if self.is_flat() {
            return x.filled(0.0);
        }
        g.mul_no_nan(&self.derivative(x, y))
    }

    fn vjp_into<F: Float>(
        &self,
        _: usize,
        [x]: [&Tensor<F>; 1],
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        let unary = Unary(self.clone());
        into.fill(|out| {
            let into = Gathered::new(out, false, &mut []);
            unary.vjp(0, &[x.as_slice()], y.as_slice(), g.as_slice(), into);
        });
    }

    fn instruction<F: Float>(&self, _: [Shape; 1], _: Shape) -> Option<Box<dyn Instruction<F>>> {
        Some(Box::new(Unary(self.clone())))
    }
}

/// The loops over a function of one number.
struct Unary<E>(E);

impl<E: UnaryOp, F: Float> Instruction<F> for Unary<E> {
    // The operation calls these as well: inlining would compile the loops twice.
    #[inline(never)]
    fn forward(&self, x: &[&[F]], y: &mut [F]) {
        zip1(
            y,
            x[0],
            #[inline(always)]
            |y, x| *y = self.0.value(x),
        );
    }

    #[inline(never)]
    fn vjp(&self, _: usize, x: &[&[F]], y: &[F], g: &[F], into: Gathered<'_, F>) {
        if self.0.is_flat() {
            return into.fill(|out| out.fill(F::ZERO));
        }
        into.fill(|out| {
            zip3(
                out,
                x[0],
                y,
                g,
                #[inline(always)]
                |out, x, y, g| *out = scalar_vjp(g, self.0.derivative(&Scalar(x), &Scalar(y))),
            );
        });
    }
}

impl<B: BinaryOp> Pairwise for B {
    #[inline(always)]
    fn of<F: Float>(&self, a: F, b: F) -> F {
        self.value(a, b)
    }
    #[inline(always)]
    fn cotangent<F: Float>(&self, i: usize, a: F, b: F, g: F) -> F {
        if self.is_flat() {
            return F::ZERO;
        }
        scalar_vjp(g, self.derivative(i, &Scalar(a), &Scalar(b)))
    }
}

impl<B: BinaryOp> Op<2> for B {
    crate::entry_points!(Op<2> by BinaryOp);

    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        a.broadcast(b)
    }

    fn forward<F: Float>(&self, x: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        combine(self, x, out)
    }

    fn vjp<V: Value>(&self, i: usize, [a, b]: [&V; 2], _: &V, g: &V) -> V {
        if self.is_flat() {
            return [a, b][i].filled(0.0);
        }
        g.mul_no_nan(&self.derivative(i, a, b))
    }

    fn vjp_into<F: Float>(
        &self,
        i: usize,
        [a, b]: [&Tensor<F>; 2],
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        if a.shape() != b.shape() {
            return into.add(self.vjp(i, [a, b], y, g));
        }
        let (a, b, g) = (a.as_slice(), b.as_slice(), g.as_slice());
        into.fill(|out| combine_vjp(self, i, a, b, g, out));
    }

    fn instruction<F: Float>(&self, x: [Shape; 2], out: Shape) -> Option<Box<dyn Instruction<F>>> {
        Some(pair_instruction(self, x, out))
    }
}

/// The cotangent of one element.
#[inline(always)]
fn scalar_vjp<F: Float>(g: F, derivative: Scalar<F>) -> F {
    Scalar(g).mul_no_nan(&derivative).0
}

/// `a` where a mask is not 0, else `b`; mask, `a` and `b` broadcast.
///
/// The side that was not selected gets the cotangent 0, and derivatives before it multiply by `MulNoNan`, so that its
/// NaN or infinity does not reach the gradient. The derivative with respect to the mask is 0.
#[derive(Clone, Copy, Debug)]
pub struct Where;

impl Op<3> for Where {
    crate::entry_points!(Op<3>);

    fn shape(&self, [mask, a, b]: [Shape; 3]) -> Result<Shape, ShapeError> {
        mask.broadcast(a)?.broadcast(b)
    }

    fn forward<F: Float>(&self, x: [&Tensor<F>; 3], out: Shape) -> Tensor<F> {
        let [mask, a, b] = x.map(|x| x.broadcast_to(out));
        Tensor::written(out, |y| {
            zip3(
                y,
                mask.as_slice(),
                a.as_slice(),
                b.as_slice(),
                #[inline(always)]
                |y, mask, a, b| *y = if mask == F::ZERO { b } else { a },
            )
        })
    }

    fn vjp<V: Value>(&self, i: usize, [mask, _, _]: [&V; 3], _: &V, g: &V) -> V {
        let zero = g.constant_like(Shape::SCALAR, 0.0);
        match i {
            0 => mask.filled(0.0),
            1 => mask.select(g, &zero),
            _ => mask.select(&zero, g),
        }
    }
}
