//! Saving and loading the parameters and buffers of a model.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Cursor, Read, Seek};
use std::path::Path;

use wengert_core::{Float, LeafMut, Params, Path as ModelPath, Shape, Tensor};
use wengert_nn::Pattern;

use crate::error::Problem;
use crate::rename::{Rename, rename};
use crate::safetensors::{self, Contents, Stored};
use crate::text::{self, Names, Shown};
use crate::{FileError, file};

/// Writes the parameters and buffers of a model to a safetensors file, by dotted name, in the model's
/// precision. The file is replaced atomically.
///
/// ```
/// use wengert_core::{Param, Tensor};
/// use wengert_io::{load, save};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("weights.safetensors");
/// let trained = vec![Param::new(Tensor::<f32>::ones([2]))];
/// save(&path, &trained)?;
///
/// let mut fresh = vec![Param::new(Tensor::<f32>::zeros([2]))];
/// load(&path, &mut fresh)?;
/// assert_eq!(fresh[0].value(), trained[0].value());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the file cannot be written.
pub fn save<F: Float>(
    path: impl AsRef<Path>,
    model: &(impl Params<F> + ?Sized),
) -> Result<(), FileError> {
    safetensors::write(path, &named(model))
}

/// Returns the parameters and buffers of a model by dotted name, as [`save`] writes them.
///
/// ```
/// use wengert_core::{Param, Tensor};
///
/// let model = vec![Param::new(Tensor::<f32>::ones([2]))];
/// assert_eq!(wengert_io::named(&model)["0"], Tensor::ones([2]));
/// ```
pub fn named<F: Float>(model: &(impl Params<F> + ?Sized)) -> BTreeMap<String, Tensor<F>> {
    let mut named = BTreeMap::new();
    model.visit(ModelPath::ROOT, &mut |path, leaf| {
        named.insert(path.to_string(), leaf.value().clone());
    });
    named
}

/// Loads a safetensors file into a model that has exactly its names and shapes. [`Load`] reads other files.
///
/// Numbers are rounded to the model's precision. All of the file is checked before anything is written, so
/// the model is unchanged after an error.
///
/// # Errors
/// If the file cannot be read or is damaged, or a name or shape is not the model's.
pub fn load<F: Float>(
    path: impl AsRef<Path>,
    model: &mut (impl Params<F> + ?Sized),
) -> Result<(), FileError> {
    Load::new().file(path, model).map(drop)
}

/// Options of loading a file into a model. The default is strict, under the file's own names.
///
/// ```
/// use wengert_core::{Param, Tensor, params_f32};
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
    allowed_missing: Vec<Pattern>,
    allowed_unexpected: Vec<Pattern>,
}

impl Load {
    /// Returns the default options: names and shapes have to be the model's.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loads tensors that fit and reports the others, instead of failing.
    pub fn lenient(self) -> Self {
        Self { lenient: true, ..self }
    }

    /// Renames the tensor that the file calls `from` to `to`, its name in the model.
    ///
    /// A `*` in `from` matches any characters, dots included, and the `*` in `to` stands for them:
    /// `rename("encoder.*", "backbone.encoder.*")`. Where several renames match a name, the first counts. A
    /// rename that matches no name is an error when loading.
    ///
    /// # Panics
    /// If `from` and `to` have different numbers of stars.
    #[track_caller]
    pub fn rename(mut self, from: &str, to: &str) -> Self {
        self.renames.push(Rename::new(from, to));
        self
    }

    /// Removes a prefix from the file's names, such as the `module.` of a model that PyTorch wrapped. A
    /// short form of `rename("module.*", "*")`.
    pub fn drop_prefix(mut self, prefix: &str) -> Self {
        self.renames.push(Rename::new(&format!("{prefix}*"), "*"));
        self
    }

    /// Allows tensors of the file that the model does not have, by the pattern of their names after renaming:
    /// `*` matches any characters, dots included. They are not reported.
    ///
    /// ```
    /// use wengert_core::{Param, Tensor};
    /// use wengert_io::{Load, safetensors};
    ///
    /// let tensors = ["0", "pooler.bias", "pooler.weight"].map(|n| (n.to_owned(), Tensor::<f32>::ones([2])));
    /// let file = safetensors::to_bytes(&tensors.into())?;
    /// let mut model = vec![Param::new(Tensor::<f32>::zeros([2]))];
    /// let report = Load::new().allow_unexpected("pooler.*").bytes(&file, &mut model)?;
    /// assert!(report.is_complete());
    /// # Ok::<(), wengert_io::FileError>(())
    /// ```
    pub fn allow_unexpected(mut self, pattern: &str) -> Self {
        self.allowed_unexpected.push(Pattern::new(pattern));
        self
    }

    /// Allows tensors of the model that the file does not have, such as those of a new head, by the pattern of
    /// their names. They are unchanged, and not reported.
    pub fn allow_missing(mut self, pattern: &str) -> Self {
        self.allowed_missing.push(Pattern::new(pattern));
        self
    }

    /// Loads a safetensors file into a model. The model is unchanged after an error. After a strict load
    /// the report is empty.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged, a tensor of the model holds something other than numbers,
    /// or a rename matches no name. A strict load also fails if a name is missing or unexpected, or a shape
    /// differs ([`Problem::ModelMismatch`]).
    pub fn file<F: Float>(
        &self,
        path: impl AsRef<Path>,
        model: &mut (impl Params<F> + ?Sized),
    ) -> Result<Report, FileError> {
        file::read(path.as_ref(), |file| self.contents(Contents::parse(file)?, model))
    }

    /// Loads the bytes of a safetensors file into a model.
    ///
    /// # Errors
    /// In the cases of [`Load::file`], except for files that cannot be read.
    pub fn bytes<F: Float>(
        &self,
        bytes: &[u8],
        model: &mut (impl Params<F> + ?Sized),
    ) -> Result<Report, FileError> {
        self.contents(Contents::parse(Cursor::new(bytes))?, model)
    }

    fn contents<F: Float>(
        &self,
        contents: Contents<impl Read + Seek>,
        model: &mut (impl Params<F> + ?Sized),
    ) -> Result<Report, FileError> {
        let Contents { mut data, tensors, .. } = contents;
        let (fitting, mut report) = matching(rename(tensors, &self.renames)?, model);
        let is_allowed = |allowed: &[Pattern], name: &str| allowed.iter().any(|p| p.matches(name));
        report.missing.retain(|name| !is_allowed(&self.allowed_missing, name));
        report.unexpected.retain(|name| !is_allowed(&self.allowed_unexpected, name));
        if !self.lenient && !report.is_complete() {
            return Err(FileError::new(Problem::ModelMismatch(report)));
        }
        let mut tensors = BTreeMap::new();
        for (name, stored) in fitting {
            let tensor = data.tensor(&stored).map_err(|error| error.in_tensor(&name))?;
            tensors.insert(name, tensor);
        }
        model.visit_mut(ModelPath::ROOT, &mut |path, leaf| {
            if let Some(tensor) = tensors.remove(&path.to_string()) {
                match leaf {
                    LeafMut::Param(param) => param.set(tensor),
                    LeafMut::Buffer(buffer) => buffer.set(tensor),
                }
            }
        });
        Ok(report)
    }
}

/// Returns the tensors whose name and shape are the model's, and reports the others.
fn matching<F: Float>(
    mut stored: BTreeMap<String, Stored>,
    model: &(impl Params<F> + ?Sized),
) -> (BTreeMap<String, Stored>, Report) {
    let (mut fitting, mut report) = (BTreeMap::new(), Report::default());
    model.visit(ModelPath::ROOT, &mut |path, leaf| {
        let (name, expected) = (path.to_string(), leaf.value().shape());
        match stored.remove(&name) {
            None => report.missing.push(name),
            Some(found) if *found.shape != *expected => {
                report.shape_mismatch.push(ShapeMismatch { name, expected, found: found.shape });
            }
            Some(found) => drop(fitting.insert(name, found)),
        }
    });
    report.unexpected.extend(stored.into_keys());
    (fitting, report)
}

/// Differences between a file and a model. Names are the model's, after renaming.
///
/// ```
/// use wengert_core::{Param, Tensor};
/// use wengert_io::{Load, safetensors};
///
/// let file = safetensors::to_bytes(&[("0".to_owned(), Tensor::<f32>::ones([3]))].into())?;
/// let mut model = vec![Param::new(Tensor::<f32>::zeros([2]))];
/// let report = Load::new().lenient().bytes(&file, &mut model)?;
/// assert_eq!(report.to_string(), "\n  shape mismatch: 0 is [2] in the model, [3] in the file");
/// # Ok::<(), wengert_io::FileError>(())
/// ```
#[must_use = "the report says what was not loaded"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Names in the model only. Their tensors are unchanged.
    pub missing: Vec<String>,
    /// Names in the file only. Their tensors are ignored.
    pub unexpected: Vec<String>,
    /// Tensors whose shape differs. The model's are unchanged.
    pub shape_mismatch: Vec<ShapeMismatch>,
}

/// A tensor whose shape in the file is not the model's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// Name in the model.
    pub name: String,
    /// Shape in the model.
    pub expected: Shape,
    /// Shape in the file, which may have any number of axes.
    pub found: Vec<usize>,
}

impl Report {
    /// Returns whether the file and the model have the same names and shapes.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.shape_mismatch.is_empty()
    }
}

/// Prints a line for each kind of difference that there is, and nothing where there is none. Of many names the
/// first are printed.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, names) in [("missing", &self.missing), ("unexpected", &self.unexpected)] {
            if !names.is_empty() {
                write!(f, "\n  {kind}: {}", Names(names.iter().map(String::as_str)))?;
            }
        }
        for ShapeMismatch { name, expected, found } in
            self.shape_mismatch.iter().take(text::PRINTED_NAMES)
        {
            let name = Shown(name);
            write!(
                f,
                "\n  shape mismatch: {name} is {expected:?} in the model, {found:?} in the file"
            )?;
        }
        text::more(f, self.shape_mismatch.len())
    }
}
