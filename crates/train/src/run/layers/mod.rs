//! The layers that a configuration may name.

mod dense;
mod sequence;
mod window;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wengert_core::Shape;
use wengert_core::rand::rngs::ChaCha8Rng;
use wengert_nn::CloneModule;
use wengert_nn::optim::{ConfigError, ConfigTable, InvalidSetting};

/// Layer that a configuration may name: a struct whose fields are the settings in TOML.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use wengert_core::UnaryOps;
/// use wengert_nn::optim::InvalidSetting;
/// use wengert_nn::{CloneModule, Lambda};
/// use wengert_train::run::{LayerKind, Layers, Site};
///
/// /// `kind = "power"`.
/// #[derive(Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Power { exponent: i32 }
///
/// impl LayerKind for Power {
///     const KIND: &'static str = "power";
///
///     fn build(&mut self, _: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting> {
///         let exponent = self.exponent;
///         Ok(Box::new(Lambda::new(move |x| x.powi(exponent))))
///     }
/// }
///
/// let layers = Layers::default().layer::<Power>();
/// assert!(layers.kinds().any(|kind| kind == "power"));
/// ```
pub trait LayerKind: Serialize + DeserializeOwned + 'static {
    /// Name in configurations.
    const KIND: &'static str;

    /// Returns the layer. A width that the settings leave out is that of the input at this site; a setting that was
    /// left out is filled in, so that the configuration of a run spells it out.
    ///
    /// # Errors
    /// If a setting is out of its range, or does not fit the input.
    fn build(&mut self, site: &mut Site<'_>) -> Result<Box<dyn CloneModule>, InvalidSetting>;
}

/// Place of a layer in a model: the shape that comes in, and the generator of initial values.
#[derive(Debug)]
pub struct Site<'a> {
    /// Shape of the input, with a batch of 1 as the first axis.
    pub input: Shape,
    /// Number of outputs that the targets need: classes, or columns of values. The last layer may use it.
    pub outputs: usize,
    /// Rows of the smallest batch in training; at least 2 if the layer is frozen.
    pub rows: usize,
    /// Generator of initial values.
    pub rng: &'a mut ChaCha8Rng,
}

impl Site<'_> {
    /// Returns the extent of the last axis.
    ///
    /// # Errors
    /// If the input has no axis besides the batch.
    pub fn features(&self) -> Result<usize, InvalidSetting> {
        self.extent(self.input.rank().max(2) - 1)
    }

    /// Returns the extent of axis 1: the channels of an image.
    ///
    /// # Errors
    /// If the input has no axis 1.
    pub fn channels(&self) -> Result<usize, InvalidSetting> {
        self.extent(1)
    }

    fn extent(&self, axis: usize) -> Result<usize, InvalidSetting> {
        let found = self.input.get(axis).copied();
        found.ok_or_else(|| misfit(format!("the input has {} axes", self.input.rank())))
    }
}

/// Returns the error for a layer that does not fit its input.
fn misfit(message: String) -> InvalidSetting {
    InvalidSetting::new("", message)
}

/// The largest size that a layer may have. A typo is told before memory is asked for.
const LARGEST: usize = 1 << 20;

/// Accepts a size from 1 to [`LARGEST`].
fn size(key: &'static str, size: usize) -> Result<usize, InvalidSetting> {
    wengert_nn::optim::range::at_least_one(key, size as u64)?;
    if size > LARGEST {
        return Err(InvalidSetting::new(key, format!("expected at most {LARGEST}, found {size}")));
    }
    Ok(size)
}

/// Accepts a number that divides `total`, the extent of `what`.
fn divides(
    key: &'static str,
    part: usize,
    total: usize,
    what: &str,
) -> Result<usize, InvalidSetting> {
    match size(key, part)? {
        part if total.is_multiple_of(part) => Ok(part),
        part => {
            let message = format!("expected a divisor of the {total} {what}, found {part}");
            Err(InvalidSetting::new(key, message))
        }
    }
}

/// Accepts a probability.
fn probability(key: &'static str, p: f64) -> Result<f64, InvalidSetting> {
    wengert_nn::optim::range::unit_interval(key, p).map(|()| p)
}

fn yes() -> bool {
    true
}

fn one() -> usize {
    1
}

/// A layer that was built from its table.
pub(super) struct Built {
    pub(super) module: Box<dyn CloneModule>,
    /// All settings, as lines of TOML.
    pub(super) settings: String,
}

type Build =
    dyn Fn(ConfigTable, &mut Site<'_>) -> Result<Built, ConfigError> + Send + Sync + 'static;

/// Kinds of layers that a configuration may name. [`Layers::default`] holds those of the library; other kinds are added
/// to a value, and there is no global registry.
#[derive(Clone)]
pub struct Layers {
    kinds: BTreeMap<&'static str, Arc<Build>>,
}

/// Settings of a layer that has none.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoSettings {}

impl Layers {
    /// Adds a kind of layer under its [`LayerKind::KIND`].
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    #[track_caller]
    pub fn layer<K: LayerKind>(self) -> Self {
        self.insert(K::KIND, |mut kind: K, site| Ok((kind.build(site)?, kind)))
    }

    /// Adds a layer without settings.
    #[track_caller]
    fn plain(self, name: &'static str, layer: fn() -> Box<dyn CloneModule>) -> Self {
        self.insert(name, move |settings: NoSettings, _| Ok((layer(), settings)))
    }

    #[track_caller]
    fn insert<T: Serialize + DeserializeOwned>(
        mut self,
        name: &'static str,
        build: impl Fn(T, &mut Site<'_>) -> Result<(Box<dyn CloneModule>, T), InvalidSetting>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let build = move |table: ConfigTable, site: &mut Site<'_>| {
            table.make(|settings: T| {
                let (module, settings) = build(settings, site)?;
                let settings = toml::to_string(&settings).map_err(|e| misfit(e.to_string()))?;
                Ok(Built { module, settings })
            })
        };
        let old = self.kinds.insert(name, Arc::new(build));
        assert!(old.is_none(), "the layer `{name}` is registered already");
        self
    }

    /// Returns the names of all kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.keys().copied()
    }

    /// Builds the layer that a table describes, without its `kind`.
    pub(super) fn build(
        &self,
        kind: &str,
        table: ConfigTable,
        site: &mut Site<'_>,
    ) -> Result<Built, ConfigError> {
        self.kinds[kind](table, site)
    }
}

impl Default for Layers {
    fn default() -> Self {
        let empty = Self { kinds: BTreeMap::new() };
        window::list(sequence::list(dense::list(empty)))
    }
}

impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.kinds()).finish()
    }
}
