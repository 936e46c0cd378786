//! Saving and loading the state of an optimizer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Seek, Write};
use std::path::Path;

use ::safetensors::tensor::Dtype;
use wengert_core::{Float, Params, Tensor};
use wengert_nn::optim::{LoadReport, Optimizer, OptimizerState};

use crate::safetensors::{Array, Contents, encode};
use crate::{FileError, Problem, file};

/// Writes the state of an optimizer to a safetensors file, under the names of [`OptimizerState`] such as
/// `hidden.weight/adam.exp_avg`. The file is replaced atomically.
///
/// Tensors have the model's precision. Numbers, such as step counts, are `F64` scalars.
///
/// ```
/// use wengert_core::{Param, Tensor, gradients};
/// use wengert_io::{load_state, save_state};
/// use wengert_nn::optim::Optimizer;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("adam.safetensors");
/// let mut model = vec![Param::new(Tensor::<f32>::scalar(1.0))];
/// let mut optimizer = Optimizer::from_toml("kind = 'adam'")?;
/// let (_, grads) = gradients(|tape| tape.param(&model[0]) * 2.0);
/// optimizer.step(&mut model, &grads);
/// save_state(&path, &optimizer, &model)?;
///
/// let mut resumed = Optimizer::from_toml("kind = 'adam'")?;
/// load_state(&path, &mut resumed, &model)?;
/// assert_eq!(resumed.steps(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the file cannot be written.
pub fn save_state<F: Float>(
    path: impl AsRef<Path>,
    optimizer: &Optimizer<F>,
    model: &dyn Params<F>,
) -> Result<(), FileError> {
    file::write(path.as_ref(), |file| write_state(&optimizer.state(model), &[], file))
}

/// Loads the state of an optimizer, so that training resumes with the same bits.
///
/// # Errors
/// If the file cannot be read or is damaged, or does not hold what the recipe and the model need
/// ([`Problem::StateMismatch`]): the weights of a model, for example, are no state. The optimizer is unchanged then.
pub fn load_state<F: Float>(
    path: impl AsRef<Path>,
    optimizer: &mut Optimizer<F>,
    model: &dyn Params<F>,
) -> Result<(), FileError> {
    let path = path.as_ref();
    let state = file::read(path, read_state)?;
    optimizer.restore(model, state).map_err(|error| {
        FileError::new(Problem::StateMismatch(error.report().clone())).in_file(path)
    })
}

/// Loads what fits of the state of an optimizer, after a change of its recipe. The report lists the rest, which starts
/// anew.
///
/// # Errors
/// If the file cannot be read or is damaged. The optimizer is unchanged then.
pub fn load_state_lenient<F: Float>(
    path: impl AsRef<Path>,
    optimizer: &mut Optimizer<F>,
    model: &dyn Params<F>,
) -> Result<LoadReport, FileError> {
    let state = file::read(path.as_ref(), read_state)?;
    Ok(optimizer.restore_lenient(model, state))
}

/// The metadata that lists which scalars are numbers. Others are the state of a parameter that is a scalar.
const NUMBERS: &str = "numbers";

/// Returns the bytes that [`save_state`] writes. Equal states give equal bytes.
///
/// # Errors
/// If the header would be longer than the 100 MB that the format allows.
///
/// ```
/// use wengert_io::{state_from_bytes, state_to_bytes};
/// use wengert_nn::optim::OptimizerState;
///
/// let state = OptimizerState::<f32> {
///     tensors: Default::default(),
///     numbers: [("steps".to_owned(), 3.0)].into(),
/// };
/// assert_eq!(state_from_bytes(&state_to_bytes(&state)?)?, state);
/// # Ok::<(), wengert_io::FileError>(())
/// ```
pub fn state_to_bytes<F: Float>(state: &OptimizerState<F>) -> Result<Vec<u8>, FileError> {
    state_to_bytes_with(state, &[])
}

/// Returns the bytes of a file with a state and further entries of metadata, which
/// [`safetensors::metadata`](crate::safetensors::metadata) reads. They stand first in the file, in this order.
///
/// # Errors
/// In the case of [`state_to_bytes`].
pub fn state_to_bytes_with<F: Float>(
    state: &OptimizerState<F>,
    metadata: &[(&str, &str)],
) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    write_state(state, metadata, &mut bytes)?;
    Ok(bytes)
}

fn write_state<F: Float>(
    state: &OptimizerState<F>,
    metadata: &[(&str, &str)],
    to: &mut dyn Write,
) -> Result<(), FileError> {
    let OptimizerState { tensors, numbers } = state;
    let list = serde_json::Value::from(numbers.keys().map(String::as_str).collect::<Vec<_>>());
    let scalar = |(name, &number): (_, &f64)| (name, Tensor::scalar(number));
    let scalars: Vec<(&String, Tensor<f64>)> = numbers.iter().map(scalar).collect();
    let tensors = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor as &dyn Array));
    let scalars = scalars.iter().map(|(name, number)| (name.as_str(), number as &dyn Array));
    let list = list.to_string();
    let metadata = [metadata, &[(NUMBERS, &list)]].concat();
    encode(&tensors.chain(scalars).collect::<Vec<_>>(), &metadata, to)
}

/// Reads a state from the bytes of a file that [`save_state`] wrote.
///
/// # Errors
/// If the bytes are no safetensors file, or hold something other than numbers.
pub fn state_from_bytes<F: Float>(bytes: &[u8]) -> Result<OptimizerState<F>, FileError> {
    read_state(Cursor::new(bytes))
}

fn read_state<F: Float>(file: impl Read + Seek) -> Result<OptimizerState<F>, FileError> {
    let Contents { metadata, tensors, mut data } = Contents::parse(file)?;
    let list = metadata.get(NUMBERS).map_or("[]", String::as_str);
    let list: BTreeSet<String> = serde_json::from_str(list)
        .map_err(|error| FileError::content("a list of the numbers' names", error.to_string()))?;
    let mut state = OptimizerState { tensors: BTreeMap::new(), numbers: BTreeMap::new() };
    for (name, stored) in tensors {
        let failed = |error: FileError| error.in_tensor(&name);
        if !list.contains(&name) {
            let array = data.tensor(&stored).map_err(failed)?;
            state.tensors.insert(name, array);
        } else if stored.dtype == Dtype::F64 && stored.shape.is_empty() {
            let number = data.tensor::<f64>(&stored).map_err(failed)?.item();
            state.numbers.insert(name, number);
        } else {
            let found = format!("{} {:?}", stored.dtype, stored.shape);
            return Err(failed(FileError::content("a number, F64 []", found)));
        }
    }
    Ok(state)
}
