//! Compares results: the kinds of numbers first, because `difference > tolerance` is false for NaN.

use wengert::Tensor;

use crate::random::program::Array;
use crate::random::run::Results;

/// What the written numbers and the operations may differ by, as a share of the largest number of each kind of result.
const DOUBLE: f64 = 1e-10;

/// What may be left of numbers that cancel, where PyTorch has zeros only.
const CANCELLED: f64 = 1e-16;

/// What single precision may differ by, besides ten times the error of PyTorch.
const SINGLE: f64 = 2e-6;

pub(crate) fn double(ours: &Results, theirs: &Results) -> Result<(), String> {
    compare(ours, theirs, DOUBLE)
}

pub(crate) fn single(ours: &Results, theirs: &Results, error: f64) -> Result<(), String> {
    compare(ours, theirs, SINGLE + 10.0 * error)
}

fn compare(ours: &Results, theirs: &Results, tolerance: f64) -> Result<(), String> {
    let kinds = [
        ("outputs", &ours.outputs, &theirs.outputs),
        ("gradients", &ours.gradients, &theirs.gradients),
        ("second derivatives", &ours.second, &theirs.second),
    ];
    // PyTorch has no second derivative of some operations.
    for (kind, ours, theirs) in kinds.into_iter().filter(|(_, _, theirs)| !theirs.is_empty()) {
        arrays(ours, theirs, tolerance).map_err(|what| format!("{kind}: {what}"))?;
    }
    Ok(())
}

fn arrays(ours: &[Array], theirs: &[Array], tolerance: f64) -> Result<(), String> {
    let read = |arrays: &[Array]| arrays.iter().map(Array::tensor).collect::<Vec<Tensor<f64>>>();
    let (ours, theirs) = (read(ours), read(theirs));
    if ours.len() != theirs.len() {
        return Err(format!("{} instead of {}", ours.len(), theirs.len()));
    }
    let finite = theirs.iter().flat_map(Tensor::as_slice).filter(|x| x.is_finite());
    let scale = finite.fold(0.0, |scale: f64, x| scale.max(x.abs()));
    for (place, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
        if ours.shape() != theirs.shape() {
            return Err(format!(
                "{place} has shape {:?}, PyTorch {:?}",
                ours.shape(),
                theirs.shape()
            ));
        }
        for (at, (&ours, &theirs)) in ours.as_slice().iter().zip(theirs.as_slice()).enumerate() {
            let same = match (ours.is_finite(), theirs.is_finite()) {
                (true, true) => (ours - theirs).abs() <= (tolerance * scale).max(CANCELLED),
                // Infinities are equal only to themselves.
                _ => ours == theirs || ours.is_nan() && theirs.is_nan(),
            };
            if !same {
                return Err(format!("element {at} of {place} is {ours:e}, PyTorch has {theirs:e}"));
            }
        }
    }
    Ok(())
}
