//! What an optimizer remembers, to a file and from one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ::safetensors::tensor::Dtype;
use wengert_core::{Float, Params, Tensor};
use wengert_nn::optim::{LoadReport, Optimizer, OptimizerState};

use crate::safetensors::{Contents, Entry, encode};
use crate::{FileError, file};

/// Writes all that an optimizer remembers of a model to a safetensors file, under
/// `parameter/rule.slot` as in [`OptimizerState`]. The numbers (counts, what schedules remember) are scalars of
/// type `F64`, whatever the precision. The file is replaced at once or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn save_state<F: Float>(
    path: impl AsRef<Path>,
    optimizer: &Optimizer<F>,
    model: &dyn Params<F>,
) -> Result<(), FileError> {
    let path = path.as_ref();
    let bytes = state_to_bytes(&optimizer.state(model)).map_err(|error| error.in_file(path))?;
    file::write(path, &bytes)
}

/// Gives an optimizer what one of the same recipe, or of a similar one, remembered: training goes on
/// with the same bits. What did not fit is reported, and starts anew.
///
/// # Errors
/// When the file cannot be read or is damaged; the optimizer is untouched then.
pub fn load_state<F: Float>(
    path: impl AsRef<Path>,
    optimizer: &mut Optimizer<F>,
    model: &dyn Params<F>,
) -> Result<LoadReport, FileError> {
    let state = file::read(path.as_ref(), state_from_bytes)?;
    Ok(optimizer.restore(model, state))
}

/// The entry of metadata that lists which scalars are numbers: a parameter may be a scalar too.
const NUMBERS: &str = "numbers";

/// The file that [`save_state`] writes, in state.
///
/// # Errors
/// As [`to_bytes`](crate::safetensors::to_bytes).
pub fn state_to_bytes<F: Float>(state: &OptimizerState<F>) -> Result<Vec<u8>, FileError> {
    let mut entries: Vec<Entry> =
        state.tensors.iter().map(|(name, array)| Entry::new(name, array)).collect();
    let numbers = state.numbers.iter();
    entries.extend(numbers.map(|(name, &number)| Entry::new(name, &Tensor::<f64>::scalar(number))));
    let names = state.numbers.keys().map(|name| name.as_str()).collect::<Vec<_>>();
    let list = serde_json::Value::from(names).to_string();
    encode(&entries, (NUMBERS, list))
}

/// The state in a file that [`save_state`] wrote.
///
/// # Errors
/// When the bytes are no safetensors file, or hold something else than numbers.
pub fn state_from_bytes<F: Float>(bytes: &[u8]) -> Result<OptimizerState<F>, FileError> {
    let Contents { metadata, tensors } = Contents::parse(bytes)?;
    let list = metadata.get(NUMBERS).map_or("[]", String::as_str);
    let list: BTreeSet<String> = serde_json::from_str(list)
        .map_err(|error| FileError::content("a list of the numbers' names", error.to_string()))?;
    let mut state = OptimizerState { tensors: BTreeMap::new(), numbers: BTreeMap::new() };
    for (name, stored) in tensors {
        let failed = |error: FileError| error.in_tensor(&name);
        if !list.contains(&name) {
            let array = stored.tensor().map_err(failed)?;
            state.tensors.insert(name, array);
        } else if stored.dtype == Dtype::F64 && stored.shape.is_empty() {
            let number = stored.tensor::<f64>().map_err(failed)?.item();
            state.numbers.insert(name, number);
        } else {
            let found = format!("{} {:?}", stored.dtype, stored.shape);
            return Err(failed(FileError::content("a number, F64 []", found)));
        }
    }
    Ok(state)
}
