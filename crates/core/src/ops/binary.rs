//! UnaryOp functions of two arguments, which broadcast against each other.

use std::fmt::Debug;

use super::elementwise::{Scalar, UnaryOps};
use crate::kernels::{broadcast2, zip2, zip3};
use crate::op::{Cotangent, Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// A function of two numbers that acts on each pair of elements by itself.
pub trait BinaryOp: Debug + Clone + Send + Sync + 'static {
    /// The function.
    fn value<F: Float>(&self, a: F, b: F) -> F;
    /// Its derivative towards argument `i`.
    fn derivative<M: UnaryOps>(&self, i: usize, a: &M, b: &M) -> M;
}

impl<B: BinaryOp> Op<2> for B {
    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        a.broadcast(b)
    }

    fn forward<F: Float>(&self, x: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        pairwise(x, out, |a, b| self.value(a, b))
    }

    fn vjp<V: Value>(&self, i: usize, [a, b]: [&V; 2], _: &V, g: &V) -> V {
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
        let shape = into.shape();
        into.add(Tensor::written(shape, |out| {
            zip3(
                out,
                a,
                b,
                g,
                #[inline(always)]
                |out, a, b, g| *out = pulled(self, i, a, b, g),
            );
        }));
    }
}

/// The cotangent of one element of operand `i`.
#[inline(always)]
fn pulled<F: Float>(op: &impl BinaryOp, i: usize, a: F, b: F, g: F) -> F {
    Scalar(g).mul_no_nan(&op.derivative(i, &Scalar(a), &Scalar(b))).0
}

/// `f` of each pair of elements, the operands broadcast to `out`.
fn pairwise<F: Float>(
    [a, b]: [&Tensor<F>; 2],
    out: Shape,
    f: impl Fn(F, F) -> F + Sync,
) -> Tensor<F> {
    Tensor::written(out, |y| {
        if a.shape() == b.shape() {
            zip2(y, a.as_slice(), b.as_slice(), |y, a, b| *y = f(a, b));
        } else {
            let (a_strides, b_strides) = (a.shape().strides_in(&out), b.shape().strides_in(&out));
            broadcast2(y, &out, a.as_slice(), &a_strides, b.as_slice(), &b_strides, f);
        }
    })
}

/// `a + b`. Its derivatives are the cotangent itself, so nothing is multiplied.
#[derive(Clone, Copy, Debug)]
pub struct Add;

impl Op<2> for Add {
    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        a.broadcast(b)
    }
    fn forward<F: Float>(&self, x: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        pairwise(x, out, |a, b| a + b)
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 2], _: &V, g: &V) -> V {
        g.clone()
    }
}

/// `a - b`. Its derivatives are the cotangent and its negative.
#[derive(Clone, Copy, Debug)]
pub struct Sub;

impl Op<2> for Sub {
    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        a.broadcast(b)
    }
    fn forward<F: Float>(&self, x: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        pairwise(x, out, |a, b| a - b)
    }
    fn vjp<V: Value>(&self, i: usize, _: [&V; 2], _: &V, g: &V) -> V {
        if i == 0 { g.clone() } else { -g.clone() }
    }
}

/// What the property tests do with the rows of the table.
pub trait Visitor {
    /// One function, an open interval for each argument, and whether the arguments must differ.
    fn binary<B: BinaryOp>(&mut self, op: B, domain: [(f64, f64); 2], apart: bool);
}

macro_rules! binary {
    ($(
        $(#[$doc:meta])*
        $Op:ident |$u:pat_param, $v:pat_param| $value:expr
            => |$a:pat_param, $b:pat_param| $da:expr, $db:expr,
            $domain:expr, $apart:expr;
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug)]
            pub struct $Op;

            impl BinaryOp for $Op {
                #[inline(always)]
                fn value<F: Float>(&self, $u: F, $v: F) -> F {
                    $value
                }
                #[inline(always)]
                fn derivative<M: UnaryOps>(&self, i: usize, $a: &M, $b: &M) -> M {
                    if i == 0 { $da } else { $db }
                }
            }
        )*

        /// Hands every row of the table to `visitor`.
        pub fn visit(visitor: &mut impl Visitor) {
            $(visitor.binary($Op, $domain, $apart);)*
        }
    };
}

/// 1 where the condition holds, else 0.
#[inline(always)]
fn mask<F: Float>(holds: bool) -> F {
    if holds { F::ONE } else { F::ZERO }
}

/// `a / (a^2 + b^2)`, whose squares do not overflow; 0 at the origin.
#[inline(always)]
fn over_square<M: UnaryOps>(a: &M, b: &M) -> M {
    let r = a.combine(Hypot, b);
    r.combine(Equal, &r.filled(0.0)).where_cond(&r.filled(0.0), &(a.clone() / &r / &r))
}

binary! {
    /// `a * b`.
    Mul |a, b| a * b => |a, b| b.clone(), a.clone(), [(-4.0, 4.0); 2], false;
    /// `a / b`.
    Div |a, b| a / b => |a, b| b.recip(), -(a.clone() / b.square()), [(-4.0, 4.0), (0.5, 4.0)], false;
    /// The larger; NaN if one of them is. At a tie each side has the derivative one half.
    Maximum |a, b| if a > b || a.is_nan() { a } else { b }
        => |a, b| a.greater_half(b), b.greater_half(a), [(-4.0, 4.0); 2], true;
    /// The smaller; NaN if one of them is. At a tie each side has the derivative one half.
    Minimum |a, b| if a < b || a.is_nan() { a } else { b }
        => |a, b| b.greater_half(a), a.greater_half(b), [(-4.0, 4.0); 2], true;
    /// 1 where `a > b`, one half where they are equal, 1 where one is NaN, else 0. The derivative is 0.
    GreaterHalf |a, b| if a < b { F::ZERO } else if a == b { F::of(0.5) } else { F::ONE }
        => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true;
    /// 1 where `a` and `b` are the same number, or both NaN, else 0. The derivative is 0.
    EqualNan |a, b| if a == b || a.is_nan() && b.is_nan() { F::ONE } else { F::ZERO }
        => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true;
    /// `g * d`, but 0 where `g` is 0, whatever `d`: how rules multiply a cotangent by a derivative.
    /// It is differentiated as the product that it is; a recorded selection in its place would
    /// break the second order silently.
    MulNoNan |g, d| if g == F::ZERO { F::ZERO } else { g * d }
        => |g, d| d.clone(), g.clone(), [(-4.0, 4.0); 2], false;
    /// `a` to the power of `b`, where `0^0` is 1. The derivative of `a^0` towards `a` is 0 everywhere,
    /// and that of `0^b` towards `b`, too, unless `b` is negative.
    Pow |a, b| a.powf(b) => |a, b| {
            let slope = a.combine(Pow, &(b.clone() - 1.0)) * b;
            b.combine(Equal, &b.filled(0.0)).where_cond(&b.filled(0.0), &slope)
        }, {
            let slope = a.combine(Pow, b) * a.ln();
            let base_is_zero = a.combine(Equal, &a.filled(0.0));
            (base_is_zero * b.combine(GreaterEqual, &b.filled(0.0))).where_cond(&a.filled(0.0), &slope)
        }, [(0.3, 3.0), (-2.0, 3.0)], false;
    /// The angle of the point `(b, a)`, in `-pi..=pi`. Both derivatives at the origin are 0.
    Atan2 |a, b| a.atan2(b) => |a, b| over_square(b, a), -over_square(a, b), [(0.5, 4.0), (-4.0, 4.0)], false;
    /// `sqrt(a^2 + b^2)`, without overflow. There is no derivative at the origin: it is NaN.
    Hypot |a, b| a.hypot(b) => |a, b| a.clone() / a.combine(Hypot, b), b.clone() / a.combine(Hypot, b),
        [(0.3, 4.0), (-4.0, 4.0)], false;
    /// 1 where `a = b`, else 0; 0 where one is NaN. The derivative is 0.
    Equal |a, b| mask(a == b) => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true;
    /// 0 where `a = b`, else 1; 1 where one is NaN. The derivative is 0.
    NotEqual |a, b| mask(a != b) => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true;
    /// 1 where `a < b`, else 0; 0 where one is NaN. The derivative is 0.
    Less |a, b| mask(a < b) => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true;
    /// 1 where `a <= b`, else 0; 0 where one is NaN. The derivative is 0.
    LessEqual |a, b| mask(a <= b) => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true;
    /// 1 where `a > b`, else 0; 0 where one is NaN. The derivative is 0.
    Greater |a, b| mask(a > b) => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true;
    /// 1 where `a >= b`, else 0; 0 where one is NaN. The derivative is 0.
    GreaterEqual |a, b| mask(a >= b) => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true;
}
