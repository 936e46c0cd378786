//! Files for wengert: weights and optimizer state as safetensors, arrays as NumPy's `.npy` and `.npz`.
//!
//! In a program, enable the feature `io` of the crate `wengert`; this crate is `wengert::io` there:
//!
//! ```text
//! cargo add wengert --features io
//! ```
//!
//! [`save`] writes the parameters and buffers of a model by dotted name, and [`load`] reads a file that has
//! exactly these names and shapes. Layers name and lay out their tensors as PyTorch does, so the `state_dict`
//! of an equal model fits.
//!
//! ```
//! use wengert_core::rand::{SeedableRng, rngs::ChaCha8Rng};
//! use wengert_io::{Load, load, save};
//! use wengert_nn::Linear;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("weights.safetensors");
//! let mut rng = ChaCha8Rng::seed_from_u64(0);
//! let trained = Linear::<f32>::new(4, 2, &mut rng);
//! save(&path, &trained)?;
//!
//! let mut fresh = Linear::<f32>::new(4, 2, &mut rng);
//! load(&path, &mut fresh)?;
//! assert_eq!(fresh.weight.value(), trained.weight.value());
//!
//! // A model of another shape is unchanged, and the error says why.
//! let mut wider = Linear::<f32>::new(5, 2, &mut rng);
//! let error = load(&path, &mut wider).unwrap_err().to_string();
//! assert!(error.ends_with(
//!     "does not fit the model\n  shape mismatch: weight is [2, 5] in the model, [2, 4] in the file"
//! ));
//!
//! // A lenient load takes what fits.
//! let report = Load::new().lenient().file(&path, &mut wider)?;
//! assert_eq!(report.shape_mismatch[0].name, "weight");
//! assert_eq!(wider.bias.unwrap().value(), trained.bias.unwrap().value());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | Task | Call |
//! | --- | --- |
//! | Save a model | `save(path, &model)` |
//! | Load weights that fit exactly | `load(path, &mut model)` |
//! | Load weights under other names | `Load::new().rename("encoder.*", "*").file(path, &mut model)` |
//! | Allow names that only one side has | `Load::new().allow_unexpected("pooler.*").allow_missing("head.*").file(path, &mut model)` |
//! | Load whatever fits | `Load::new().lenient().file(path, &mut model)`, with a [`Report`] of the rest |
//! | Save and load an optimizer | `save_state(path, &optimizer, &model)`, `load_state(path, &mut optimizer, &model)` |
//! | Load what fits after a change of the recipe | `load_state_lenient(path, &mut optimizer, &model)` |
//! | Save averaged weights | `optimizer.with_ema(&mut model, \|model\| save(path, model))` |
//! | Read and write tensors by themselves | `read` and `write` of [`safetensors`], [`npz`] and [`npy`] |
//! | The same in memory | `from_bytes` and `to_bytes` there, [`Load::bytes`], [`state_from_bytes`], [`state_to_bytes`] |
//! | Read some arrays of a file that holds other things too | [`npz::Archive`] |
//! | Exchange arrays with `ndarray` | `to_ndarray`, `from_ndarray` (feature `ndarray`) |
//!
//! Files may hold integers and floats of any size; numbers are rounded once, to the precision of the model. Two
//! tensors of one name are an error.
//!
//! Writing replaces a file atomically. It keeps the permissions of a file that was there and follows symbolic links.
//! Folders, devices and pipes are neither written nor read. If the process is killed while it writes, the temporary file stays until the
//! next save to the same path. Saving takes little memory besides the model; loading takes the model's size once more,
//! because nothing is written before everything is read.
//!
//! Reading never panics. A size that a file only claims is compared with the bytes that are present before memory is
//! allocated, and memory that the machine cannot give is an error. A mistake in a file is a [`FileError`] that names
//! the file, the tensor, what was expected and what was found.
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

mod dtype;
mod error;
mod file;
mod foreign;
mod header;
mod load;
#[cfg(feature = "ndarray")]
mod ndarray_interop;
pub mod npy;
pub mod npz;
mod rename;
pub mod safetensors;
mod state;
mod text;

pub use error::{FileError, Problem};
pub use file::replace_file;
pub use load::{Load, Report, ShapeMismatch, load, named, save};
#[cfg(feature = "ndarray")]
pub use ndarray_interop::{from_ndarray, to_ndarray};
pub use state::{
    load_state, load_state_lenient, save_state, state_from_bytes, state_to_bytes,
    state_to_bytes_with,
};
