//! The tape-based reverse-mode core of wengert. Users take it through the crate `wengert`.
//!
//! ```
//! use wengert_core::{Array, Elementary, Param, Rearrangements, Reductions, gradients};
//!
//! let w = Param::new(Array::<f64>::from([[1.0, -2.0], [0.5, 3.0]]));
//! let x = Array::from([[1.0, 2.0]]);
//! let (loss, grads) = gradients(|tape| tape.constant(&x).matmul(&w).tanh().sum());
//! assert!((loss - (2f64.tanh() + 4f64.tanh())).abs() < 1e-15);
//! assert_eq!(grads.get(&w).map(Array::shape), Some([2, 2].into()));
//! ```
//!
//! * [`Array`] is a dense row-major tensor; [`Tape`] records operations on [`Var`]s; [`Param`]s live in
//!   the model and put themselves on the tape.
//! * [`gradients`] runs a closure on a tape and returns the loss with its [`Gradients`], which are
//!   values. [`grad`] and [`vjp`] record the derivative, so that it can be differentiated again.
//! * An operation is one struct and one `impl` of [`Op`] (or [`Elementwise`], where it acts on each
//!   element by itself): its derivative is written once, over any [`Value`], and serves every order.
//! * [`check_gradients`] and [`check_model`] hold derivatives against finite differences; the module
//!   `testing` (feature `proptest`) has strategies for property tests.
//!
//! Types are generic over the precision [`Float`]; the preludes of `wengert` fill it in. A shape mistake
//! panics at the caller's line with the operation and both shapes.
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod array;
mod backward;
mod check;
mod derive;
mod finite;
mod float;
mod fold;
mod gradients;
mod indices;
mod kernels;
mod math;
#[cfg(wengert_mutants)]
mod mutants;
mod noise;
mod op;
pub mod ops;
mod outline;
mod pairs;
mod param;
mod params;
mod print;
mod products;
mod recorded;
mod replay;
mod segment;
#[cfg(feature = "serde")]
mod serial;
mod shape;
mod storage;
mod tape;
#[cfg(feature = "proptest")]
pub mod testing;
mod var;
mod workshop;

pub use array::{Array, Nested};
pub use backward::{Seeded, evaluate, gradients, gradients_with, seeded};
pub use check::{Against, Check, Checked, Mismatch, check_gradients, check_model};
pub use derive::{grad, hessian, hvp, jacobian, jvp, vjp};
pub use finite::{NotFinite, gradients_checked};
pub use float::Float;
pub use gradients::Gradients;
pub use indices::Indices;
pub use kernels::vectorized;
pub use noise::Noise;
pub use op::{Arithmetic, Cotangent, Flow, IndexOp, ManyOp, Op, Value};
pub use ops::diagonal::Diagonals;
pub use ops::elementwise::{Elementary, Elementwise};
pub use ops::pad::Paddings;
pub use ops::rearrange::Rearrangements;
pub use ops::reduce::Reductions;
pub use ops::scan::Scans;
pub use ops::slice::Slices;
pub use ops::statistics::Statistics;
pub use ops::{Convolution, Padding, Pooling, Windows, einsum};
pub use outline::{LayerGuard, LayerOutline, Outline, outline};
pub use param::{Buffer, Param, ParamId};
pub use params::{Leaf, LeafMut, Params, Path};
pub use rand;
pub use shape::{Axes, AxisList, MAX_RANK, Shape, ShapeError};
pub use tape::{IndexVar, Tape, Var};
pub use var::Operand;
