//! Layers, losses and optimizers on the tape of `wengert-core`. The crate `wengert` re-exports all of it;
//! its preludes fix the precision.
//!
//! * [`Module`]: a map from one variable to another. [`layers`] has [`Linear`], [`Conv2d`],
//!   [`BatchNorm2d`], [`Lstm`], [`MultiHeadAttention`] and more; [`Sequential`] stacks them.
//! * [`Loss`]: losses as methods of a prediction. `x.mse(&y)` is the mean, and
//!   `x.mse_with(&y, Reduction::Sum)` is the sum. Settings such as [`CrossEntropy`] take the place
//!   of the [`Reduction`].
//! * [`distributions`]: densities and differentiable draws.
//! * [`init`]: initial weights, drawn from a generator that the caller passes.
//! * [`masks`]: masks of attention.
//! * [`summary()`]: the layers of a model with shapes, parameters and costs. [`check_shapes`] checks an
//!   input shape.
//! * [`optim`]: optimizers, chains of rules that TOML configures.
//!
//! ```
//! use rand::{SeedableRng, rngs::ChaCha8Rng};
//! use wengert_core::{Tensor, gradients};
//! use wengert_nn::{Linear, Loss, Module, Relu, Sequential, optim::Optimizer};
//!
//! let rng = &mut ChaCha8Rng::seed_from_u64(0);
//! let mut net = Sequential::<f32>::new()
//!     .then(Linear::new(4, 8, rng))
//!     .then(Relu)
//!     .then(Linear::new(8, 2, rng));
//! let mut optimizer = Optimizer::from_toml("kind = 'adam'\nlr = 1e-2").unwrap();
//! let x = Tensor::ones([3, 4]);
//! let (loss, grads) = gradients(|tape| net.forward(tape.constant(&x)).cross_entropy([0, 1, 1]));
//! optimizer.step(&mut net, &grads);
//! assert!(loss > 0.0);
//! ```
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub mod distributions;
pub mod init;
pub mod layers;
pub mod loss;
pub mod masks;
mod module;
pub mod optim;
mod pattern;
mod summary;
mod validate;

pub use layers::*;
pub use loss::*;
pub use module::Module;
pub use pattern::Pattern;
pub use summary::{Row, Summary, check_shapes, summary, summary_of};
