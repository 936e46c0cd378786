//! The table of elementwise functions of one argument.
//!
//! A row is all there is of such a function: its value over a number, its derivative over anything
//! that has the table's functions (so that it runs fused over numbers, composed over arrays, and
//! recorded over variables), and where its property test draws its inputs.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
use std::fmt::Debug;

use super::binary::{Above, Binary, Gate};
use crate::kernels::{zip1, zip3};
use crate::op::{Arithmetic, Cotangent, Op, Value};
use crate::{Array, Float, Shape, ShapeError};

/// A function of one number that acts on each element by itself.
pub trait Elementwise: Debug + Clone + Send + Sync + 'static {
    /// The function.
    fn value<F: Float>(&self, x: F) -> F;
    /// Its derivative, from input `x` and output `y`.
    fn derivative<M: Elementary>(&self, x: &M, y: &M) -> M;
}

impl<E: Elementwise> Op<1> for E {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(x)
    }

    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        Array::written(out, |y| {
            zip1(
                y,
                x.as_slice(),
                #[inline(always)]
                |y, x| *y = self.value(x),
            )
        })
    }

    fn pull<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        g.gate(&self.derivative(x, y))
    }

    fn pull_into<F: Float>(
        &self,
        _: usize,
        [x]: [&Array<F>; 1],
        y: &Array<F>,
        g: &Array<F>,
        into: Cotangent<'_, F>,
    ) {
        let (x, y, g) = (x.as_slice(), y.as_slice(), g.as_slice());
        into.write(|out, accumulate| {
            if accumulate {
                zip3(
                    out,
                    x,
                    y,
                    g,
                    #[inline(always)]
                    |out, x, y, g| *out += pulled(self, x, y, g),
                );
            } else {
                zip3(
                    out,
                    x,
                    y,
                    g,
                    #[inline(always)]
                    |out, x, y, g| *out = pulled(self, x, y, g),
                );
            }
        });
    }
}

/// The cotangent of one element.
#[inline(always)]
fn pulled<F: Float>(op: &impl Elementwise, x: F, y: F, g: F) -> F {
    Scalar(g).gate(&op.derivative(&Scalar(x), &Scalar(y))).0
}

/// A single number that derivatives are computed with. It has the same operators and functions as
/// an array, so that a derivative is written once and runs without temporaries.
#[derive(Clone, Copy, Debug)]
pub struct Scalar<F: Float>(pub F);

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

/// What the property tests do with the rows of the tables.
pub trait Visitor {
    /// One function, an open interval to draw inputs from, and the points to stay clear of.
    fn elementwise<E: Elementwise>(&mut self, op: E, domain: (f64, f64), kinks: &[f64]);
}

macro_rules! elementwise {
    (struct $(#[$doc:meta])* $Op:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $Op;
    };
    (struct $(#[$doc:meta])* $Op:ident $field:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $Op {
            /// The function's constant.
            pub $field: f64,
        }
    };
    ($(
        $(#[$doc:meta])*
        $Op:ident $name:ident ( $($field:ident : f64 = $sample:expr)? )
            |$v:pat_param| $value:expr => |$x:pat_param, $y:pat_param| $derivative:expr,
            $domain:expr, $kinks:expr;
    )*) => {
        $(
            elementwise! { struct $(#[$doc])* $Op $($field)? }

            impl Elementwise for $Op {
                #[inline(always)]
                fn value<F: Float>(&self, $v: F) -> F {
                    $(let $field = self.$field;)?
                    $value
                }
                #[inline(always)]
                fn derivative<M: Elementary>(&self, $x: &M, $y: &M) -> M {
                    $(let $field = self.$field; let _ = $field;)?
                    $derivative
                }
            }
        )*

        /// The elementwise functions, alike for arrays, for variables, and for the numbers inside a
        /// derivative. Shapes stay as they are.
        pub trait Elementary: Arithmetic {
            $(
                $(#[$doc])*
                #[track_caller]
                fn $name(&self $(, $field: f64)?) -> Self;
            )*
            /// The cotangent `self` times the derivative `d`, but 0 where the cotangent is 0: a
            /// branch that was not selected must not leak its NaN or infinity.
            #[track_caller]
            fn gate(&self, d: &Self) -> Self;
            /// 1 where `self` is larger than `other`, one half where they are equal, else 0.
            #[track_caller]
            fn above(&self, other: &Self) -> Self;
            /// A constant of the same shape.
            fn filled(&self, value: f64) -> Self;
        }

        impl<V: Value> Elementary for V {
            $(
                #[inline]
                #[track_caller]
                fn $name(&self $(, $field: f64)?) -> Self {
                    V::apply($Op $({ $field })?, [self])
                }
            )*
            #[track_caller]
            fn gate(&self, d: &Self) -> Self {
                V::apply(Gate, [self, d])
            }
            #[track_caller]
            fn above(&self, other: &Self) -> Self {
                V::apply(Above, [self, other])
            }
            fn filled(&self, value: f64) -> Self {
                self.constant_like(self.shape(), value)
            }
        }

        impl<F: Float> Elementary for Scalar<F> {
            $(
                #[inline(always)]
                fn $name(&self $(, $field: f64)?) -> Self {
                    Self($Op $({ $field })?.value(self.0))
                }
            )*
            #[inline(always)]
            fn gate(&self, d: &Self) -> Self {
                Self(Gate.value(self.0, d.0))
            }
            #[inline(always)]
            fn above(&self, other: &Self) -> Self {
                Self(Above.value(self.0, other.0))
            }
            #[inline(always)]
            fn filled(&self, value: f64) -> Self {
                Self(F::of(value))
            }
        }

        /// Hands every row of the table to `visitor`.
        pub fn visit(visitor: &mut impl Visitor) {
            $(visitor.elementwise($Op $({ $field: $sample })?, $domain, &$kinks);)*
        }
    };
}

elementwise! {
    /// `-x`.
    Negate negate() |x| -x => |x, _| x.filled(-1.0), (-4.0, 4.0), [];
    /// `x * factor`, with a constant factor.
    Scale scale(factor: f64 = -1.7) |x| x * F::of(factor) => |x, _| x.filled(factor), (-4.0, 4.0), [];
    /// `x + summand`, with a constant summand.
    Offset offset(summand: f64 = 0.3) |x| x + F::of(summand) => |x, _| x.filled(1.0), (-4.0, 4.0), [];
    /// e to the power of `x`.
    Exp exp() |x| x.exp() => |_, y| y.clone(), (-4.0, 4.0), [];
    /// Natural logarithm: -inf at 0, with derivative inf; NaN below.
    Ln ln() |x| x.ln() => |x, _| x.recip(), (0.2, 6.0), [];
    /// Sine of an angle in radians.
    Sin sin() |x| x.sin() => |x, _| x.cos(), (-4.0, 4.0), [];
    /// Cosine of an angle in radians.
    Cos cos() |x| x.cos() => |x, _| -x.sin(), (-4.0, 4.0), [];
    /// Hyperbolic tangent.
    Tanh tanh() |x| x.tanh() => |_, y| -y.square() + 1.0, (-3.0, 3.0), [];
    /// Logistic function `1 / (1 + exp(-x))`; finite everywhere.
    Sigmoid sigmoid() |x| x.sigmoid() => |_, y| (-y.clone() + 1.0) * y, (-4.0, 4.0), [];
    /// `max(x, 0)`; a NaN stays one. The derivative at 0 is 0.
    Relu relu() |x| if x <= F::ZERO { F::ZERO } else { x } => |x, _| x.step(), (-4.0, 4.0), [0.0];
    /// 1 above 0, else 0; 1 at NaN. The derivative is 0.
    Step step() |x| if x <= F::ZERO { F::ZERO } else { F::ONE } => |x, _| x.filled(0.0), (-4.0, 4.0), [0.0];
    /// The sign: -1, 0 or 1. The derivative is 0.
    Sign sign() |x| if x > F::ZERO { F::ONE } else if x < F::ZERO { -F::ONE } else { x * F::ZERO }
        => |x, _| x.filled(0.0), (-4.0, 4.0), [0.0];
    /// Magnitude. The derivative at 0 is 0.
    Abs abs() |x| x.abs() => |x, _| x.sign(), (-4.0, 4.0), [0.0];
    /// Square root; the derivative at 0 is inf.
    Sqrt sqrt() |x| x.sqrt() => |_, y| y.recip() * 0.5, (0.2, 6.0), [];
    /// `x * x`.
    Square square() |x| x * x => |x, _| x.clone() * 2.0, (-4.0, 4.0), [];
    /// `1 / x`.
    Recip recip() |x| F::ONE / x => |_, y| -y.square(), (0.3, 4.0), [];
    /// `x` to the power of a constant. The derivative of `x^0` is 0 everywhere.
    Powf powf(exponent: f64 = 2.5) |x| x.powf(F::of(exponent))
        => |x, _| if exponent == 0.0 { x.filled(0.0) } else { x.powf(exponent - 1.0) * exponent }, (0.3, 3.0), [];
    /// The error function.
    Erf erf() |x| x.erf() => |x, _| (-x.square()).exp() * FRAC_2_SQRT_PI, (-2.0, 2.0), [];
    /// `ln(1 + exp(x))`, without overflow.
    Softplus softplus() |x| { let positive = if x <= F::ZERO { F::ZERO } else { x }; positive + (-x.abs()).exp().ln_1p() }
        => |x, _| x.sigmoid(), (-4.0, 4.0), [];
    /// `x * sigmoid(x)`, also called swish (<https://arxiv.org/abs/1606.08415>).
    Silu silu() |x| x * x.sigmoid() => |x, y| { let s = x.sigmoid(); (-s.clone() + 1.0) * y + s }, (-4.0, 4.0), [];
    /// `x * Phi(x)` with the normal distribution function (<https://arxiv.org/abs/1606.08415>).
    Gelu gelu() |x| x * F::of(0.5) * ((x * F::of(FRAC_1_SQRT_2)).erf() + F::ONE)
        => |x, _| {
            let density = (x.square() * -0.5).exp() * (FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * 0.5);
            ((x.clone() * FRAC_1_SQRT_2).erf() + 1.0) * 0.5 + density * x
        }, (-3.0, 3.0), [];
}
