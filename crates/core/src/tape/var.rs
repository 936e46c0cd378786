//! What a variable can do: read itself, and stand in operators beside parameters, tensors, numbers.

use std::fmt::{self, Debug};

use crate::op::Value;
use crate::ops;
use crate::ops::UnaryOps;
use crate::{Float, Op, Param, Shape, Tape, Tensor, Var};

impl<'t, F: Float> Var<'t, F> {
    /// The value; its memory is shared.
    #[track_caller]
    pub fn value(&self) -> Tensor<F> {
        let id = self.on_tape(self.tape);
        self.tape.record.borrow().nodes[id as usize].value().clone()
    }

    /// The extents of the axes.
    pub fn shape(&self) -> Shape {
        Value::shape(self)
    }

    /// The only element.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[track_caller]
    pub fn item(&self) -> F {
        self.value().item()
    }

    /// The tape that this variable is on.
    pub fn tape(&self) -> &'t Tape<F> {
        self.tape
    }
}

impl<F: Float> Debug for Var<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Var {}: {:?}", self.id, self.value())
    }
}

/// What may stand beside a variable: another variable, a parameter, a tensor, a number.
pub trait Operand<'t, F: Float> {
    /// This operand on the tape.
    #[track_caller]
    fn on(self, tape: &'t Tape<F>) -> Var<'t, F>;

    /// The number, if this is one.
    fn number(&self) -> Option<f64> {
        None
    }
}

impl<'t, F: Float> Operand<'t, F> for Var<'t, F> {
    #[track_caller]
    fn on(self, tape: &'t Tape<F>) -> Var<'t, F> {
        self.on_tape(tape);
        self
    }
}

impl<'t, F: Float> Operand<'t, F> for &Var<'t, F> {
    #[track_caller]
    fn on(self, tape: &'t Tape<F>) -> Var<'t, F> {
        (*self).on(tape)
    }
}

impl<'t, F: Float> Operand<'t, F> for &Param<F> {
    #[track_caller]
    fn on(self, tape: &'t Tape<F>) -> Var<'t, F> {
        tape.param(self)
    }
}

impl<'t, F: Float> Operand<'t, F> for &Tensor<F> {
    #[track_caller]
    fn on(self, tape: &'t Tape<F>) -> Var<'t, F> {
        tape.constant(self)
    }
}

macro_rules! numbers {
    ($($N:ident)*) => {$(
        impl<'t, F: Float> Operand<'t, F> for $N {
            #[track_caller]
            fn on(self, tape: &'t Tape<F>) -> Var<'t, F> {
                tape.constant(&Tensor::scalar(F::of(f64::from(self))))
            }
            fn number(&self) -> Option<f64> {
                Some(f64::from(*self))
            }
        }
    )*};
}

numbers! { f32 f64 }

/// `x op y`, with the cheaper operation where `y` is a number and `shortcut` has one.
#[inline]
#[track_caller]
fn operate<'t, F: Float>(
    x: Var<'t, F>,
    y: impl Operand<'t, F>,
    op: impl Op<2>,
    shortcut: impl FnOnce(Var<'t, F>, f64) -> Option<Var<'t, F>>,
) -> Var<'t, F> {
    match y.number().and_then(|number| shortcut(x, number)) {
        Some(result) => result,
        None => Var::apply(op, [&x, &y.on(x.tape)]),
    }
}

// The left side of an operator may be anything too. A number on the left has the precision of the
// variable, because with two candidates a literal such as the 2.0 of `(2.0 * x).exp()` has no type.
macro_rules! operators {
    ($($Trait:ident $method:ident |$x:pat_param, $number:pat_param| $shortcut:expr;)*) => {$(
        impl<'t, F: Float, R: Operand<'t, F>> std::ops::$Trait<R> for Var<'t, F> {
            type Output = Self;
            #[track_caller]
            fn $method(self, other: R) -> Self {
                operate(self, other, ops::$Trait, |$x, $number| $shortcut)
            }
        }
        impl<'t, F: Float, R: Operand<'t, F>> std::ops::$Trait<R> for &Var<'t, F> {
            type Output = Var<'t, F>;
            #[track_caller]
            fn $method(self, other: R) -> Var<'t, F> {
                operate(*self, other, ops::$Trait, |$x, $number| $shortcut)
            }
        }
        operators! { left [F: Float] $Trait $method F &Param<F> }
        operators! { left [F: Float] $Trait $method F &Tensor<F> }
        operators! { left [] $Trait $method f32 f32 }
        operators! { left [] $Trait $method f64 f64 }
    )*};
    (left [$($generics:tt)*] $Trait:ident $method:ident $F:ident $Left:ty) => {
        impl<'t, $($generics)*> std::ops::$Trait<Var<'t, $F>> for $Left {
            type Output = Var<'t, $F>;
            #[track_caller]
            fn $method(self, other: Var<'t, $F>) -> Var<'t, $F> {
                Var::apply(ops::$Trait, [&self.on(other.tape), &other])
            }
        }
    };
}

operators! {
    Add add |x, number| Some(x.add_scalar(number));
    Sub sub |x, number| Some(x.add_scalar(-number));
    Mul mul |x, number| Some(x.mul_scalar(number));
    Div div |_, _| None;
}

impl<F: Float> std::ops::Neg for Var<'_, F> {
    type Output = Self;
    #[track_caller]
    fn neg(self) -> Self {
        UnaryOps::neg(&self)
    }
}

impl<'t, F: Float> std::ops::Neg for &Var<'t, F> {
    type Output = Var<'t, F>;
    #[track_caller]
    fn neg(self) -> Var<'t, F> {
        UnaryOps::neg(self)
    }
}
