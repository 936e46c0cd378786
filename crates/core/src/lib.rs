//! The core of wengert: tensors, the tape, and derivatives. Users import it through the crate
//! `wengert`.
//!
//! ```
//! use wengert_core::{MatmulOps, Param, ReduceOps, Tensor, UnaryOps, gradients};
//!
//! let w = Param::new(Tensor::<f64>::from([[1.0, -2.0], [0.5, 3.0]]));
//! let x = Tensor::from([[1.0, 2.0]]);
//! let (loss, grads) = gradients(|tape| tape.constant(&x).matmul(&w).tanh().sum());
//! assert!((loss - (2f64.tanh() + 4f64.tanh())).abs() < 1e-15);
//! assert_eq!(grads.get(&w).map(Tensor::shape), Some([2, 2].into()));
//! ```
//!
//! * [`Tensor`] is a dense row-major tensor; [`Tape`] records operations on [`Var`]s. A model holds [`Param`]s, which
//!   join the tape when they are used.
//! * [`gradients`] runs a closure on a tape and returns the loss with its [`Gradients`], which are
//!   values. [`grad`] and [`vjp`] record the derivative, so that it can be differentiated again.
//! * An operation is one struct and one `impl` of [`Op`], or of [`UnaryOp`] if it acts on each
//!   element by itself. Its derivative is written once, over any [`Value`], and serves every order.
//! * [`check_gradients`] and [`check_model`] compare derivatives with finite differences; the module `testing`
//!   (feature `proptest`) has strategies for property tests.
//!
//! Types are generic over the precision [`Float`]; the preludes of `wengert` fill it in. A shape mistake
//! panics at the caller's line with the operation and both shapes.
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod diff;
mod error;
mod float;
mod kernels;
mod math;
#[cfg(wengert_mutants)]
#[doc(hidden)]
pub mod mutants;
mod op;
pub mod ops;
mod params;
mod program;
mod shape;
#[cfg(feature = "symbol")]
pub mod symbol;
mod tape;
mod tensor;
#[cfg(feature = "proptest")]
pub mod testing;

pub use diff::anomaly::{NotFinite, gradients_checked};
pub use diff::check::{Check, check_gradients, check_model};
pub use diff::custom::custom_vjp;
pub use diff::higher_order::{grad, hessian, hvp, jacobian, jvp, vjp};
pub use diff::mismatch::{Against, Checked, Mismatch};
pub use diff::profile::{CostSum, LeafNode, OpCost, Profile, profile};
pub use error::{ShapeError, at_caller};
pub use float::{Float, PerPrecision};
pub use kernels::vectorized;
#[doc(hidden)]
pub use op::entry;
pub use op::{Arithmetic, Cotangent, Flow, Gathered, IndexOp, Instruction, ManyOp, Op, Value};
pub use ops::{
    BinaryOp, BinaryOps, ConvOptions, Elementwise, IndexOps, LinalgOps, MatmulOps, MovementOps,
    Operand, OrderOps, Padding, Pooling, ReduceOps, UnaryOp, UnaryOps, WindowOps, einsum,
};
pub use params::param::{Buffer, Param, ParamId};
pub use params::{Leaf, LeafMut, Params, Path};
pub use program::inputs::{Input, InputLeaf, InputTape};
pub use program::{Program, SeededProgram};
pub use rand;
pub use shape::reshape::ReshapeTo;
pub use shape::{Axes, AxisList, MAX_NUMEL, MAX_RANK, Shape, Strides};
pub use tape::backward::{Seeded, evaluate, gradients, gradients_with, seeded};
pub use tape::eval_shape::{LayerTrace, ShapeTrace, eval_shape};
pub use tape::gradients::Gradients;
pub use tape::layer::LayerGuard;
pub use tape::outputs::Outputs;
pub use tape::random::Random;
pub use tape::record::{IndexVar, LayerName, Tape, Var};
pub use tape::reuse::empty_cache;
pub use tensor::indices::Indices;
pub use tensor::{Nested, Tensor};
