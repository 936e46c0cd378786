//! Properties of the readers for any bytes. The fuzz targets check them on random bytes, and the tests on the
//! files in `corpus`: no reader panics, and whatever is read is written and read back the same.

use std::collections::BTreeMap;

use wengert::io::{self, Load, npy, npz};
use wengert::optim::Recipe;
use wengert::prelude::*;

struct Net {
    w: Param,
    b: Buffer,
}
params! { Net { w, b } }

fn net() -> Net {
    Net { w: Tensor::zeros([2, 2]).into(), b: Buffer::new(Tensor::zeros([])) }
}

/// Whether two tensors are equal, where a NaN equals any NaN.
fn same(a: &Tensor, b: &Tensor) -> bool {
    let pairs = || a.as_slice().iter().zip(b.as_slice());
    a.shape() == b.shape() && pairs().all(|(a, b)| a == b || a.is_nan() && b.is_nan())
}

fn all_same(a: &BTreeMap<String, Tensor>, b: &BTreeMap<String, Tensor>) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
}

/// Reads a safetensors file into a map, into a model in several ways, and into an optimizer's state.
pub fn safetensors(bytes: &[u8]) {
    if let Ok(tensors) = io::safetensors::from_bytes::<f32>(bytes)
        && let Ok(again) = io::safetensors::to_bytes(&tensors)
    {
        let again = io::safetensors::from_bytes(&again).expect("what was written");
        assert!(all_same(&tensors, &again));
    }
    let strict = Load::new();
    for load in [&strict, &strict.clone().lenient(), &strict.clone().rename("*.x", "*")] {
        let mut net = net();
        if load.bytes(bytes, &mut net).is_err() {
            assert!(net.w.value() == &Tensor::zeros([2, 2]) && net.b.value().item() == 0.0);
        }
    }
    if let Ok(state) = io::state_from_bytes::<f32>(bytes) {
        let mut optimizer = Optimizer::from_toml("kind = 'adam'").expect("a recipe");
        let before = optimizer.state(&net());
        if optimizer.restore(&net(), state.clone()).is_err() {
            assert_eq!(optimizer.state(&net()), before);
        }
        let _ = optimizer.restore_lenient(&net(), state);
    }
}

/// Reads an `.npy` file.
pub fn npy(bytes: &[u8]) {
    if let Ok(array) = npy::from_bytes::<f32>(bytes) {
        let again = npy::from_bytes(&npy::to_bytes(&array)).expect("what was written");
        assert!(same(&array, &again));
    }
}

/// Reads an `.npz` file, as a whole and array by array.
pub fn npz(bytes: &[u8]) {
    if let Ok(arrays) = npz::from_bytes::<f32>(bytes)
        && let Ok(again) = npz::to_bytes(&arrays)
    {
        let again = npz::from_bytes(&again).expect("what was written");
        assert!(all_same(&arrays, &again));
    }
    if let Ok(mut archive) = npz::Archive::from_bytes(bytes) {
        let (arrays, left_out) = archive.numbers::<f32>();
        assert_eq!(arrays.len() + left_out.len(), archive.names().len());
    }
}

/// Reads a recipe in TOML. A recipe that can be read is printed and read back the same.
pub fn recipe(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match text.parse::<Recipe>() {
        Ok(recipe) => {
            let printed = recipe.to_string();
            let again = printed.parse::<Recipe>();
            let again = again.unwrap_or_else(|error| panic!("{printed}\n{error}"));
            assert_eq!(printed, again.to_string());
        }
        Err(error) => assert!(error.line() >= 1 && !error.to_string().is_empty()),
    }
}
