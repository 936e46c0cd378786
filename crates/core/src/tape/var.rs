//! Reading of variables, and the operators between variables, parameters, tensors and numbers.

use std::fmt::{self, Debug};

use crate::op::Value;
use crate::ops::{left_operators, operators};
use crate::tape::deferred::ComputeDeferred;
use crate::tape::record::{Content, Record};
use crate::{Float, Operand, Param, Shape, Tape, Tensor, Var};

impl<'t, F: Float> Var<'t, F> {
    /// Returns the value, whose memory is shared.
    ///
    /// # Panics
    /// If the value was released, or if the tape infers shapes only, or is recorded for a
    /// [`Program`](crate::Program).
    #[track_caller]
    pub fn value(&self) -> Tensor<F> {
        self.tape.refuse_reading("value");
        self.value_once()
    }

    /// The value, also on a tape that a program records. What depends on it must not depend on its numbers.
    #[track_caller]
    pub(crate) fn value_once(self) -> Tensor<F> {
        let id = self.on_tape(self.tape);
        let record = &mut *self.tape.record.borrow_mut();
        if let Content::Deferred { .. } = record.nodes[id as usize].content {
            F::run::<ComputeDeferred>((record, &[id], Record::<F>::NONE_DEAD));
        }
        record.nodes[id as usize].value().clone()
    }

    /// Returns the extents of the axes.
    ///
    /// # Panics
    /// If the value was released.
    #[track_caller]
    pub fn shape(&self) -> Shape {
        Value::shape(self)
    }

    /// Returns the only element.
    ///
    /// # Panics
    /// If the value does not have exactly one element.
    #[track_caller]
    pub fn item(&self) -> F {
        self.tape.refuse_reading("item");
        self.value_once().item()
    }

    /// Returns the tape that this variable is on.
    pub fn tape(&self) -> &'t Tape<F> {
        self.tape
    }
}

impl<F: Float> Debug for Var<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Var {}: ", self.id)?;
        let record = self.tape.record.borrow();
        if !record.holds(self.id, self.generation) {
            return f.write_str("dropped");
        }
        match &record.nodes[self.id as usize].content {
            Content::Value(value) => write!(f, "{value:?}"),
            Content::Shape(shape) => write!(f, "{shape:?}"),
            Content::Released => f.write_str("released"),
            Content::Deferred { .. } => {
                drop(record);
                write!(f, "{:?}", self.value_once())
            }
        }
    }
}

impl<'t, F: Float> Operand<Var<'t, F>> for &Param<F> {
    #[track_caller]
    fn beside(self, x: &Var<'t, F>) -> Var<'t, F> {
        x.tape.param(self)
    }
}

impl<'t, F: Float> Operand<Var<'t, F>> for &Tensor<F> {
    #[track_caller]
    fn beside(self, x: &Var<'t, F>) -> Var<'t, F> {
        x.tape.constant(self)
    }
}

operators! { ['t, F: Float] Var<'t, F> }
left_operators! { ['t, F: Float] &Param<F>, Var<'t, F> }
left_operators! { ['t, F: Float] &Tensor<F>, Var<'t, F> }
left_operators! { ['t] f32, Var<'t, f32> }
left_operators! { ['t] f64, Var<'t, f64> }
left_operators! { ['t, F: Float] i32, Var<'t, F>, if i32 } // for the compiler's message, as with tensors
