//! Files for wengert: weights in and out of PyTorch and NumPy, and an optimizer's state. Users take it
//! through the crate `wengert`, feature `train`, as `wengert::io`.
//!
//! ```
//! use wengert_core::rand::{SeedableRng, rngs::ChaCha8Rng};
//! use wengert_nn::Linear;
//! use wengert_io::{Load, load, save};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("weights.safetensors");
//! let mut rng = ChaCha8Rng::seed_from_u64(0);
//! let trained = Linear::<f32>::new(4, 2, &mut rng);
//! save(&path, &trained)?;
//!
//! let mut other = Linear::<f32>::new(4, 2, &mut rng);
//! load(&path, &mut other)?;
//! assert_eq!(trained.weight.value(), other.weight.value());
//!
//! // A model of other shapes stays as it was, and the error tells why.
//! let mut wider = Linear::<f32>::new(5, 2, &mut rng);
//! let error = load(&path, &mut wider).unwrap_err().to_string();
//! assert!(error.ends_with(
//!     "does not fit the model\n  shape mismatch: weight is [2, 5] in the model, [2, 4] in the file"
//! ));
//! // What fits may be taken from it all the same.
//! let report = Load::new().lenient().file(&path, &mut wider)?;
//! assert_eq!(report.shape_mismatch[0].name, "weight");
//! assert_eq!(wider.bias.unwrap().value(), trained.bias.unwrap().value());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! * [`save`] writes a model's parameters and buffers by dotted name; [`load`] takes exactly these. With
//!   [`Load`] a file may lack names, have others, or call things otherwise.
//! * [`save_state`] and [`load_state`] do the same for an optimizer's state. Averages of
//!   parameters are saved like the parameters: `optimizer.with_ema(&mut model, |model| save(path, model))`.
//! * [`safetensors`], [`npy`] and [`npz`] are the formats by themselves: each has `read` and `write` for
//!   files, `from_bytes` and `to_bytes` for memory.
//! * With the feature `ndarray`, `to_ndarray` and `from_ndarray`.
//!
//! Numbers are rounded to the precision of the model, whatever the file holds. A file is replaced at once
//! or not at all, and what is wrong with one is a [`FileError`]: nothing that a file may hold panics, and no
//! size that it claims is believed before its bytes are there.
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod dtype;
mod error;
mod file;
mod load;
#[cfg(feature = "ndarray")]
mod ndarray_interop;
pub mod npy;
pub mod npz;
mod rename;
pub mod safetensors;
mod state;

pub use error::{FileError, Problem};
pub use load::{Load, Report, ShapeMismatch, load, named, save};
#[cfg(feature = "ndarray")]
pub use ndarray_interop::{from_ndarray, to_ndarray};
pub use state::{load_state, save_state, state_from_bytes, state_to_bytes};
