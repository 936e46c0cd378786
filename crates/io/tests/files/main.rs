//! Reading and writing files: damaged ones, ones that do not fit the model, and conversions.

mod damaged;
mod hostile;
#[cfg(feature = "ndarray")]
mod ndarray_interop;
