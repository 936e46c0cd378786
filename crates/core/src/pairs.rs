//! The methods of two arguments that act on each pair of elements, for tensors and for variables; and
//! the choice by a mask.

use crate::op::Value;
use crate::ops::{self, TensorOperand};
use crate::{Float, Operand, Tensor, Var};

macro_rules! pairs {
    ($($(#[$doc:meta])* $name:ident $Op:ident;)*) => {
        impl<'t, F: Float> Var<'t, F> {
            $(
                $(#[$doc])*
                #[track_caller]
                pub fn $name(self, other: impl Operand<'t, F>) -> Self {
                    Self::apply(ops::$Op, [&self, &other.on(self.tape)])
                }
            )*
        }

        impl<F: Float> Tensor<F> {
            $(
                $(#[$doc])*
                #[track_caller]
                pub fn $name(&self, other: impl TensorOperand<F>) -> Self {
                    Self::apply(ops::$Op, [self, &other.tensor()])
                }
            )*
        }
    };
}

pairs! {
    /// The larger of each pair; NaN if one of them is.
    maximum Maximum;
    /// The smaller of each pair; NaN if one of them is.
    minimum Minimum;
    /// To the power of `other`. `0^0` is 1, with derivatives 0.
    pow Pow;
    /// The angle of the point `(other, self)` in `-pi..=pi`. The derivatives at the origin are 0.
    atan2 Atan2;
    /// `sqrt(self^2 + other^2)`, without overflow. The derivatives at the origin are NaN.
    hypot Hypot;
    /// The mask of `self = other`: 1 where it holds, else 0. Its derivative is 0.
    equal Equal;
    /// The mask of `self != other`: 1 where it holds, else 0. Its derivative is 0.
    not_equal NotEqual;
    /// The mask of `self < other`: 1 where it holds, else 0. Its derivative is 0.
    less Less;
    /// The mask of `self <= other`: 1 where it holds, else 0. Its derivative is 0.
    less_equal LessEqual;
    /// The mask of `self > other`: 1 where it holds, else 0. Its derivative is 0.
    greater Greater;
    /// The mask of `self >= other`: 1 where it holds, else 0. Its derivative is 0.
    greater_equal GreaterEqual;
}

impl<'t, F: Float> Var<'t, F> {
    /// `a` where the mask `self` is not 0, else `b`; all three broadcast. What was not chosen leaks
    /// nothing into the gradient, not even a NaN; the mask itself is never differentiated.
    ///
    /// `x.greater(0.0).where_cond(x.sqrt(), x)` has the gradient 1 at -1.
    #[track_caller]
    pub fn where_cond(self, a: impl Operand<'t, F>, b: impl Operand<'t, F>) -> Self {
        Self::apply(ops::Where, [&self, &a.on(self.tape), &b.on(self.tape)])
    }
}

impl<F: Float> Tensor<F> {
    /// `a` where the mask `self` is not 0, else `b`; as [`Var::where_cond`].
    #[track_caller]
    pub fn where_cond(&self, a: impl TensorOperand<F>, b: impl TensorOperand<F>) -> Self {
        Self::apply(ops::Where, [self, &a.tensor(), &b.tensor()])
    }
}
