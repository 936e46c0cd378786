//! Links.

use serde::{Deserialize, Serialize};
use wengert_core::Float;

use super::elements::{Elements, Mapped};
use super::rule::{At, Reach, Rule};
use super::setting::{BadSetting, above_zero, fraction};

/// Clipping each tensor by its own norm: `u = g min(1, max_norm / (|g| + 1e-6))`, with `|g|` the
/// Euclidean norm of the update of one parameter.
///
/// Keras' `clipnorm`, TensorFlow's `clip_by_norm`. A norm that is NaN makes the whole update of the
/// parameter NaN, so that it is noticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipTensorNorm {
    /// The longest update that passes unchanged, above 0.
    pub max_norm: f64,
}

impl Default for ClipTensorNorm {
    fn default() -> Self {
        ClipTensorNorm { max_norm: 1.0 }
    }
}

impl Rule for ClipTensorNorm {
    const KIND: &'static str = "clip_tensor_norm";

    fn check(&self) -> Result<(), BadSetting> {
        above_zero("max_norm", self.max_norm)
    }

    fn reach(&self) -> Reach {
        Reach::Tensor
    }

    #[inline(always)]
    fn apply<F: Float>(&self, at: At, elements: Elements<'_, F>) -> Mapped {
        let scale = self.max_norm / (at.norm + 1e-6);
        // Not `min`, which would turn a NaN into 1.
        let scale = F::of(if scale > 1.0 { 1.0 } else { scale });
        elements.map(|g, _, []| (scale * g, []))
    }
}

/// An exponential moving average of the parameters, beside their training:
/// `a = decay a + (1 - decay) p'` with `p'` the parameter after the step, `a = p'` at first.
///
/// It changes no update, and stands last in its chain, where what arrives is what is subtracted.
/// [`Optimizer::averaged`](super::Optimizer::averaged) puts the averages in place for an evaluation.
///
/// Polyak and Juditsky 1992, <https://doi.org/10.1137/0330046>; PyTorch's `AveragedModel` with
/// `get_ema_multi_avg_fn(decay)`, <https://docs.pytorch.org/docs/stable/optim.html#weight-averaging-swa-and-ema>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Average {
    /// The weight of the past, at least 0 and below 1.
    pub decay: f64,
}

impl Default for Average {
    fn default() -> Self {
        Average { decay: 0.999 }
    }
}

impl Average {
    /// The name of its slot.
    pub(crate) const SLOT: &'static str = "average";
}

impl Rule for Average {
    const KIND: &'static str = "average";

    fn check(&self) -> Result<(), BadSetting> {
        fraction("decay", self.decay)
    }

    fn memory(&self) -> &'static [&'static str] {
        &[Average::SLOT]
    }

    #[inline(always)]
    fn apply<F: Float>(&self, at: At, elements: Elements<'_, F>) -> Mapped {
        let decay = if at.count == 1 { 0.0 } else { self.decay };
        let (lr, past, present) = (F::of(at.lr), F::of(decay), F::of(1.0 - decay));
        elements.map(|u, p, [a]| (u, [past * a + present * (p - lr * u)]))
    }
}
/// temporary
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maximize {}
impl Rule for Maximize {
    const KIND: &'static str = "maximize";
    fn apply<F: Float>(&self, _: At, elements: Elements<'_, F>) -> Mapped {
        elements.map(|g, _, []| (-g, []))
    }
}
/// temporary
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipValue {
    /// tmp
    pub clip_value: f64,
}
impl Rule for ClipValue {
    const KIND: &'static str = "clip_value";
    fn apply<F: Float>(&self, _: At, elements: Elements<'_, F>) -> Mapped {
        elements.map(|g, _, []| (-g, []))
    }
}
