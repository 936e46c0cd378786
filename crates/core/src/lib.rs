//! The tape-based reverse-mode core of wengert.
#![warn(missing_docs)]

mod array;
mod backward;
mod check;
mod float;
mod gradients;
mod indices;
mod kernels;
mod math;
#[cfg(wengert_mutants)]
mod mutants;
mod op;
pub mod ops;
mod param;
mod print;
mod shape;
mod storage;
mod tape;
#[cfg(feature = "proptest")]
pub mod testing;
mod var;

pub use array::{Array, Nested};
pub use backward::{Seeded, evaluate, grad, gradients, gradients_with, seeded, vjp};
pub use check::{Check, Checked, Mismatch, check_gradients, check_model};
pub use float::Float;
pub use gradients::Gradients;
pub use indices::Indices;
pub use kernels::vectorized;
pub use op::{Arithmetic, Cotangent, IndexOp, ManyOp, Op, Value};
pub use ops::elementwise::{Elementary, Elementwise};
pub use ops::tensor::TensorMath;
pub use param::{Buffer, Leaf, LeafMut, Param, ParamId, Params, Path};
pub use shape::{Axes, AxisList, MAX_RANK, Shape, ShapeError};
pub use tape::{IndexVar, Tape, Var};
pub use var::Operand;
