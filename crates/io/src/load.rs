//! The parameters and buffers of a model, to a file and from one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use wengert_core::{Float, Leaf, LeafMut, Params, Path as Place, Shape, Tensor};

use crate::error::Problem;
use crate::rename::{Rename, rename};
use crate::safetensors::{self, Contents};
use crate::{FileError, file};

/// Writes the parameters and buffers of a model under their dotted names to a safetensors file, in the
/// model's precision. The file is replaced at once or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn save<F: Float>(
    path: impl AsRef<Path>,
    model: &(impl Params<F> + ?Sized),
) -> Result<(), FileError> {
    safetensors::write(path, &named(model))
}

/// The parameters and buffers of a model by dotted name: what [`save`] writes.
pub fn named<F: Float>(model: &(impl Params<F> + ?Sized)) -> BTreeMap<String, Tensor<F>> {
    let mut named = BTreeMap::new();
    model.visit(Place::ROOT, &mut |place, leaf| {
        named.insert(place.to_string(), value(&leaf).clone());
    });
    named
}

fn value<'a, F: Float>(leaf: &Leaf<'a, F>) -> &'a Tensor<F> {
    match leaf {
        Leaf::Param(param) => param.value(),
        Leaf::Buffer(buffer) => buffer.value(),
    }
}

/// Fills a model from a safetensors file that has exactly its names and shapes; [`Load`] is for all
/// other files.
///
/// # Errors
/// As [`Load::file`].
pub fn load<F: Float>(
    path: impl AsRef<Path>,
    model: &mut (impl Params<F> + ?Sized),
) -> Result<(), FileError> {
    Load::new().file(path, model).map(|_| ())
}

/// How to fill a model from a file: strictly, unless told otherwise, and under the file's own names,
/// unless they are renamed.
///
/// ```
/// use wengert_core::{Tensor, Param, params_f32};
/// use wengert_io::{Load, named, safetensors};
///
/// struct Net { weight: Param<f32>, bias: Param<f32> }
/// params_f32! { Net { weight, bias } }
///
/// let file = safetensors::to_bytes(&[
///     ("module.weight".to_owned(), Tensor::<f64>::from([1.0, 2.0])),
///     ("module.scale".to_owned(), Tensor::from([3.0])),
/// ].into())?;
/// let mut net = Net { weight: Tensor::zeros([2]).into(), bias: Tensor::zeros([1]).into() };
/// let report = Load::new().lenient().drop_prefix("module.").bytes(&file, &mut net)?;
/// assert_eq!(net.weight.value(), &Tensor::from([1.0, 2.0]));
/// assert_eq!((report.missing, report.unexpected), (vec!["bias".into()], vec!["scale".into()]));
/// # Ok::<(), wengert_io::FileError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Load {
    lenient: bool,
    renames: Vec<Rename>,
}

impl Load {
    /// Strict, under the file's own names.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what fits, and reports what does not instead of refusing it.
    pub fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// What the file calls `from` is `to` in the model. A `*` stands for any characters, dots among
    /// them, and for the same ones on both sides: `"encoder.*"` to `"backbone.encoder.*"`. Of several
    /// renames the first that fits a name counts; one that fits none is an error of the load.
    ///
    /// # Panics
    /// If one side has more stars than the other.
    #[track_caller]
    pub fn rename(mut self, from: &str, to: &str) -> Self {
        self.renames.push(Rename::new(from, to));
        self
    }

    /// Leaves out what all names of the file begin with, such as the `module.` of a model that PyTorch
    /// wrapped.
    pub fn drop_prefix(mut self, prefix: &str) -> Self {
        self.renames.push(Rename::new(&format!("{prefix}*"), "*"));
        self
    }

    /// Fills a model from a safetensors file. All is read and checked before anything is written: the
    /// model is filled, or untouched. The report is empty after a strict load.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged, when a tensor of the model holds something else than
    /// numbers, when a rename fits no name, and, in a strict load, when a name is missing, unexpected, or
    /// has another shape ([`Problem::Misfit`]).
    pub fn file<F: Float>(
        &self,
        path: impl AsRef<Path>,
        model: &mut (impl Params<F> + ?Sized),
    ) -> Result<Report, FileError> {
        file::read(path.as_ref(), |bytes| self.bytes(bytes, model))
    }

    /// As [`Load::file`], from a file that is in memory.
    ///
    /// # Errors
    /// As [`Load::file`].
    pub fn bytes<F: Float>(
        &self,
        bytes: &[u8],
        model: &mut (impl Params<F> + ?Sized),
    ) -> Result<Report, FileError> {
        let mut stored = rename(Contents::of(bytes)?.tensors, &self.renames)?;
        let (mut report, mut arrays, mut failed) = (Report::default(), BTreeMap::new(), None);
        model.visit(Place::ROOT, &mut |place, leaf| {
            let (name, expected) = (place.to_string(), value(&leaf).shape());
            match stored.remove(&name) {
                None => report.missing.push(name),
                Some(found) if *found.shape != *expected => {
                    report.misshapen.push(Misshapen { name, expected, found: found.shape });
                }
                Some(found) => match found.array() {
                    Ok(array) => drop(arrays.insert(name, array)),
                    Err(error) => drop(failed.get_or_insert(error.in_tensor(&name))),
                },
            }
        });
        report.unexpected.extend(stored.into_keys());
        if let Some(error) = failed {
            return Err(error);
        }
        if !self.lenient && !report.is_complete() {
            return Err(FileError::new(Problem::Misfit(report)));
        }
        model.visit_mut(Place::ROOT, &mut |place, leaf| {
            if let Some(array) = arrays.remove(&place.to_string()) {
                match leaf {
                    LeafMut::Param(param) => param.set(array),
                    LeafMut::Buffer(buffer) => buffer.set(array),
                }
            }
        });
        Ok(report)
    }
}

/// Where a file and a model do not meet. Names are the model's, after renaming.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What the model has and the file does not: left as it was.
    pub missing: Vec<String>,
    /// What the file has and the model does not: left aside.
    pub unexpected: Vec<String>,
    /// What has another shape: left as it was.
    pub misshapen: Vec<Misshapen>,
}

/// A tensor whose shape in the file is not the model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// Its name in the model.
    pub name: String,
    /// The model's shape.
    pub expected: Shape,
    /// The file's shape, which may have any number of axes.
    pub found: Vec<usize>,
}

impl Report {
    /// Whether file and model have the same names and shapes.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

/// A line for each kind that there is.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, names) in [("missing", &self.missing), ("unexpected", &self.unexpected)] {
            if !names.is_empty() {
                write!(f, "\n  {what}: {}", names.join(", "))?;
            }
        }
        for Misshapen { name, expected, found } in &self.misshapen {
            write!(f, "\n  misshapen: {name} is {expected:?} in the model, {found:?} in the file")?;
        }
        Ok(())
    }
}
